//! The `lf` command.

/// The node allocates small things all the time, in many threads: a third of an import's time with the system's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lf_cli::main()
}
