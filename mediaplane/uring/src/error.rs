use std::io;
use std::net::IpAddr;

/// The host does not let us have io_uring.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The sysctl forbids it.
    #[error(
        "io_uring is switched off by /proc/sys/kernel/io_uring_disabled = {value} ({source}); \
         allow it with `sysctl kernel.io_uring_disabled=0`{}",
        if *value == 1 { ", or put this user's group number into kernel.io_uring_group" } else { "" }
    )]
    Sysctl {
        /// What the file says.
        value: u8,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A system call filter forbids it.
    #[error(
        "io_uring is denied although kernel.io_uring_disabled allows it ({source}): a seccomp filter or security module \
         of the container or service does that; run with a profile that allows io_uring_setup, io_uring_enter and \
         io_uring_register (Docker: `--security-opt seccomp=unconfined` or an own profile; systemd: \
         `SystemCallFilter=@io-event`)"
    )]
    Filter {
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is none.
    #[error(
        "kernel {release} has no io_uring ({source}): it is older than 5.1, built without CONFIG_IO_URING, or a seccomp \
         filter hides it; run Linux 6.1 or newer with io_uring"
    )]
    Missing {
        /// `uname -r`.
        release: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// It is too old.
    #[error("kernel {release} lacks {what} of io_uring ({source}); run Linux 6.1 or newer")]
    TooOld {
        /// `uname -r`.
        release: String,
        /// What we asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// No memory for it.
    #[error(
        "no memory for {what} ({source}); raise the limit of locked memory (`ulimit -l`, LimitMEMLOCK=) or free memory"
    )]
    Memory {
        /// What we asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Something else.
    #[error("io_uring refused {what}: {source}")]
    Other {
        /// What we asked for.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Denied {
    /// Names the likely cause of what the kernel answered.
    pub(crate) fn new(what: &'static str, source: io::Error) -> Self {
        let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
        Self::from_facts(what, source, disabled.trim().parse().unwrap_or(0), release())
    }

    fn from_facts(what: &'static str, source: io::Error, disabled: u8, release: String) -> Self {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) if disabled > 0 => Self::Sysctl { value: disabled, source },
            Some(libc::EPERM | libc::EACCES) => Self::Filter { source },
            Some(libc::ENOSYS) => Self::Missing { release, source },
            Some(libc::EINVAL | libc::EOPNOTSUPP) => Self::TooOld { release, what, source },
            Some(libc::ENOMEM) => Self::Memory { what, source },
            _ => Self::Other { what, source },
        }
    }
}

/// `uname -r`.
pub(crate) fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

/// The ports could not be bound at all. Single ports that others hold are no error; see `Sockets::unavailable`.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Not enough descriptors.
    #[error(
        "{needed} sockets are needed for the media ports but this process may have only {limit} descriptors; raise \
         `ulimit -n` (LimitNOFILE=) to {needed} and some, or make [media] ports smaller"
    )]
    Descriptors {
        /// How many sockets.
        needed: usize,
        /// `RLIMIT_NOFILE`.
        limit: u64,
    },
    /// The address is not ours.
    #[error("cannot bind media sockets to {address} ({source}); [media] bind must be an address of this host")]
    Address {
        /// What was asked for.
        address: IpAddr,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Something else.
    #[error("cannot make a media socket for port {port}: {what}: {source}")]
    Socket {
        /// Which port.
        port: u16,
        /// Which call.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Nothing is left.
    #[error(
        "every media port from {first} to {last} is held by another program; stop it (`ss -ulpn`) or set [media] ports"
    )]
    NonePossible {
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(errno: i32, disabled: u8) -> String {
        Denied::from_facts("a ring", io::Error::from_raw_os_error(errno), disabled, "5.0".into()).to_string()
    }

    #[test]
    fn each_denial_names_its_switch() {
        assert!(words(libc::EPERM, 2).contains("sysctl kernel.io_uring_disabled=0"));
        assert!(words(libc::EPERM, 1).contains("io_uring_group"));
        assert!(words(libc::EPERM, 0).contains("seccomp"));
        assert!(words(libc::ENOSYS, 0).contains("Linux 6.1"));
        assert!(words(libc::EINVAL, 0).contains("kernel 5.0 lacks a ring"));
        assert!(words(libc::ENOMEM, 0).contains("LimitMEMLOCK"));
    }
}
