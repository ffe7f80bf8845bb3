use crate::reader::Reader;
use std::path::PathBuf;
use toml::de::DeValue;

/// Most certificates.
const CERTIFICATE_COUNT_MAX: usize = 64;

/// `[tls]`: certificates and trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Ours; the first is for clients that name no host.
    pub certificates: Vec<Certificate>,
    /// Whether TLS clients must show one.
    pub client_certificates: ClientCertificates,
    /// Where theirs must come from.
    pub client_authorities: Option<PathBuf>,
    /// Whom to trust when we connect; `None`: whom the host trusts.
    pub authorities: Option<PathBuf>,
}

/// One certificate with its key, in PEM files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// The certificate, then those that lead to its authority.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Whether TLS clients must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCertificates {
    /// They are not asked.
    NotAsked,
    /// They are asked; a bad one is refused.
    Optional,
    /// No connection without one.
    Required,
}

impl Tls {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let section = "tls";
        let path = "must be the path of a PEM file, or empty";
        let mut file = |name| {
            let path: String = reader.get(section, name, path, |value| value.as_str().map(str::to_owned));
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        let (client_authorities, authorities) = (file("client_authorities"), file("authorities"));
        let list = r#"must be a list of at most 64 tables { chain = "FILE", key = "FILE" }"#;
        let asked = r#"must be "not asked", "optional" or "required""#;
        Self {
            certificates: reader.get(section, "certificates", list, read_certificates),
            client_certificates: reader.get(section, "client_certificates", asked, |value| match value.as_str()? {
                "not asked" => Some(ClientCertificates::NotAsked),
                "optional" => Some(ClientCertificates::Optional),
                "required" => Some(ClientCertificates::Required),
                _ => None,
            }),
            client_authorities,
            authorities,
        }
    }
}

fn read_certificates(value: &DeValue<'_>) -> Option<Vec<Certificate>> {
    let list = value.as_array().filter(|list| list.len() <= CERTIFICATE_COUNT_MAX)?;
    let one = |value: &DeValue<'_>| {
        let table = value.as_table().filter(|table| table.len() == 2)?;
        let file = |name| table.get(name)?.get_ref().as_str().filter(|path| !path.is_empty()).map(PathBuf::from);
        Some(Certificate { chain: file("chain")?, key: file("key")? })
    };
    list.iter().map(|item| one(item.get_ref())).collect()
}
