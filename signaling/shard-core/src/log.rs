//! The lines of the log about calls: one for each that fails, one for each that ends well where those are wanted. They
//! cannot be forged by what a peer writes, and a flood of them is cut short with a count of what was left out.

use clock::{Duration, Instant};
use session::{Attempt, CallStory, EndKind, EndOrigin, EndReason, Outcome, Share};
use sip_core::Flow;
use sip_wire::{Message, Name, StatusCode};
use std::fmt::{self, Write};

/// Lines about failures that may come at once.
const BURST: u32 = 50;
/// Lines about failures in a second, after that.
const LINES_PER_SECOND: u32 = 20;
/// How soon the log is told how many were left out.
const TELL_AFTER: Duration = Duration::from_secs(1);
/// Longest value that is repeated.
const VALUE_CHARS: usize = 128;
/// Refused INVITEs of one turn that may become lines; all are counted.
const REFUSALS_KEPT: usize = 32;

/// A line, and how much it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A call that failed.
    Failed(String),
    /// A call that went as calls go, or a step that every call takes.
    Usual(String),
}

/// Which lines of the usual kind are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Detail {
    /// Only failures.
    Failures,
    /// All calls.
    All,
}

/// Makes the lines of one shard.
pub struct CallLog {
    limiter: Limiter,
    refused_counts: StatusCounts,
}

/// How many INVITEs were refused with each status.
#[derive(Clone)]
pub struct StatusCounts(Box<[u64]>);

impl Default for CallLog {
    fn default() -> Self {
        Self { limiter: Limiter::default(), refused_counts: StatusCounts(vec![0; 400].into()) }
    }
}

impl StatusCounts {
    fn add(&mut self, status: u16) {
        if let Some(count) = usize::from(status).checked_sub(300).and_then(|index| self.0.get_mut(index)) {
            *count += 1;
        }
    }

    /// Those that there were.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        (300_u16..).zip(self.0.iter().copied()).filter(|(_, count)| *count > 0)
    }
}

/// INVITEs of one turn that were refused before there was a session.
#[derive(Default)]
pub struct Refusals {
    kept: Vec<Refusal>,
    others: Vec<u16>,
}

/// One of them.
struct Refusal {
    status: u16,
    origin: EndOrigin,
    remote: std::net::SocketAddr,
    story: Story,
}

/// What such a request says about itself.
#[derive(Default)]
struct Story {
    from: String,
    to: String,
    target: String,
    call_id: String,
    words: String,
    more: String,
    is_in_dialog: bool,
}

impl Refusals {
    /// Notes one: the request, and the answer that it got.
    pub fn note(&mut self, flow: &Flow, request: &Message<'_>, answer: &[u8]) {
        let status = status_of(answer);
        if self.kept.len() >= REFUSALS_KEPT {
            return self.others.push(status);
        }
        let story = Story { words: text(phrase_of(answer)), ..Story::of(request) };
        self.kept.push(Refusal { status, origin: EndOrigin::Here, remote: flow.remote, story });
    }

    /// Notes one that the proxy handed on or made up itself.
    pub fn note_proxied(&mut self, refused: &Proxied<'_>) {
        if self.kept.len() >= REFUSALS_KEPT {
            return self.others.push(refused.status);
        }
        let told = Message::parse(refused.request).as_ref().map(Story::of).unwrap_or_default();
        let story = Story { words: text(phrase_of(refused.answer)), more: refused.more.clone(), ..told };
        self.kept.push(Refusal { status: refused.status, origin: refused.origin, remote: refused.remote, story });
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.others.is_empty()
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.others.clear();
    }
}

/// An INVITE that the proxy or the redirect server answered with a refusal.
pub struct Proxied<'a> {
    pub status: u16,
    pub origin: EndOrigin,
    pub remote: std::net::SocketAddr,
    pub request: &'a [u8],
    pub answer: &'a [u8],
    /// Route and targets, as they stand in a line.
    pub more: String,
}

impl Story {
    fn of(message: &Message<'_>) -> Self {
        Self {
            from: text(message.from().map(|from| from.uri.as_bytes().to_vec()).unwrap_or_default().as_slice()),
            to: text(message.to().map(|to| to.uri.as_bytes().to_vec()).unwrap_or_default().as_slice()),
            target: text(message.request_uri().map(|uri| uri.as_bytes().to_vec()).unwrap_or_default().as_slice()),
            call_id: text(message.header(Name::CallId).unwrap_or_default()),
            is_in_dialog: message.to_tag().is_some(),
            ..Self::default()
        }
    }
}

/// The reason phrase of a response.
fn phrase_of(response: &[u8]) -> &[u8] {
    let line = response.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    line.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(4..)).unwrap_or_default()
}

