//! A host that says no, for real: each in the one thread or process that the refusal is made for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use uring::{BindError, BindTo, Denied, Sockets, probe};

/// From here on `io_uring_setup` fails with `errno` in this thread, as under a container's seccomp profile.
fn deny_io_uring(errno: i32) {
    let statement = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The number of the system call is the first field of `struct seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, libc::SYS_io_uring_setup as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the first call takes plain numbers. The second reads the program that `filter` points to, which lives over
    // the call, and applies to this thread only.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0) == 0
    };
    assert!(done, "a filter: {}", std::io::Error::last_os_error());
}

fn denied_by(errno: i32) -> Denied {
    std::thread::spawn(move || {
        deny_io_uring(errno);
        probe().expect_err("the filter forbids it")
    })
    .join()
    .expect("the thread ends")
}

#[test]
fn a_seccomp_filter_is_named() {
    let denied = denied_by(libc::EPERM);
    assert!(matches!(denied, Denied::Filter { .. }), "{denied}");
    assert!(denied.to_string().contains("seccomp") && denied.to_string().contains("io_uring_setup"), "{denied}");
    // Some profiles claim that there is no such call.
    let hidden = denied_by(libc::ENOSYS);
    assert!(matches!(hidden, Denied::Missing { .. }) && hidden.to_string().contains("seccomp"), "{hidden}");
    assert!(matches!(denied_by(libc::ENOMEM), Denied::Memory { .. }));
    // Only those threads were denied.
    probe().expect("io_uring");
}

#[test]
fn a_limit_of_descriptors_is_named_with_what_is_needed() {
    let before = getrlimit(Resource::Nofile);
    let low = Rlimit { current: Some(128), ..before };
    setrlimit(Resource::Nofile, low).expect("a lower limit");
    let refused = Sockets::ephemeral(400, BindTo::Any);
    setrlimit(Resource::Nofile, before).expect("the limit as it was");
    match refused {
        Err(error @ BindError::Descriptors { needed: 400, .. }) => {
            assert!(error.to_string().contains("LimitNOFILE"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
