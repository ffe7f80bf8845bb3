//! A program that is told what to do line by line, and says line by line what happens.

use super::process::{tail, wait_for};
use clock::Duration;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// How long it may take to end by itself once its input has ended.
const END_WITHIN: Duration = Duration::from_secs(20);

/// A running program. Dropping it ends it, by its id.
pub struct Told {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    log: PathBuf,
    heard_bytes: usize,
}

impl Told {
    /// Starts `command`; standard output and error go to `folder/name.log`.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("{:?}: {error}", command.get_program())))?;
        let input = child.stdin.take();
        Ok(Self { name: name.into(), child, input, log, heard_bytes: 0 })
    }

    /// Tells it something.
    pub fn tell(&mut self, words: &str) -> io::Result<()> {
        match &mut self.input {
            Some(input) => writeln!(input, "{words}").and_then(|()| input.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits until it says these words, after all that was heard before.
    pub fn hear(&mut self, words: &str, within: Duration) -> io::Result<()> {
        let before = self.heard_bytes;
        let found = wait_for(within, || {
            let output = self.output();
            let at = output.get(before..)?.find(words)?;
            Some(before + at + words.len())
        });
        let nothing = || {
            let said = tail(&self.output());
            io::Error::new(io::ErrorKind::TimedOut, format!("{} did not say `{words}`; it said:\n{said}", self.name))
        };
        self.heard_bytes = found.ok_or_else(nothing)?;
        Ok(())
    }

    /// What it said so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Lets it end by itself: its input ends.
    pub fn finish(mut self) -> io::Result<String> {
        self.input = None;
        match wait_for(END_WITHIN, || self.child.try_wait().ok().flatten()) {
            Some(status) if status.success() => Ok(self.output()),
            Some(status) => {
                Err(io::Error::other(format!("{}: {status}; it said:\n{}", self.name, tail(&self.output()))))
            }
            None => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{} does not end", self.name))),
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            // It may have ended in this moment.
            let _ = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut cat = Told::start("cat", &mut Command::new("cat"), folder.path()).unwrap();
        cat.tell("one two").unwrap();
        cat.tell("two three").unwrap();
        for words in ["two", "two", "three"] {
            cat.hear(words, Duration::from_secs(60)).unwrap();
        }
        let error = cat.hear("one", Duration::from_millis(50)).unwrap_err().to_string();
        assert!(error.contains("cat did not say `one`") && error.contains("two three"), "{error}");
        assert_eq!(cat.finish().unwrap(), "one two\ntwo three\n");
    }
}
