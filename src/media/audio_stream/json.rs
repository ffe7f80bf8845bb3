//! The text messages of a WebSocket.

use serde::{Deserialize, Serialize};

/// To the server.
#[derive(Serialize, Debug)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToServer<'m> {
    Start {
        session_id: String,
        call_id: &'m str,
        from: &'m str,
        to: &'m str,
        rate: u32,
        /// One for each channel of the binary messages.
        tracks: &'static [&'static str],
    },
    Digit {
        digit: char,
    },
    Mark {
        name: String,
        heard: bool,
    },
    /// Frames that the server has lost up to now because it did not read.
    Lost {
        frames: u64,
    },
    Error {
        reason: String,
    },
    Stop {
        reason: &'m str,
    },
}

/// From the server.
#[derive(PartialEq, Eq, Deserialize, Debug)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum FromServer {
    Mark { name: String },
    Flush,
    Pause,
    Resume,
    Stop,
}

impl ToServer<'_> {
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_look_as_documented() {
        let mark = ToServer::Mark { name: "a\"b".into(), heard: true };
        assert_eq!(mark.text(), r#"{"type":"mark","name":"a\"b","heard":true}"#);
        let read = |text| serde_json::from_str::<FromServer>(text);
        assert_eq!(read(r#"{"type":"flush"}"#).unwrap(), FromServer::Flush);
        assert_eq!(read(r#"{"type":"mark","name":"x","more":1}"#).unwrap(), FromServer::Mark { name: "x".into() });
        for nonsense in ["", "{}", "[]", r#"{"type":"mark"}"#, r#"{"type":"explode"}"#, "null"] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }

    /// Messages with some bytes changed are read or refused; what is read is one of ours.
    #[test]
    fn changed_messages_do_no_harm() {
        let messages = [r#"{"type":"mark","name":"a\"b"}"#, r#"{"type":"flush"}"#, r#"{"type":"stop","more":[1,{}]}"#];
        let mut random = 1_u32;
        let mut below = |limit: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % limit.max(1)
        };
        let (mut read, mut refused) = (0, 0);
        for round in 0..30_000 {
            let mut text = messages[round % messages.len()].to_owned();
            for _ in 0..below(4) {
                let at = below(text.len().max(2) - 1);
                match below(4) {
                    0 => text.insert(at, ['"', '{', '[', '\\', '\0', 'e', '9', ','][below(8)]),
                    1 if !text.is_empty() => drop(text.remove(at)),
                    2 => text.truncate(at.max(1)),
                    _ => text = text.repeat(2),
                }
            }
            match serde_json::from_str::<FromServer>(&text) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
        assert!(read > 1_000 && refused > 1_000, "{read} read, {refused} refused");
        let deep = "[".repeat(200_000);
        assert!(serde_json::from_str::<FromServer>(&format!(r#"{{"type":"flush","deep":{deep}}}"#)).is_err());
    }
}
