//! The `lf` command.

fn main() -> std::process::ExitCode {
    lf_cli::main()
}
