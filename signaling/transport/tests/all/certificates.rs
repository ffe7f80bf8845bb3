//! A certification authority that lives as long as a test.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use tempfile::TempDir;
use transport::{CertificateFiles, ClientCertificates, TlsConfig, Trust};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
    issued_count: AtomicU32,
}

#[derive(Clone)]
pub(crate) struct Files {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl From<Files> for CertificateFiles {
    fn from(files: Files) -> Self {
        Self { chain: files.chain, key: files.key }
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Names of authorities differ: a certificate is looked up by its issuer's.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {} of a test", COUNT.fetch_add(1, Relaxed));
        parameters.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap();
        let authority = Self { issuer, folder: tempfile::tempdir().unwrap(), issued_count: AtomicU32::new(0) };
        authority.write("authority.pem", &authority.issuer.pem());
        authority
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Files {
        self.issue_for(names, (2001, 2090))
    }

    pub(crate) fn issue_for(&self, names: &[&str], years: (i32, i32)) -> Files {
        let number = self.issued_count.fetch_add(1, Relaxed);
        let files = Files {
            chain: self.folder.path().join(format!("{number}.pem")),
            key: self.folder.path().join(format!("{number}.key")),
        };
        self.issue_into(&files, names, years);
        files
    }

    /// Overwrites files, as a renewal does.
    pub(crate) fn issue_into(&self, files: &Files, names: &[&str], years: (i32, i32)) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut parameters = CertificateParams::new(names).unwrap();
        parameters.not_before = date_time_ymd(years.0, 1, 1);
        parameters.not_after = date_time_ymd(years.1, 1, 1);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(&files.chain, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
    }

    /// Certificates for these names, one each, trusting this authority.
    pub(crate) fn tls(&self, names: &[&str]) -> TlsConfig {
        TlsConfig {
            certificates: names.iter().map(|name| self.issue(&[name]).into()).collect(),
            client_certificates: ClientCertificates::NotAsked,
            trust: Trust::Authorities(self.path()),
        }
    }
}
