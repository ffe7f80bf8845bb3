//! Header lines on their way from one side of a call to the other: bounded, without line breaks in a value.

/// Most lines of one message that cross.
pub(crate) const LINES_MAX: usize = 32;
/// Most bytes that they may have together.
pub(crate) const LINES_BYTES_MAX: usize = 4_096;

/// The lines, as `Name: value` in one text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Lines {
    text: String,
    count: usize,
    dropped: usize,
}

impl Lines {
    /// Adds a header field. One beyond the limits, or that is no UTF-8, is dropped and counted.
    pub(crate) fn push(&mut self, name: &str, value: &[u8]) {
        let before = self.text.len();
        let is_whole = core::str::from_utf8(value).is_ok_and(|value| {
            self.text.push_str(name);
            self.text.push_str(": ");
            // A folded line reads as one with a space (RFC 3261 §7.3.1).
            let letters = value.chars().map(|letter| if matches!(letter, '\r' | '\n' | '\t') { ' ' } else { letter });
            self.text.extend(letters.filter(|letter| !letter.is_control()));
            self.text.push('\n');
            true
        });
        if is_whole && self.count < LINES_MAX && self.text.len() <= LINES_BYTES_MAX {
            self.count += 1;
        } else {
            self.text.truncate(before);
            self.dropped += 1;
        }
    }

    /// Each name with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter_map(|line| line.split_once(": "))
    }

    /// How many header fields were dropped.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped
    }

    /// Frees memory that is not used.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_stay_lines() {
        let mut lines = Lines::default();
        lines.push("Subject", "a\r\n\tfolded\u{7} \u{e4}".as_bytes());
        lines.push("Subject", b"\xff");
        lines.push("Subject", &[b'x'; LINES_BYTES_MAX]);
        assert_eq!(lines.iter().collect::<Vec<_>>(), [("Subject", "a   folded \u{e4}")]);
        assert_eq!(lines.dropped(), 2);
        (0..LINES_MAX).for_each(|_| lines.push("X", b"1"));
        assert_eq!((lines.iter().count(), lines.dropped()), (LINES_MAX, 3));
    }
}
