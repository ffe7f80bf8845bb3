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
        for (mistake, words) in found.iter().zip([
            "cannot be called",
            "a loop",
            "not a WAV, FLAC, MP3 or Ogg file",
            "no certificate",
            "no certificate",
        ]) {
            assert!(mistake.allowed.contains(words), "no `{words}` in {mistake}");
        }
    }

    /// What check says of a text: mistakes and warnings.
    fn said(text: &str) -> Vec<String> {
        let examined = Config::examine(text, &ThisHost);
        let mistakes = examined.result.err().map_or(Vec::new(), |mistakes| mistakes.0);
        mistakes.iter().chain(&examined.warnings.0).map(|one| format!("{one}, in:\n{text}")).collect()
    }

    /// The indented blocks of a document that begin with a section.
    fn toml_blocks(document: &str) -> Vec<String> {
        let mut blocks = vec![String::new()];
        for line in document.lines() {
            let block = blocks.last_mut().expect("there is one from the start");
            match line.strip_prefix("    ") {
                Some(line) => *block += &format!("{line}\n"),
                // An empty line within a block.
                None if line.is_empty() && !block.is_empty() => *block += "\n",
                None => blocks.push(String::new()),
            }
        }
        blocks.retain(|block| block.starts_with('['));
        blocks
    }

    /// The value behind "Example:" or "Examples:" in the words of a key, from its first bracket to the one that closes it.
    fn example(words: &str) -> Option<&str> {
        let (_, rest) = words.split_once("Example")?;
        let value = &rest[rest.find(['{', '['])?..];
        let mut depth = 0;
        let closes = |letter: char| {
            depth += match letter {
                '{' | '[' => 1,
                '}' | ']' => -1,
                _ => 0,
            };
            depth == 0
        };
        value.find(closes).map(|end| &value[..=end])
    }

    #[test]
    fn blocks_and_examples_are_found_and_may_be_refused() {
        let document = "Text\n\n    [sip]\n    mode = \"numbers\"\n\n    [media]\n\nMore\n\n    ringplane calls\n\nMore\n\n    [auth]\n    realms = 1\n";
        let blocks = toml_blocks(document);
        assert_eq!(blocks, ["[sip]\nmode = \"numbers\"\n\n[media]\n\n", "[auth]\nrealms = 1\n"]);
        assert_eq!((said(&blocks[0]).len(), said(&blocks[1]).len()), (0, 1));
        assert_eq!(example("a {b}. Example:\n{ c = [\"d\", {}] } e"), Some("{ c = [\"d\", {}] }"));
        assert_eq!(example("a {b}."), None);
    }

    #[test]
    fn blocks_of_the_operators_document_are_taken_as_they_are() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/OPERATING.md");
        let blocks = toml_blocks(&std::fs::read_to_string(document).unwrap());
        assert!(blocks.len() >= 6, "only {} blocks found: the search is broken", blocks.len());
        let wrong: Vec<String> = blocks.iter().flat_map(|block| said(block)).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    /// Completed are: lists within the lists of `routes`, which are for a proxy, and `identities`, by the users of `realms`.
    #[test]
    fn examples_of_init_are_taken() {
        let of = |section: &str, name: &str| {
            let key = config::KEYS.iter().find(|key| (key.section, key.name) == (section, name)).unwrap();
            example(&key.words.join("\n")).unwrap().to_owned()
        };
        let mut found = 0;
        for key in config::KEYS.iter().filter(|key| key.words.join("\n").contains("Example")) {
            let completion = match (key.section, key.name) {
                ("sip", "routes") => "mode = \"proxy\"\n".to_owned(),
                ("auth", "identities") => format!("realms = {}\n", of("auth", "realms")),
                _ => String::new(),
            };
            let text = format!("[{}]\n{completion}{} = {}\n", key.section, key.name, of(key.section, key.name));
            let wrong = said(&text);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
            found += 1;
        }
        assert!(found >= 3, "only {found} examples found: the search is broken");
    }
}
