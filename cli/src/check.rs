//! `ringplane check FILE`: every mistake of a configuration at once, then what is unwise about it. What only a start would
//! find (sounds, certificates, addresses of this host) is looked at as well.

use super::Failure;
use config::{Certificate, ClientCertificates, Config, FilesOnly, Host, LoadError, Route, Tls};
use std::net::{IpAddr, UdpSocket};
use std::path::Path;

pub(crate) fn run(file: &Path) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| Failure::new(LoadError::Unreadable { path: file.to_owned(), source }.to_string()))?;
    let examined = Config::examine(&text, &ThisHost);
    let at = file.display();
    let result = match examined.result {
        Ok(config) => {
            if let Some(warning) = config.warning(file) {
                super::output::complain(&format!("warning: {warning}"));
            }
            super::output::print(&format!("{at}: no mistakes\n"))
        }
        Err(mistakes) => Err(Failure::new(LoadError::Mistakes { path: file.to_owned(), mistakes }.to_string())),
    };
    for warning in &examined.warnings.0 {
        super::output::complain(&format!("warning: {at}, {warning}"));
    }
    result
}

/// Looks at files and addresses as the switch will.
struct ThisHost;

impl Host for ThisHost {
    fn is_own(&self, ip: IpAddr) -> bool {
        // Only an address of this host can be bound.
        ip.is_loopback() || UdpSocket::bind((ip, 0)).is_ok()
    }

    fn prompt(&self, path: &Path) -> Result<(), String> {
        FilesOnly.prompt(path).and_then(|()| mediad::check_prompt(path))
    }

    fn certificate(&self, certificate: &Certificate) -> Result<(), String> {
        FilesOnly.certificate(certificate)?;
        tls(|tls| tls.certificates = vec![certificate.clone()])
    }

    fn authorities(&self, path: &Path) -> Result<(), String> {
        FilesOnly.authorities(path)?;
        tls(|tls| {
            tls.client_authorities = Some(path.to_owned());
            tls.client_certificates = ClientCertificates::Required;
        })
    }

    fn uri(&self, uri: &str) -> Result<(), String> {
        let route = Route { pattern: "*".to_owned(), targets: vec![vec![uri.to_owned()]] };
        signald::Routes::new(&[route]).map(drop).map_err(|error| error.to_string())
    }
}

fn tls(set: impl FnOnce(&mut Tls)) -> Result<(), String> {
    let mut config = Config::default();
    set(&mut config.tls);
    signald::check_tls(&config).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_start_would_find_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (chain, key) = (file("a.pem", b"nothing"), file("a.key", b"nothing"));
        let (good, bad) = (file("good.wav", audio::WELCOME_WAV), file("bad.wav", b"ID3 no sound"));
        let text = format!(
            "[sip]\nmode = \"b2bua\"\nlisten = [\"0.0.0.0:5060\"]\nroutes = {{ a = \"sip:x@h;=1\", \"*\" = \"sip:127.0.0.9\" }}\n\
             [media]\nprompts = {{ good = {good:?}, bad = {bad:?} }}\n[tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n\
             authorities = {chain:?}\n"
        );
        let found = Config::examine(&text, &ThisHost).result.unwrap_err().0;
        let keys: Vec<&str> = found.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(
            keys,
            ["sip.routes.a", "sip.routes.\"*\"", "media.prompts.bad", "tls.certificates", "tls.authorities"]
        );
        for (mistake, words) in
            found.iter().zip(["cannot be called", "a loop", "not a WAV file", "no certificate", "no certificate"])
        {
            assert!(mistake.allowed.contains(words), "no `{words}` in {mistake}");
        }
    }
}
