//! The operator as another build: with the feature `render-canary` it renders another pod template.

fn main() -> std::process::ExitCode {
    roadstead::cli::main()
}
