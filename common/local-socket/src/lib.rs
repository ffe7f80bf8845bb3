//! The Unix sockets by which processes of one host reach the switch: the region of the media plane, and the operator's socket.
//!
//! [`LocalSocket`] is bound once for each path, in spite of files that a killed process has left behind. It knows nothing of
//! what is said on it. Tests: `cargo test -p ringplane-local-socket`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process answers there, or is about to.
    #[error("another process has it")]
    AlreadyRunning,
    /// The system refuses.
    #[error("cannot {what}: {source}")]
    System {
        /// What failed, as `bind the socket`.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// A bound socket that does not block. Its file goes when this is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Held as long as the socket, so that of two processes that start at once only one finds the file of the socket stale.
    _lock: File,
}

impl LocalSocket {
    /// Binds the socket, after removing a file that nobody answers on. `mode` says who may connect, as 0o600. The folder has to
    /// be there; beside the socket a file with the extension `lock` is made, and stays.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, BindError> {
        let failed = |what| move |source| BindError::System { what, source };
        let lock = File::create(path.with_extension("lock")).map_err(failed("create a lock file"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| BindError::AlreadyRunning)?;
        match UnixStream::connect(path) {
            Ok(_) => return Err(BindError::AlreadyRunning),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => std::fs::remove_file(path).map_err(failed("remove the stale socket"))?,
        }
        let listener = UnixListener::bind(path).map_err(failed("bind the socket"))?;
        let socket = Self { listener, path: path.to_owned(), _lock: lock };
        std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("protect the socket"))?;
        socket.listener.set_nonblocking(true).map_err(failed("set up the socket"))?;
        Ok(socket)
    }

    /// The next connection; `WouldBlock` when there is none.
    pub fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().map(|(stream, _)| stream)
    }
}

/// Readable when a process connects.
impl AsFd for LocalSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two processes lock two files of the same name.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_and_a_stale_socket_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let socket = LocalSocket::bind(&path, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(LocalSocket::bind(&path, 0o600), Err(BindError::AlreadyRunning)));
        assert_eq!(socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        UnixStream::connect(&path).unwrap();
        socket.accept().unwrap();
        drop(socket);
        assert!(!path.exists());
        // Killed: the file stays, nobody answers.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(LocalSocket::bind(&path, 0o660).unwrap());
        // A process that answers without the lock is not pushed aside.
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(LocalSocket::bind(&path, 0o600), Err(BindError::AlreadyRunning)));
    }

    #[test]
    fn a_folder_that_is_not_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = LocalSocket::bind(&folder.path().join("none").join("a.sock"), 0o600).unwrap_err();
        assert!(matches!(error, BindError::System { what: "create a lock file", .. }), "{error}");
    }
}
