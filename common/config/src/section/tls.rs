use crate::Host;
use crate::reading::place::Faults;
use crate::reading::reader::Reader;
use crate::reading::suggest::did_you_mean;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// Most certificates.
const CERTIFICATE_COUNT_MAX: usize = 64;

/// `[tls]`: certificates and trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Certificates of the switch; the first is for clients that name no host.
    pub certificates: Vec<Certificate>,
    /// Whether TLS clients must show one.
    pub client_certificates: ClientCertificates,
    /// Authorities that a client's certificate must come from.
    pub client_authorities: Option<PathBuf>,
    /// Authorities that a server's certificate must come from when the switch connects; `None`: those that the host trusts.
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
    /// Clients are not asked for a certificate.
    NotAsked,
    /// Clients are asked; a bad certificate is refused.
    Optional,
    /// No connection without one.
    Required,
}

impl Tls {
    pub(crate) fn read(reader: &mut Reader<'_>, host: &dyn Host) -> Self {
        let section = "tls";
        let mut file = |name| {
            reader.entries(section, name, "must be the path of a PEM file, or empty", |value, faults| {
                // The place of the text is that of the key.
                let path = Some(value.as_str()?).filter(|path| !path.is_empty()).map(PathBuf::from);
                if let Some(Err(why)) = path.as_deref().map(|path| host.authorities(path)) {
                    faults.add_whole(why);
                }
                Some(path)
            })
        };
        let (client_authorities, authorities) = (file("client_authorities"), file("authorities"));
        let asked = [
            ("not asked", ClientCertificates::NotAsked),
            ("optional", ClientCertificates::Optional),
            ("required", ClientCertificates::Required),
        ];
        Self {
            certificates: reader
                .entries(section, "certificates", CERTIFICATES, |value, faults| read_certificates(value, faults, host)),
            client_certificates: reader.word(section, "client_certificates", &asked),
            client_authorities,
            authorities,
        }
    }
}

const CERTIFICATES: &str = r#"must be a list of at most 64 tables { chain = "FILE", key = "FILE" }"#;

fn read_certificates(value: &DeValue<'_>, faults: &mut Faults, host: &dyn Host) -> Option<Vec<Certificate>> {
    const NAMES: [&str; 2] = ["chain", "key"];
    let list = value.as_array().filter(|list| list.len() <= CERTIFICATE_COUNT_MAX)?;
    let mut all = Vec::new();
    for item in list.iter() {
        let Some(table) = item.get_ref().as_table() else {
            faults.add(item.span(), &[], r#"must be a table { chain = "FILE", key = "FILE" }"#);
            continue;
        };
        for (name, _) in table.iter().filter(|(name, _)| !NAMES.contains(&name.get_ref().as_ref())) {
            let hint = did_you_mean(name.get_ref(), NAMES);
            faults.add(name.span(), &[], format!("has no such key; a certificate has chain and key{hint}"));
        }
        let file = |name| table.get(name)?.get_ref().as_str().filter(|path| !path.is_empty()).map(Path::new);
        match (file("chain"), file("key")) {
            (Some(chain), Some(key)) => {
                let certificate = Certificate { chain: chain.into(), key: key.into() };
                if let Err(why) = host.certificate(&certificate) {
                    faults.add(item.span(), &[], why);
                }
                all.push(certificate);
            }
            (None, _) => faults.add(item.span(), &[], r#"lacks chain = "FILE", the PEM file of the certificate"#),
            (_, None) => faults.add(item.span(), &[], r#"lacks key = "FILE", the PEM file of the private key"#),
        }
    }
    Some(all)
}
