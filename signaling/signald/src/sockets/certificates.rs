//! Notices that certificate files were replaced.

use config::Tls;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What tells two versions of a file apart: when it was written, its size, and its place on the disk.
type Stamp = (i64, i64, u64, u64);

/// The files of a configuration, as they were when they were last looked at.
pub(crate) struct Files {
    files: Vec<(PathBuf, Option<Stamp>)>,
}

impl Files {
    pub(crate) fn new(tls: &Tls) -> Self {
        let own = tls.certificates.iter().flat_map(|own| [&own.chain, &own.key]);
        let all = own.chain(&tls.client_authorities).chain(&tls.authorities);
        let mut files = Self { files: all.map(|path| (path.clone(), None)).collect() };
        files.have_changed();
        files
    }

    /// Whether one of them is another one than at the last look.
    pub(crate) fn have_changed(&mut self) -> bool {
        let mut changed = false;
        for (path, known) in &mut self.files {
            // A file that is away for a moment is being replaced.
            let Ok(found) = fs::metadata(path) else { continue };
            let stamp = Some((found.mtime(), found.mtime_nsec(), found.size(), found.ino()));
            changed |= *known != stamp;
            *known = stamp;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Config;

    #[test]
    fn a_file_that_is_replaced_or_rewritten_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("a.pem"), folder.path().join("a.key"));
        fs::write(&chain, "one").unwrap();
        fs::write(&key, "one").unwrap();
        let mut tls = Config::default().tls;
        tls.certificates = vec![config::Certificate { chain: chain.clone(), key: key.clone() }];
        let mut files = Files::new(&tls);
        assert!(!files.have_changed());
        fs::write(&chain, "three").unwrap();
        assert!(files.have_changed() && !files.have_changed());
        fs::remove_file(&key).unwrap();
        assert!(!files.have_changed(), "there is nothing to load yet");
        fs::write(&key, "one").unwrap();
        assert!(files.have_changed() && !files.have_changed());
        let new = folder.path().join("new");
        fs::write(&new, "three").unwrap();
        fs::rename(new, &chain).unwrap();
        assert!(files.have_changed() && !files.have_changed());
    }
}
