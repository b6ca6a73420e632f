//! Engine stand-in.
fn main() {}
