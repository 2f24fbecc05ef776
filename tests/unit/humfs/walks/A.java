class A {
  int f(int n) {
    if (n > 0) {
      return 1;
    } else {
      b();
    }
    for (int x : xs) { c(d()); }
    while (n) e();
    try (var x = y) { g(); } catch (E e) { h(); } finally { i(); }
  }
  A() { super(); j(); }
}
