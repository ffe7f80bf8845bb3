//! What a process costs, read from `/proc`: CPU of all its threads, memory, descriptors, UDP ports.

use clock::Duration;
use serde::Serialize;
use std::fs;
use std::io;

/// One reading.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub struct Usage {
    /// CPU time of all threads that live, nanoseconds, as the scheduler accounts it. On loopback it includes the
    /// delivery of what the process sends.
    pub cpu_ns: u64,
    /// User time of the process, in the kernel's ticks of 10 ms turned to nanoseconds.
    pub user_ns: u64,
    /// Kernel time of the process, likewise.
    pub system_ns: u64,
    /// Memory in RAM, bytes.
    pub resident_bytes: u64,
    /// Memory in RAM that belongs to no file and is not shared, bytes.
    pub private_bytes: u64,
    /// Open descriptors.
    pub descriptors: u64,
    /// Threads.
    pub threads: u64,
}

/// Reads the usage of process `pid`.
pub fn of_process(pid: u32) -> io::Result<Usage> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let stat = read("stat")?;
    // The name in parentheses may hold anything; the fields that count come after the last one.
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let ticks = |at: usize| fields.get(at).copied().unwrap_or_default() * tick_ns;
    let status = read("status")?;
    let status_bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default() * 1_024
    };
    let mut usage = Usage {
        user_ns: ticks(11),
        system_ns: ticks(12),
        resident_bytes: status_bytes("VmRSS:"),
        private_bytes: status_bytes("RssAnon:"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        ..Usage::default()
    };
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        usage.cpu_ns += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or_default();
        usage.threads += 1;
    }
    Ok(usage)
}

/// Busy and total CPU time of the host since it started.
#[derive(Clone, Copy, Default, Debug)]
pub struct HostTime {
    /// Everything but idle and waiting for disks.
    pub busy: Duration,
    /// All of it.
    pub total: Duration,
}

/// Reads `/proc/stat`.
pub fn of_host() -> io::Result<HostTime> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .map(|f| f.parse().unwrap_or(0))
        .collect();
    let tick_ns = 1_000_000_000 / rustix::param::clock_ticks_per_second().max(1);
    let total: u64 = fields.iter().sum();
    let idle = fields.get(3).copied().unwrap_or(0) + fields.get(4).copied().unwrap_or(0);
    let time = |ticks: u64| Duration::from_nanos(ticks * tick_ns);
    Ok(HostTime { busy: time(total.saturating_sub(idle)), total: time(total) })
}

/// UDP sockets in a range of ports.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct UdpSockets {
    /// Bound ones.
    pub bound: usize,
    /// Those of them that are connected to a peer.
    pub connected: usize,
}

/// UDP sockets of the host, of any process, from port `first` to `last`.
pub fn udp_sockets(first: u16, last: u16) -> UdpSockets {
    let mut sockets = UdpSockets::default();
    for name in ["udp", "udp6"] {
        let text = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let mut words = line.split_whitespace().skip(1);
            let mut port = || u16::from_str_radix(words.next()?.rsplit_once(':')?.1, 16).ok();
            let (Some(local), Some(remote)) = (port(), port()) else { continue };
            if (first..=last).contains(&local) {
                sockets.bound += 1;
                sockets.connected += usize::from(remote != 0);
            }
        }
    }
    sockets
}

/// Processes that ran or wanted to run, averaged over the last minute.
pub fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// Processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// The command line of a process, its words apart.
pub fn command_line(pid: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(|w| String::from_utf8_lossy(w).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_counted_while_they_are_open() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        assert_eq!(udp_sockets(port, port), UdpSockets { bound: 1, connected: 0 });
        socket.connect("127.0.0.1:9").unwrap();
        assert_eq!(udp_sockets(port, port).connected, 1);
    }

    #[test]
    fn we_have_a_thread_memory_and_descriptors() {
        let usage = of_process(std::process::id()).unwrap();
        assert!(usage.threads >= 1 && usage.resident_bytes > 0 && usage.descriptors >= 3, "{usage:?}");
        assert!(of_host().unwrap().total > Duration::ZERO);
        assert!(of_process(u32::MAX).is_err());
    }
}
