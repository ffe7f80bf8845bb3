//! A host that denies io_uring, for real, but to the started program alone: a seccomp filter that children inherit, and
//! a file of our own over the sysctl's in a mount namespace.

use crate::start::{free_ports, serve};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use std::path::Path;
use std::process::{Command, Output};

/// `io_uring_setup`, on every architecture.
const IO_URING_SETUP: i64 = 425;
const SYSCTL: &str = "/proc/sys/kernel/io_uring_disabled";

/// Runs a command that gets `errno` from `io_uring_setup`.
fn run_denied(mut command: Command, errno: Errno) -> Output {
    let run = move || {
        let deny = SeccompAction::Errno(errno.raw_os_error().unsigned_abs());
        let rules = [(IO_URING_SETUP, Vec::new())].into_iter().collect();
        let here = std::env::consts::ARCH.try_into().expect("an architecture with seccomp");
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, deny, here).expect("a filter");
        let program: BpfProgram = filter.try_into().expect("a program");
        // Of this thread, and of what it starts.
        apply_filter(&program).expect("a filter in place");
        command.output().expect("the program runs")
    };
    std::thread::spawn(run).join().expect("it ends")
}

fn said_by(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it started:\n{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("is ready"), "ready, it said");
    said
}

/// `serve` with the file at `sysctl` in the place of the sysctl's; `None` where this user may not do that.
fn serve_with_sysctl(folder: &Path, sysctl: &Path) -> Option<Command> {
    let mount = format!("mount --bind \"$0\" {SYSCTL}");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(sysctl);
        command
    };
    if !unshare(&mount).status().is_ok_and(|status| status.success()) {
        return None;
    }
    let served = serve("127.0.0.1:0", folder, &free_ports());
    let mut command = unshare(&format!("{mount} && exec \"$@\""));
    command.arg(served.get_program()).args(served.get_args());
    Some(command)
}

#[test]
fn a_seccomp_filter_that_denies_io_uring_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = said_by(&run_denied(serve("127.0.0.1:0", folder.path(), &free_ports()), Errno::PERM));
    for words in ["seccomp", "io_uring_setup", "SystemCallFilter", "seccomp=unconfined"] {
        assert!(said.contains(words), "no `{words}` in:\n{said}");
    }
    assert!(!said.contains("starting it again"), "{said}");
}

#[test]
fn a_kernel_without_io_uring_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = said_by(&run_denied(serve("127.0.0.1:0", folder.path(), &free_ports()), Errno::NOSYS));
    assert!(said.contains("has no io_uring") && said.contains("Linux 6.1"), "{said}");
}

#[test]
fn the_sysctl_that_denies_io_uring_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let sysctl = folder.path().join("io_uring_disabled");
    for (value, way_out) in [("2", "sysctl kernel.io_uring_disabled=0"), ("1", "kernel.io_uring_group")] {
        std::fs::write(&sysctl, format!("{value}\n")).unwrap();
        let Some(command) = serve_with_sysctl(folder.path(), &sysctl) else {
            return eprintln!("left out: only root may lay a file over {SYSCTL}");
        };
        let said = said_by(&run_denied(command, Errno::PERM));
        let switch = format!("{SYSCTL} = {value}");
        assert!(said.contains(&switch) && said.contains(way_out), "no `{switch}` or `{way_out}` in:\n{said}");
    }
}
