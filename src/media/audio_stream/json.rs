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
}
