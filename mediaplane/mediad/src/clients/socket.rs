//! The socket on which control clients get the shared region, and who may have it.

use crate::error::StartError;
use local_socket::{BindError, LocalSocket};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The bound socket.
#[derive(Debug)]
pub(crate) struct ControlSocket(LocalSocket);

impl ControlSocket {
    /// Binds the socket, in a folder that is made where there is none.
    pub(crate) fn open(path: &Path) -> Result<Self, StartError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let failed = |what, source| StartError::Folder { path: folder.into(), what, source };
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| failed("create it", source))?;
        LocalSocket::bind(path, 0o600).map(Self).map_err(|error| match error {
            BindError::AlreadyRunning => StartError::AlreadyRunning { path: path.into() },
            BindError::System { what, source } => failed(what, source),
        })
    }

    /// The next client that may have the region: one of our own user, or root.
    pub(crate) fn accept(&self) -> io::Result<Option<UnixStream>> {
        let stream = self.0.accept()?;
        let user = rustix::net::sockopt::socket_peercred(&stream)?.uid;
        let welcome = user.is_root() || user == rustix::process::geteuid();
        Ok(welcome.then_some(stream))
    }
}

/// Readable when a client connects.
impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_made_and_a_second_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("media.sock");
        let _control_socket = ControlSocket::open(&path).unwrap();
        let words = ControlSocket::open(&path).unwrap_err().to_string();
        assert!(words.contains("another media process"), "{words}");
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
