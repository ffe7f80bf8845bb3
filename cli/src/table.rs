//! Columns of text for a terminal.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// What fits where there is little room.
#[derive(Clone, Copy)]
pub(crate) struct Fit<'a> {
    /// The width to fit into; `None`: everything is shown whole.
    pub(crate) width: Option<usize>,
    /// Columns that may go, the first ones first.
    pub(crate) may_go: &'a [usize],
    /// Columns that may be cut short, once those have gone.
    pub(crate) may_shrink: &'a [usize],
}

impl Fit<'_> {
    /// Everything is shown whole.
    pub(crate) const WHOLE: Fit<'static> = Fit { width: None, may_go: &[], may_shrink: &[] };
}

/// Cells of a column that was cut short have at least so many letters.
const SHRUNK_CHARS_MIN: usize = 8;

/// Rows under a heading, each column as wide as its widest cell; `right` names the columns that hold numbers.
pub(crate) fn text(heading: &[&str], right: &[usize], rows: &[Vec<String>], fit: Fit<'_>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = (0..heading.len()).map(width).collect();
    let mut shown: Vec<usize> = (0..heading.len()).collect();
    if let Some(limit) = fit.width {
        for column in fit.may_go {
            if total(&shown, &widths) > limit {
                shown.retain(|kept| kept != column);
            }
        }
        while total(&shown, &widths) > limit {
            let widest =
                fit.may_shrink.iter().filter(|column| shown.contains(column)).max_by_key(|column| widths[**column]);
            match widest {
                Some(column) if widths[*column] > SHRUNK_CHARS_MIN => widths[*column] -= 1,
                _ => break,
            }
        }
    }
    let line = |cells: &[&str]| {
        let padded = shown.iter().map(|column| {
            let (cell, width) = (cut(cells.get(*column).copied().unwrap_or(""), widths[*column]), widths[*column]);
            if right.contains(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let rows = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    std::iter::once(line(heading)).chain(rows).collect()
}

fn total(shown: &[usize], widths: &[usize]) -> usize {
    shown.iter().map(|column| widths[*column] + 2).sum::<usize>().saturating_sub(2)
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}

/// A text of a peer that cannot move the cursor.
pub(crate) fn escaped(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let one = |letter: char| match letter.is_control() || turns(letter) {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    text.chars().map(one).collect()
}

/// How wide the terminal is; `None`: output goes elsewhere, or the width is unknown.
pub(crate) fn terminal_width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.filter(|columns| *columns > 0).or_else(asked_width)
}

fn asked_width() -> Option<usize> {
    let terminal = std::fs::File::open("/dev/tty").ok()?;
    let asked = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output().ok()?;
    String::from_utf8_lossy(&asked.stdout).split_whitespace().nth(1)?.parse().ok().filter(|columns| *columns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_goes_or_is_cut_short() {
        let rows = vec![vec!["one".to_owned(), "x".repeat(60), "7".to_owned(), "y".repeat(40)]];
        let heading = ["id", "from", "n", "more"];
        let whole = text(&heading, &[2], &rows, Fit::WHOLE);
        assert!(whole.lines().nth(1).unwrap().len() > 100);
        let fit = Fit { width: Some(40), may_go: &[3], may_shrink: &[1] };
        let narrow = text(&heading, &[2], &rows, fit);
        assert!(
            narrow.lines().all(|line| line.len() <= 40) && narrow.contains("x~") && !narrow.contains('y'),
            "{narrow}"
        );
        assert_eq!(text(&heading, &[2], &rows, Fit { width: Some(200), ..fit }), whole);
        assert_eq!(escaped("a\u{1b}[2J\u{202e}b"), "a\\u{1b}[2J\\u{202e}b");
    }
}
