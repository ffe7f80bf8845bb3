use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::SystemTime;

/// When this process first named a session, in milliseconds since 1970: names of an earlier run of the same program are
/// never given again, so that what is filed under them (a recording, a line of a log) stays apart.
static RUN: LazyLock<u64> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
});

/// A number that a shard of this run has given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Numbered {
    run: u64,
    shard: u16,
    number: u64,
}

impl Numbered {
    pub(crate) fn new(shard: usize, number: u64) -> Self {
        Self { run: *RUN, shard: shard as u16, number }
    }

    pub(crate) fn shard(self) -> usize {
        usize::from(self.shard)
    }

    /// A number of another run names nothing here.
    pub(crate) fn number(self) -> u64 {
        if self.run == *RUN { self.number } else { u64::MAX }
    }
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}-{:x}", self.run, self.shard, self.number)
    }
}

impl FromStr for Numbered {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let mut parts = text.split('-');
        let (Some(run), Some(shard), Some(number), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotASessionId);
        };
        let number_of = |text| u64::from_str_radix(text, 16).map_err(|_| NotASessionId);
        Ok(Self { run: number_of(run)?, shard: shard.parse().map_err(|_| NotASessionId)?, number: number_of(number)? })
    }
}

/// How a name is written: the run, the shard, and the number, such as `19abc01f2d4-0-1f`, run and number in hexadecimal. The
/// same for people, in logs and in JSON.
macro_rules! text_names {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0.to_string())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::api::NotASessionId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::api::NotASessionId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}
pub(crate) use text_names;

/// Names a session of one [`crate::api::SessionCoordinator`]; it is never used twice, not even after a restart. In JSON it
/// is a string.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(Numbered);

impl SessionId {
    pub(crate) fn new(shard: usize, id: session::SessionId) -> Self {
        Self(Numbered::new(shard, id.as_u64()))
    }

    pub(crate) fn shard(self) -> usize {
        self.0.shard()
    }

    pub(crate) fn inner(self) -> session::SessionId {
        session::SessionId::from_u64(self.0.number())
    }
}

text_names!(SessionId);

/// The text names no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a session is named by its run, its shard and its number, such as 19abc01f2d4-0-1f")]
pub struct NotASessionId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_went() {
        let id = SessionId::new(3, session::SessionId::from_u64(0xab_0000_0012));
        assert!(id.to_string().ends_with("-3-ab00000012"), "{id}");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<SessionId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for nonsense in ["", "3", "1-x-1", "1-1-", "1-1-xyz", "1-70000-1", "3-1f", "1-1-1-1"] {
            assert_eq!(nonsense.parse::<SessionId>(), Err(NotASessionId), "{nonsense}");
        }
    }

    #[test]
    fn a_name_of_an_earlier_run_names_nothing_of_this_one() {
        let now = SessionId::new(0, session::SessionId::from_u64(5));
        let before: SessionId = "1-0-5".parse().unwrap();
        assert!(before != now && before.inner() != now.inner());
    }
}
