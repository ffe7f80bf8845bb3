use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names a session of one [`crate::api::SessionCoordinator`]; it is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId {
    shard: u16,
    number: u64,
}

impl SessionId {
    pub(crate) fn new(shard: usize, id: session::SessionId) -> Self {
        Self { shard: shard as u16, number: id.as_u64() }
    }

    pub(crate) fn shard(self) -> usize {
        usize::from(self.shard)
    }

    pub(crate) fn inner(self) -> session::SessionId {
        session::SessionId::from_u64(self.number)
    }
}

/// As in `ringplane calls`: the shard, then the number in hexadecimal.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.shard, self.number)
    }
}

/// In logs, the same as for people.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// The text names no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a session is named by its shard and a hexadecimal number, such as 0-1f")]
pub struct NotASessionId;

impl FromStr for SessionId {
    type Err = NotASessionId;

    fn from_str(text: &str) -> Result<Self, NotASessionId> {
        let (shard, number) = text.split_once('-').ok_or(NotASessionId)?;
        let shard = shard.parse().map_err(|_| NotASessionId)?;
        Ok(Self { shard, number: u64::from_str_radix(number, 16).map_err(|_| NotASessionId)? })
    }
}

impl TryFrom<String> for SessionId {
    type Error = NotASessionId;

    fn try_from(text: String) -> Result<Self, NotASessionId> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_as_it_went() {
        let id = SessionId::new(3, session::SessionId::from_u64(0xab_0000_0012));
        assert_eq!(id.to_string(), "3-ab00000012");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<SessionId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for nonsense in ["", "3", "x-1", "1-", "1-xyz", "70000-1"] {
            assert_eq!(nonsense.parse::<SessionId>(), Err(NotASessionId), "{nonsense}");
        }
    }
}
