//! What only the host and other crates know: files, addresses, and what they make of them.

use crate::Certificate;
use std::net::IpAddr;
use std::path::Path;

/// Answers for the checks of a configuration. Each error is the end of a sentence that begins with the key.
pub trait Host {
    /// Whether calls to this address come to this host.
    fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }

    /// Whether a file can be played.
    fn prompt(&self, path: &Path) -> Result<(), String> {
        file(path)
    }

    /// Whether a certificate and its key can be used together.
    fn certificate(&self, certificate: &Certificate) -> Result<(), String> {
        file(&certificate.chain).and_then(|()| file(&certificate.key))
    }

    /// Whether there are authorities in a file.
    fn authorities(&self, path: &Path) -> Result<(), String> {
        file(path)
    }

    /// Whether a directory is there that files can be made in.
    fn folder(&self, path: &Path) -> Result<(), String> {
        match std::fs::metadata(path) {
            Ok(facts) if facts.is_dir() && !facts.permissions().readonly() => Ok(()),
            Ok(_) => Err(format!("is not a directory that files can be made in: {}", path.display())),
            Err(error) => Err(format!("is not a directory that can be used: {}: {error}", path.display())),
        }
    }

    /// Whether a URI, which seems sound, can be called.
    fn uri(&self, _uri: &str) -> Result<(), String> {
        Ok(())
    }
}

/// Knows what can be seen from outside: whether files are there.
#[derive(Clone, Copy, Debug)]
pub struct FilesOnly;

impl Host for FilesOnly {}

/// Whether something is a file.
fn file(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(facts) if facts.is_file() => Ok(()),
        Ok(_) => Err(format!("is not a file: {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(format!("is not a file: {} is not there", path.display()))
        }
        Err(error) => Err(format!("is not a file that can be read: {}: {error}", path.display())),
    }
}
