<?php
function f($n) {
  if ($n > 0) {
    return 1;
  } elseif ($n) {
    b();
  } else {
    c($d->e());
  }
  foreach ($xs as $x) { G::h(); }
  try { i(); } catch (E $e) { j(); } finally { k(); }
}
