int A::f(int n) {
  for (auto x : xs) { c(d()); }
  try { g(); } catch (E& e) { h(); }
  return 1;
}
