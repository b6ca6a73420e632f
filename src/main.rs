//! The `roadstead` binary.

fn main() -> std::process::ExitCode {
    roadstead::cli::main()
}
