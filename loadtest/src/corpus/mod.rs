//! Corpora of bad and odd SIP, in the form in which a switch takes them: whole messages as they are, and URIs, header
//! values and session descriptions in otherwise sound requests, each of which has to be answered.

mod flood;
mod places;

pub use flood::flood_corpus;
pub use places::{Dialog, Place, Request, acknowledgement, requests};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What a file of a corpus holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A message, or the start of a stream of them.
    Message,
    /// A URI.
    Uri,
    /// The value of a header field.
    Value,
    /// A URI, the name and the value of a header field and a body, separated by `|`.
    Written,
}

/// One file.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its folder and name.
    pub name: String,
    /// What it holds.
    pub form: Form,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// Every file below these folders. The folder's name says what its files hold: `uri`, `values`, `written`; all others
/// hold messages.
pub fn read(folders: &[PathBuf]) -> io::Result<Vec<Sample>> {
    let mut files = Vec::new();
    for folder in folders {
        walk(folder, &mut files)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    }
    files.sort();
    files.into_iter().map(|path| sample(&path)).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

fn sample(path: &Path) -> io::Result<Sample> {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
    let form = match folder.as_str() {
        "uri" => Form::Uri,
        "values" => Form::Value,
        "written" => Form::Written,
        _ => Form::Message,
    };
    let name = format!("{folder}/{}", path.file_name().unwrap_or_default().to_string_lossy());
    Ok(Sample { name, form, bytes: fs::read(path)? })
}

/// The messages among them, each made another transaction and another call by `mark` (nothing: as they are).
pub fn messages<'s>(samples: &'s [Sample], mark: &'s str) -> impl Iterator<Item = (&'s str, Vec<u8>)> {
    let whole = samples.iter().filter(|sample| sample.form == Form::Message);
    whole.map(move |sample| (sample.name.as_str(), fresh(&sample.bytes, mark)))
}

/// A message with `mark` in its branches and its Call-ID. What has neither stays as it is.
pub fn fresh(message: &[u8], mark: &str) -> Vec<u8> {
    const COOKIE: &[u8] = b"z9hG4bK";
    let head = find(message, b"\r\n\r\n").unwrap_or(message.len());
    let (mut out, mut at) = (Vec::with_capacity(message.len() + 4 * mark.len()), 0);
    while at < head {
        let rest = &message[at..head];
        let line_starts = at == 0 || message[at - 1] == b'\n';
        let taken = match () {
            () if rest.starts_with(COOKIE) => COOKIE.len(),
            () if line_starts => call_id_name(rest).unwrap_or(0),
            () => 0,
        };
        if taken > 0 {
            out.extend_from_slice(&rest[..taken]);
            out.extend_from_slice(mark.as_bytes());
        } else {
            out.push(rest[0]);
        }
        at += taken.max(1);
    }
    out.extend_from_slice(&message[head..]);
    out
}

/// Bytes of `Call-ID :` and the space behind it.
fn call_id_name(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line[..colon].trim_ascii();
    let is_call_id = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
    let spaces = line[colon + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    is_call_id.then_some(colon + 1 + spaces)
}

/// Where `what` begins in `bytes`.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_what_their_folders_say() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("uri", "sip:a@b"), ("values", "<sip:a@b>"), ("rfc4475", "BYE"), ("written", "a|b|c|d")] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("one"), text).unwrap();
        }
        let samples = read(&[folder.path().to_owned()]).unwrap();
        let forms: Vec<_> = samples.iter().map(|sample| (sample.name.as_str(), sample.form)).collect();
        let expected = [
            ("rfc4475/one", Form::Message),
            ("uri/one", Form::Uri),
            ("values/one", Form::Value),
            ("written/one", Form::Written),
        ];
        assert_eq!(forms, expected);
        assert!(read(&["nowhere".into()]).unwrap_err().to_string().contains("nowhere"));
    }

    #[test]
    fn a_mark_makes_another_call_of_a_message() {
        let text = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\ncALL-id :  c\r\n\r\nz9hG4bK";
        let marked = "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK7.x\r\ncALL-id :  7.c\r\n\r\nz9hG4bK";
        assert_eq!(fresh(text.as_bytes(), "7."), marked.as_bytes());
        assert_eq!(fresh(text.as_bytes(), ""), text.as_bytes());
    }
}
