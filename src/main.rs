//! The `roadstead` binary.

/// With thousands of objects, glibc's allocator takes two fifths of all CPU time (docs/adr/0017-mimalloc.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    roadstead::cli::main()
}
