//! A certification authority that lives as long as a test, made by OpenSSL as a reader of the documentation would.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) struct Authority(PathBuf);

impl Authority {
    pub(crate) fn new(folder: &Path) -> Self {
        shell(
            folder,
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem \
             -subj '/CN=authority of a test'",
        );
        Self(folder.to_owned())
    }

    /// The file that others trust.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("ca.pem")
    }

    /// Files with a certificate for 127.0.0.1 and localhost, and with its key.
    pub(crate) fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let script = format!(
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key -out {name}.csr \
             -subj '/CN={name}' && echo 'subjectAltName=IP:127.0.0.1,DNS:localhost' > {name}.ext && openssl x509 -req \
             -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile {name}.ext -out {name}.pem"
        );
        shell(&self.0, &script);
        (self.0.join(format!("{name}.pem")), self.0.join(format!("{name}.key")))
    }
}

fn shell(folder: &Path, script: &str) {
    let output = Command::new("sh").args(["-c", script]).current_dir(folder).output().expect("sh runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
