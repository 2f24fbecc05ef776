fn f(n: i32) -> i32 {
    if n > 0 {
        return 1;
    } else if n < 0 {
        b();
    } else {
        c();
    }
    for x in xs {
        println!("{}", x);
    }
    loop { d(); }
    while n { e(); }
    let z = if a { 1 } else { 2 };
    g(h())
}
impl P { fn m(&self) { q() } }
struct P { x: i32 }