/// The status of a response; 0: it is none.
pub fn status_of(response: &[u8]) -> u16 {
    let digits = response.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

impl CallLog {
    /// The line about a call that is over.
    pub fn ended(&mut self, now: Instant, reason: EndReason, call: &CallStory, detail: Detail) -> Option<Line> {
        if call.share == Share::SecondLeg {
            return None;
        }
        let is_unanswered = call.answered_at.is_none();
        if let Some(status) = call.status.filter(|_| is_unanswered && !call.is_outgoing) {
            self.refused_counts.add(status);
        }
        // A challenge is a step of every call whose caller has to prove who it is.
        let is_usual = match reason.kind() {
            EndKind::Completed => true,
            _ => call.number.is_none() && matches!(call.status, Some(401 | 407)),
        };
        if is_usual {
            return (detail == Detail::All).then(|| Line::Usual(line_of(reason, call)));
        }
        self.limiter.has_room(now).then(|| Line::Failed(line_of(reason, call)))
    }

    /// The lines about INVITEs that were refused before there was a session.
    pub fn refused(&mut self, now: Instant, refusals: &Refusals, detail: Detail) -> Vec<Line> {
        refusals.others.iter().for_each(|status| self.refused_counts.add(*status));
        self.limiter.left_out(now, refusals.others.len() as u64);
        let mut lines = Vec::new();
        for refusal in &refusals.kept {
            self.refused_counts.add(refusal.status);
            if matches!(refusal.status, 401 | 407) {
                if detail == Detail::All {
                    lines.push(Line::Usual(refusal.line()));
                }
            } else if self.limiter.has_room(now) {
                lines.push(Line::Failed(refusal.line()));
            }
        }
        lines
    }

    /// How many lines were left out, once it is time to say so.
    pub fn take_left_out(&mut self, now: Instant) -> Option<u64> {
        self.limiter.take_left_out(now)
    }

    /// When to ask [`Self::take_left_out`].
    pub fn deadline(&self) -> Option<Instant> {
        self.limiter.tell_at
    }

    pub fn refused_counts(&self) -> StatusCounts {
        self.refused_counts.clone()
    }
}

impl Refusal {
    fn line(&self) -> String {
        let story = &self.story;
        let what = if story.is_in_dialog { "INVITE inside a call refused: " } else { "call refused: " };
        let mut line = String::from(what);
        put_status(&mut line, self.status, &story.words);
        let _ = write!(line, " ({})", self.origin.name());
        for (name, value) in [("from", &story.from), ("to", &story.to), ("target", &story.target)] {
            put(&mut line, name, value);
        }
        line += &story.more;
        let _ = write!(line, " peer={}", self.remote);
        put(&mut line, "call_id", &story.call_id);
        line
    }
}

fn line_of(reason: EndReason, call: &CallStory) -> String {
    let what = match reason.kind() {
        EndKind::Completed => "call ended",
        EndKind::Cancelled => "call cancelled",
        EndKind::Rejected => "call refused",
        EndKind::Failed => "call failed",
    };
    let mut line = format!("{what}: ");
    match (reason, call.status) {
        (EndReason::Rejected(_) | EndReason::Refused(_), Some(status)) => put_status(&mut line, status, &call.words),
        (EndReason::LocalBye, _) if call.origin == EndOrigin::Called => line += "hung up",
        (_, Some(status)) if call.answered_at.is_none() => {
            let _ = write!(line, "{}, {status}", reason.name());
        }
        _ => line += reason.name(),
    }
    let _ = write!(line, " ({})", call.origin.name());
    if let Some(number) = call.number {
        let _ = write!(line, " call={number}");
    }
    put(&mut line, "from", &call.parties.from);
    put(&mut line, "to", &call.parties.to);
    put(&mut line, "called", &call.parties.called_user);
    if let Some(route) = &call.route {
        put(&mut line, "route", route);
    }
    put_attempts(&mut line, &call.attempts);
    let _ = write!(line, " peer={}", call.remote);
    let seconds = |from: Instant| call.ended_at.since(from).as_secs_f64();
    let _ = write!(line, " after={:.3}s", seconds(call.began_at));
    if let Some(at) = call.answered_at {
        let _ = write!(line, " talked={:.3}s", seconds(at));
    }
    put(&mut line, "call_id", &call.parties.call_id);
    if let Some(call_id) = &call.other_call_id {
        put(&mut line, "other_call_id", call_id);
    }
    line
}

/// A status with the words that came with it, else those that it has by the RFCs.
fn put_status(line: &mut String, status: u16, words: &str) {
    let usual = StatusCode::new(status).map_or("", StatusCode::reason_phrase);
    let words = if words.is_empty() { usual } else { words };
    let _ = write!(line, "{status} {}", Escaped(words));
}

fn put_attempts(line: &mut String, attempts: &[Attempt]) {
    if attempts.is_empty() {
        return;
    }
    let one = |attempt: &Attempt| {
        let way = format!("{}:{}", attempt.transport.via_name().to_ascii_lowercase(), attempt.remote);
        let outcome = match attempt.outcome {
            Outcome::Open => "no answer yet".to_owned(),
            Outcome::Answered => "answered".to_owned(),
            Outcome::Refused(status) => status.to_string(),
            Outcome::TimedOut => "no answer in time".to_owned(),
            Outcome::Unreachable => "unreachable".to_owned(),
            Outcome::NotSent => "not sent".to_owned(),
        };
        format!("{} by {way}: {outcome}", &attempt.uri)
    };
    let all: Vec<String> = attempts.iter().map(one).collect();
    put_list(line, "tried", &all);
}

/// One value of a line, in quotes that it cannot leave; none where it is empty.
pub fn put(line: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = write!(line, " {name}=\"{}\"", Escaped(value));
    }
}

