//! "Did you mean": the word of a list that is nearest to what was written.

/// The word that was probably meant; `None`: none is near enough, or two are equally near.
pub(crate) fn nearest<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let written = plain(written);
    let allowed = match written.chars().count() {
        0..=2 => return None,
        3..=4 => 1,
        5..=8 => 2,
        _ => 3,
    };
    // The beginning of the other is as near as one slip: "warning" and "warn".
    let near = words.into_iter().map(|word| {
        let other = plain(word);
        let (slips, longer) = (distance(&written, &other), other.len() >= 3);
        let is_beginning = longer && (written.starts_with(&other) || other.starts_with(&written));
        ((if is_beginning { slips.min(1) } else { slips }, slips), word)
    });
    let mut near: Vec<_> = near.filter(|((far, _), _)| *far <= allowed).collect();
    near.sort_by_key(|(far, _)| *far);
    match near.as_slice() {
        [(best, _), (next, _), ..] if best == next => None,
        [(_, word), ..] => Some(*word),
        [] => None,
    }
}

/// The nearest name as a question behind a mistake, with a space before it; empty without a suggestion.
pub(crate) fn did_you_mean<'w>(written: &str, words: impl IntoIterator<Item = &'w str>) -> String {
    nearest(written, words).map_or_else(String::new, |word| format!("; did you mean \"{word}\"?"))
}

/// Words as a sentence has them: `"a", "b" or "c"`.
pub(crate) fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// Case and the separators of names do not count.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', ' '], "_")
}

/// Letters to add, drop, replace or swap with their neighbour (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), other.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let keys = ["listen", "listen_tcp", "max_calls", "mode", "dtmf", "ports"];
        for (written, meant) in [
            ("lisen", Some("listen")),
            ("lsiten", Some("listen")),
            ("listen-tcp", Some("listen_tcp")),
            ("maxcalls", Some("max_calls")),
            ("MODE", Some("mode")),
            ("modes", Some("mode")),
            ("port", Some("ports")),
            ("listen_udp", Some("listen")),
            ("registrar", None),
            ("x", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
        assert_eq!(nearest("abc1", ["abc2", "abc3"]), None, "two are as near");
        assert_eq!(either(&["a", "b", "c"]), r#""a", "b" or "c""#);
    }
}
