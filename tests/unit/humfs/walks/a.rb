def f(n)
  if n > 0
    return 1
  elsif n < 0
    b(1)
  else
    c(2)
  end
  d(3) unless n
  while n do e(4) end
  begin
    g(5)
  rescue E => e
    h(6)
  else
    i(7)
  ensure
    j(8)
  end
end
