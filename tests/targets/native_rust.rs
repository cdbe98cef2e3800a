// SPDX-License-Identifier: Apache-2.0
// A Rust program that knows its stack, to be built with -O, for its first argument's seconds: main, Worker::turn of two types
// through one trait, burn.
use std::hint::black_box;
use std::time::{Duration, Instant};

trait Turn {
    fn turn(&self, x: u64) -> u64;
}

struct Worker;
struct Other<T>(T);

#[inline(never)]
fn burn(mut x: u64) -> u64 {
    for _ in 0..2_000_000 {
        x = black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1));
    }
    x
}

impl Turn for Worker {
    #[inline(never)]
    fn turn(&self, x: u64) -> u64 {
        burn(x).wrapping_add(1)
    }
}

impl<T> Turn for Other<T> {
    #[inline(never)]
    fn turn(&self, x: u64) -> u64 {
        burn(x).wrapping_sub(1)
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(10);
    let end = Instant::now() + Duration::from_secs(seconds);
    let workers: [Box<dyn Turn>; 2] = [Box::new(Worker), Box::new(Other(1u8))];
    let mut x = 1;
    while Instant::now() < end {
        for worker in &workers {
            x = black_box(worker.turn(x));
        }
    }
}
