//! The key of the proofs in our Record-Route. It is kept beside the sockets, so that calls through the proxy are known again
//! after signaling has restarted; without the file a new one is drawn, and dialogs from before it are not known any more.

use crate::Error;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "route-secret";
/// For its owner alone.
const MODE: u32 = 0o600;

/// The secret in this directory, or a new one.
pub(crate) fn load(folder: &Path) -> Result<[u8; 32], Error> {
    let path = folder.join(FILE);
    let mut secret = [0; 32];
    let kept = OpenOptions::new().read(true).open(&path).and_then(|mut file| file.read_exact(&mut secret));
    if kept.is_ok() {
        return Ok(secret);
    }
    let secret = crate::nonce_key().map_err(|source| Error::System { what: "read /dev/urandom", source })?;
    let fresh = folder.join(format!("{FILE}.new"));
    let write = || {
        // What is left of an attempt that was cut off.
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&fresh)?;
        file.write_all(&secret)?;
        std::fs::rename(&fresh, &path)
    };
    match write() {
        Ok(()) => {}
        Err(error) => tracing::warn!("calls through the proxy will not survive a restart: {}: {error}", path.display()),
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_drawn_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = load(folder.path()).unwrap();
        assert_eq!((load(folder.path()).unwrap(), first == [0; 32]), (first, false));
        let path = folder.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        std::fs::write(&path, b"short").unwrap();
        let second = load(folder.path()).unwrap();
        assert!(second != first && load(folder.path()).unwrap() == second);
    }
}
