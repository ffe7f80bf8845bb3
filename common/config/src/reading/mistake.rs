use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong or unwise in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Line in the file, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// Full name of the key, as in `media.ports`, or of an entry of a table, as in `sip.routes."+49*"`; empty where the
    /// text is no TOML at all.
    pub key: String,
    /// What the file says; empty where the key stands for itself, or is not written.
    pub value: String,
    /// What may stand there, and what helps.
    pub allowed: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match (self.key.is_empty(), self.value.is_empty()) {
            (true, _) => f.write_str(&self.allowed),
            (false, true) => write!(f, "`{}`: {}", self.key, self.allowed),
            (false, false) => write!(f, "`{} = {}`: {}", self.key, self.value, self.allowed),
        }
    }
}

/// Everything that is wrong in a file, in the order of its lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            let end = if index + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{mistake}{end}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}; `ringplane init` writes one with every key explained", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was read and makes no sense.
    #[error("the configuration {} has {} mistake(s):\n{mistakes}", path.display(), mistakes.0.len())]
    Mistakes {
        /// The file.
        path: PathBuf,
        /// All mistakes.
        mistakes: Mistakes,
    },
}
