//! The socket on which control clients get the shared region: who may bind it, and who may connect.

use crate::error::StartError;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The bound socket. Its file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Held as long as we run, so that of two that start at once only one finds the socket stale.
    _lock: File,
}

impl ControlSocket {
    /// Binds the socket, after removing one that nobody answers on.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let failed = |what| move |source| StartError::Folder { path: folder.into(), what, source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed("create"))?;
        let lock = File::create(path.with_extension("lock")).map_err(failed("create a lock file"))?;
        let running = || StartError::AlreadyRunning { path: path.into() };
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| running())?;
        match UnixStream::connect(path) {
            Ok(_) => return Err(running()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => std::fs::remove_file(path).map_err(failed("remove a stale socket"))?,
        }
        let listener = UnixListener::bind(path).map_err(failed("bind a socket"))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed("protect a socket"))?;
        listener.set_nonblocking(true).map_err(failed("set up a socket"))?;
        Ok(Self { listener, path: path.into(), _lock: lock })
    }

    /// The next client that may have the region: one of our own user, or root.
    pub(crate) fn accept(&self) -> io::Result<Option<UnixStream>> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                let user = rustix::net::sockopt::socket_peercred(&stream)?.uid;
                let welcome = user.is_root() || user == rustix::process::geteuid();
                Ok(welcome.then_some(stream))
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for ControlSocket {
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
        let path = folder.path().join("deep").join("media.sock");
        let control_socket = ControlSocket::open(&path).unwrap();
        let words = ControlSocket::open(&path).unwrap_err().to_string();
        assert!(words.contains("another media process"), "{words}");
        drop(control_socket);
        assert!(!path.exists());
        // Killed: the file stays, nobody answers.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        ControlSocket::open(&path).unwrap();
        // A process that answers without the lock is not pushed aside.
        let _other = UnixListener::bind(&path).unwrap();
        assert!(matches!(ControlSocket::open(&path), Err(StartError::AlreadyRunning { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let words = ControlSocket::open(&file.join("media.sock")).unwrap_err().to_string();
        assert!(words.contains("file") && words.contains("runtime_dir"), "{words}");
    }
}
