//! What can be wrong with a call of this crate.

/// Why something was not done. Nothing has changed then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LegError {
    /// The handle names a leg that is gone.
    #[error("there is no such leg")]
    NoSuchLeg,
    /// The table of legs is full.
    #[error("there are as many legs as there may be")]
    Full,
    /// The pool has no port, or no media plane is there.
    #[error("no media port is free, or no media plane is there")]
    NoPort,
    /// The media plane has no worker with this number.
    #[error("the media plane has no worker {0}")]
    NoWorker(u8),
    /// A leg of this snapshot, or with this handle, is there already.
    #[error("the leg of this snapshot is there already")]
    AlreadyThere,
    /// The leg is in a state in which this cannot be done.
    #[error("the leg is in a state in which this cannot be done")]
    WrongState,
    /// A leg that is to hear itself has a player for that, not an edge.
    #[error("a leg cannot be the source of itself")]
    OwnSource,
    /// The leg has as many sources as it may have.
    #[error("a leg hears at most {max} others", max = crate::SOURCES_MAX)]
    Sources,
    /// A digit or its duration is out of range, or there are too many digits.
    #[error("digits are 0 to 15, of 40 ms to 5 s, and not too many at once")]
    Digits,
    /// The leg is being recorded already, or is not recorded, or the recording is to be too long.
    #[error("the leg is recorded already, or is not recorded, or for too long")]
    Recording,
    /// The media plane does not take a file now.
    #[error("the media plane does not take the file now")]
    File,
}

/// Why bytes are not a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It has another length than a snapshot of this version.
    #[error("a snapshot has {expected} bytes, not {got}")]
    Length {
        /// Bytes of a snapshot.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// It was written by a version with another layout.
    #[error("a snapshot of version {0} is not known")]
    Version(u8),
    /// It is damaged, or was cut off while it was written.
    #[error("the checksum does not fit")]
    Checksum,
    /// A field has a value outside its range.
    #[error("field `{0}` is out of range")]
    Field(&'static str),
}
