int f(int n) {
  if (n > 0) {
    return 1;
  } else {
    b();
  }
  for (;;) { c(d()); }
  do { e(); } while (n);
}
