function f(n) {
  if (n > 0) {
    return 1;
  } else if (n) {
    b();
  } else {
    c(d());
  }
  for (const x of xs) { e(); }
  do { g(); } while (n);
  try {
    h();
  } catch (err) {
    i();
  } finally {
    j();
  }
}
const k = (x) => x + 1;
const l = function () { m(); };
class A { n = () => { o(); }; p() { q(); } }
