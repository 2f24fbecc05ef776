//! A crate.
use std::fmt;

/// A point.
#[derive(Debug, Clone)]
pub struct Point<T> {
    /// How far right.
    pub x: T,
    y: T,
}

pub struct Pair(i32, String);

union Raw {
    bits: u32,
}

pub enum Event {
    Quit,
    Move(i32, i32),
    Key { code: u32 } = 3,
}

pub trait Area: fmt::Debug {
    const SIDES: usize;
    type Unit;
    fn area(&self) -> Self::Unit;
    fn double(&self) -> i32 {
        2
    }
}

impl<T> Point<T> {
    pub const ORIGIN: i32 = 0;
    #[inline]
    pub fn x(&self) -> &T {
        fn nested() {}
        &self.x
    }
}

impl<T: fmt::Display> fmt::Display for Point<T>
where
    T: Copy,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.x)
    }
}

mod geometry {
    pub static UNIT: f64 = 1.0;

    pub(crate) async fn scale<T>(
        value: T,
        by: f64,
    ) -> T {
        let closure = |v| {
            struct Local;
            v
        };
        closure(value)
    }
}

mod elsewhere;

macro_rules! square {
    ($x:expr) => {
        $x * $x
    };
}

type Grid = Vec<Vec<Point<i32>>>;

extern "C" {
    fn abs(input: i32) -> i32;
}