/// The same for a list.
pub fn put_list(line: &mut String, name: &str, values: &[String]) {
    if !values.is_empty() {
        let all: Vec<String> = values.iter().map(|value| Escaped(value).to_string()).collect();
        let _ = write!(line, " {name}=\"{}\"", all.join(", "));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..4 * VALUE_CHARS).unwrap_or(bytes)).into_owned()
}

/// A text of a peer that can neither end its line or its quotes nor move a terminal's cursor, and is not too long.
pub struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, letter) in self.0.chars().enumerate() {
            if index >= VALUE_CHARS {
                return f.write_str("...");
            }
            // Those that turn the direction of writing, or are no letters at all, would show what is not there.
            let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            match letter {
                '"' | '\\' => write!(f, "\\{letter}")?,
                _ if letter.is_control() || turns => write!(f, "{}", letter.escape_default())?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A bucket of lines that fills again.
struct Limiter {
    left: u32,
    filled_at: Instant,
    left_out: u64,
    tell_at: Option<Instant>,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { left: BURST, filled_at: Instant::ZERO, left_out: 0, tell_at: None }
    }
}

impl Limiter {
    fn has_room(&mut self, now: Instant) -> bool {
        let new = now.since(self.filled_at).as_nanos() * u128::from(LINES_PER_SECOND) / 1_000_000_000;
        if new > 0 {
            self.left = (self.left + new.min(u128::from(BURST)) as u32).min(BURST);
            self.filled_at = now;
        }
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return true;
        }
        self.left_out(now, 1);
        false
    }

    fn left_out(&mut self, now: Instant, count: u64) {
        if count > 0 {
            self.left_out += count;
            self.tell_at.get_or_insert(now + TELL_AFTER);
        }
    }

    fn take_left_out(&mut self, now: Instant) -> Option<u64> {
        self.tell_at.filter(|at| *at <= now)?;
        self.tell_at = None;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_short_and_counted() {
        let (mut limiter, start) = (Limiter::default(), Instant::ZERO + Duration::from_secs(5));
        assert_eq!((0..1_000).filter(|_| limiter.has_room(start)).count(), BURST as usize);
        assert_eq!(limiter.take_left_out(start), None, "not at once");
        assert_eq!(limiter.tell_at, Some(start + TELL_AFTER));
        assert_eq!(limiter.take_left_out(start + TELL_AFTER), Some(950));
        assert_eq!((limiter.take_left_out(start + 2 * TELL_AFTER), limiter.tell_at), (None, None));
        let later = start + Duration::from_millis(500);
        assert_eq!((0..1_000).filter(|_| limiter.has_room(later)).count(), 10, "so many in half a second");
    }

    #[test]
    fn a_peer_cannot_write_lines_of_its_own() {
        let shown = Escaped("a\"b\\c\r\n2026 INFO forged\u{1b}[2J\u{202e}x\u{0}é").to_string();
        assert_eq!(shown, r#"a\"b\\c\r\n2026 INFO forged\u{1b}[2J\u{202e}x\u{0}é"#);
        assert_eq!(Escaped(&"x".repeat(999)).to_string().len(), VALUE_CHARS + 3);
    }

    #[test]
    fn the_status_of_an_answer() {
        assert_eq!((status_of(b"SIP/2.0 486 Busy\r\n"), status_of(b"INVITE x"), status_of(b"SIP/2.0 4")), (486, 0, 0));
    }
}
