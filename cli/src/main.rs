//! The command line of Ringplane. `ringplane --help` lists the commands.

#![forbid(unsafe_code)]

mod cli;

/// Small, gives memory back after a rush, and cheap across threads.
#[global_allocator]
static ALLOCATOR: heap::Allocator = heap::Allocator;

fn main() -> std::process::ExitCode {
    cli::main()
}
