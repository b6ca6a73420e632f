//! The `roadstead` binary.

/// Where thousands of objects are held, glibc's takes two fifths of all processor time (docs/adr/0017-mimalloc.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    roadstead::cli::main()
}
