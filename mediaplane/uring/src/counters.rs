/// What the ring did, since it was made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct IoCounters {
    /// `io_uring_enter` calls.
    pub enters: u64,
    /// Completions reaped.
    pub completions: u64,
    /// Datagrams handed to the core.
    pub received: u64,
    /// Datagrams given to the kernel.
    pub sends: u64,
    /// Sends that the kernel refused.
    pub send_errors: u64,
    /// Multishot receives that ended and were armed again.
    pub rearms: u64,
    /// Of those, because no buffer was free (packets wait in the sockets meanwhile).
    pub no_buffer: u64,
    /// Errors that a receive ended with, mostly ICMP "port unreachable".
    pub receive_errors: u64,
    /// Datagrams too long for a buffer, dropped.
    pub truncated: u64,
    /// Datagrams that arrived for a socket that had been closed meanwhile, dropped.
    pub stale: u64,
    /// Wake-ups by another thread or process.
    pub wakes: u64,
    /// Socket actions that the kernel refused.
    pub socket_errors: u64,
}
