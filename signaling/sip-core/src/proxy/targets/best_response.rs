//! Which response goes upstream when no branch was answered (RFC 3261 §16.7, step 6).

use crate::proxy::Proxy;
use crate::proxy::context::Best;
use crate::proxy::targets::branch::Failure;
use crate::table::slab::Handle;
use sip_wire::{Name, Rewrite, StatusCode};

/// Challenges that are collected for one response.
const MAX_CHALLENGES_BYTES: usize = 8192;

/// The better a response, the smaller.
fn rank(status: u16) -> u16 {
    let class = match status {
        600.. => 0, // it is meant for every branch
        _ => status / 100,
    };
    let inside = match status {
        401 | 407 | 415 | 420 | 484 => 0, // the caller can do something about it
        408 | 487 => 2,                   // nobody said anything
        503 => 2,
        _ => 1,
    };
    10 * class + inside
}

impl Proxy {
    /// Notes why a branch has failed. Where its target said nothing, the answer is ours.
    pub(crate) fn note_final(&mut self, handle: Handle, failure: &Failure<'_>) {
        let (status, message) = (failure.status(), failure.message());
        let Some(context) = self.transactions.servers.get_mut(handle) else { return };
        if context.outcome.is_answered {
            return;
        }
        if let Some(message) = message
            && matches!(status, 401 | 407)
        {
            for (name, title) in
                [(Name::WwwAuthenticate, "WWW-Authenticate"), (Name::ProxyAuthenticate, "Proxy-Authenticate")]
            {
                for value in message.header_lines(name) {
                    if context.outcome.challenges.len() + value.len() <= MAX_CHALLENGES_BYTES {
                        crate::message::compose::put(&mut context.outcome.challenges, &[title.as_bytes(), b": "]);
                        crate::message::incoming::put_unfolded(&mut context.outcome.challenges, value);
                        context.outcome.challenges.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
        if context.outcome.best.as_ref().is_some_and(|best| rank(best.status) <= rank(status)) {
            return;
        }
        let Some(message) = message else {
            context.outcome.best = Some(Best { status, bytes: Box::default() });
            return;
        };
        let mut bytes = Vec::with_capacity(message.as_bytes().len());
        let mut rewrite = Rewrite::new(message);
        rewrite.pop_via();
        let mut status = status;
        if status == 503 {
            // §16.7, step 6: ours is not the server that is overloaded.
            status = 500;
            if let Some(code) = StatusCode::new(500) {
                rewrite.status(code).remove(Name::RetryAfter);
            }
        }
        if matches!(status, 401 | 407) {
            rewrite.remove(Name::WwwAuthenticate).remove(Name::ProxyAuthenticate); // all of them follow at the end
        }
        if rewrite.write(&mut bytes).is_ok() {
            context.outcome.best = Some(Best { status, bytes: bytes.into_boxed_slice() });
        }
    }

    /// The best response with the challenges of all.
    pub(crate) fn best_bytes(best: &Best, challenges: &[u8]) -> Box<[u8]> {
        if !matches!(best.status, 401 | 407) || challenges.is_empty() {
            return best.bytes.clone();
        }
        let end = best.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (start, rest) = best.bytes.split_at(end);
        [start, challenges, rest].concat().into_boxed_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::rank;

    #[test]
    fn the_best_of_each_class() {
        let order = [603, 302, 407, 486, 408, 501, 503];
        assert!(order.windows(2).all(|pair| rank(pair[0]) < rank(pair[1])), "{order:?}");
    }
}
