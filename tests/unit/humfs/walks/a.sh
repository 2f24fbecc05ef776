f() {
  if [ -n "$1" ]; then
    a 1; aa 2
  elif true; then
    b 2
  else
    c 3
  fi
  for x in 1 2; do
    d 4
  done
  while read y; do e 5; done
  echo $(inner 6)
}
