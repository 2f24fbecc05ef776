class A {
  int F(int n) {
    if (n > 0) { return 1; } else { B(); }
    foreach (var x in xs) { C(D()); }
    try { G(); } catch (E e) { H(); } finally { I(); }
  }
  int K() => L();
}
