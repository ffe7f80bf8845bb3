//! What tshark says of the RTP streams of a capture: a second opinion on our own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

/// A stream by tshark's account.
#[derive(Clone, PartialEq, Debug)]
pub struct SharkStream {
    /// Who sends.
    pub from: SocketAddr,
    /// Who hears.
    pub to: SocketAddr,
    /// Names of its payload types, separated by commas.
    pub payloads: String,
    /// Packets.
    pub packets: u64,
    /// Packets that are missing in the sequence.
    pub lost: i64,
    /// Mean time between two packets, milliseconds.
    pub mean_gap_ms: f64,
    /// The longest, milliseconds.
    pub max_gap_ms: f64,
    /// Highest jitter (RFC 3550), milliseconds.
    pub max_jitter_ms: f64,
    /// A sequence number is not the one after the last.
    pub has_problem: bool,
}

/// Runs `tshark -z rtp,streams` over a capture whose SIP is on port `sip`.
pub fn shark_streams(file: &Path, sip: u16) -> io::Result<Vec<SharkStream>> {
    let said = tshark(file, sip, &["-q", "--enable-heuristic", "rtp_udp", "-z", "rtp,streams"])?;
    Ok(said.lines().filter_map(stream).collect())
}

/// Packets of a capture that a display filter of tshark lets through, where SIP is on port `sip`.
pub fn shark_count(file: &Path, sip: u16, filter: &str) -> io::Result<usize> {
    Ok(tshark(file, sip, &["-Y", filter])?.lines().count())
}

fn tshark(file: &Path, sip: u16, arguments: &[&str]) -> io::Result<String> {
    let mut command = Command::new("tshark");
    command.arg("-n").args(arguments).arg("-d").arg(format!("udp.port=={sip},sip")).arg("-r").arg(file);
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("tshark: {}", String::from_utf8_lossy(&output.stderr))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// One line of the table; the columns after the percentage of loss have no spaces in them.
fn stream(line: &str) -> Option<SharkStream> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percentage = words.iter().position(|word| word.starts_with('(') && word.ends_with("%)"))?;
    let address = |at: usize| {
        let ip: IpAddr = words.get(at)?.parse().ok()?;
        Some(SocketAddr::new(ip, words.get(at + 1)?.parse().ok()?))
    };
    let number = |at: usize| words.get(percentage + at)?.parse::<f64>().ok();
    Some(SharkStream {
        from: address(2)?,
        to: address(4)?,
        payloads: words.get(7..percentage.checked_sub(2)?)?.join(" "),
        packets: words.get(percentage.checked_sub(2)?)?.parse().ok()?,
        lost: words.get(percentage - 1)?.parse().ok()?,
        mean_gap_ms: number(2)?,
        max_gap_ms: number(3)?,
        max_jitter_ms: number(6)?,
        has_problem: words.last() == Some(&"X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read_and_the_head_is_not() {
        let line = "     0.015873      8.055919       127.0.0.1 10040       127.0.0.1 41256 0x7D53D3D4            g711U   \
                    403     1 (0.2%)          19.875          20.000          21.125           0.001           0.021  \
                    0.087 X";
        let found = stream(line).unwrap();
        assert_eq!((found.from.port(), found.to.port(), found.packets, found.lost), (10_040, 41_256, 403, 1));
        assert_eq!((found.payloads.as_str(), found.has_problem), ("g711U", true));
        assert_eq!((found.mean_gap_ms, found.max_gap_ms, found.max_jitter_ms), (20.0, 21.125, 0.087));
        assert_eq!(stream("   Start time      End time     Src IP addr  Port    Dest IP addr  Port  SSRC"), None);
    }
}
