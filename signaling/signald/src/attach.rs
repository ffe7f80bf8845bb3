//! Finds the media process, at the start and whenever it comes back.

use crate::Error;
use crate::link::Attached;
use crate::shard::inbox::Inbox;
use clock::{Duration, Instant};
use shm::HandoverError;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

/// How long the media process may take to appear when we start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long a media process that took our connection may take to answer.
const HANDOVER_LIMIT: Duration = Duration::from_secs(1);
/// How often it is said that the media process is still missing.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// One try.
fn attach(path: &Path) -> Result<Attached, HandoverError> {
    let stream = UnixStream::connect(path)?;
    let end = shm::accept_offer(&stream, HANDOVER_LIMIT)?;
    stream.set_nonblocking(true)?;
    Ok(Attached { end, stream })
}

/// Whether another try cannot end better.
fn is_final(error: &HandoverError) -> bool {
    matches!(error, HandoverError::Version { .. } | HandoverError::Foreign(_) | HandoverError::Region(_))
}

/// Attaches at the start: waits for a media process that is about to come, not for one that does not fit. `None`: the
/// end was asked for.
pub(crate) fn attach_at_start(path: &Path, stop: &crate::Stop) -> Result<Option<Attached>, Error> {
    let until = clock::now() + START_LIMIT;
    loop {
        match attach(path) {
            Ok(attached) => return Ok(Some(attached)),
            Err(reason) if is_final(&reason) => return Err(Error::WrongMediaPlane { path: path.to_owned(), reason }),
            Err(error) if clock::now() >= until => {
                let reason = error.to_string();
                return Err(Error::NoMediaPlane { path: path.to_owned(), within: START_LIMIT, reason });
            }
            Err(_) if stop.wait(RETRY_PAUSE) => return Ok(None),
            Err(_) => {}
        }
    }
}

/// Brings media planes to the shards that lost theirs, until all shards are gone.
pub(crate) fn run(path: &Path, inboxes: &[Arc<Inbox>], lost: &Receiver<usize>) {
    let mut waiting: Vec<usize> = Vec::new();
    let mut complain_at = Instant::ZERO;
    loop {
        let asked = if waiting.is_empty() {
            lost.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            lost.recv_timeout(RETRY_PAUSE)
        };
        match asked {
            Ok(shard) => waiting.push(shard),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain(|shard| match attach(path) {
            Ok(attached) => {
                // One place, one asker: there is room, unless the shard has just been given another.
                let _ = inboxes[*shard].attached.push(attached);
                inboxes[*shard].wake();
                false
            }
            Err(error) => {
                if clock::now() >= complain_at {
                    tracing::warn!("no media plane at {}: {error}; new calls get 503 until it is back", path.display());
                    complain_at = clock::now() + COMPLAINT_PAUSE;
                }
                true
            }
        });
    }
}
