//! Targets that send the request elsewhere (RFC 3261 §16.5, §16.7 step 4), and further paths to one target (RFC 3263 §4.3).

use crate::content::Refused;
use crate::proxy::context::Redirect;
use crate::proxy::targets::branch::{Attempt, Failure, Waiting};
use crate::proxy::targets::forward::is_fine;
use crate::proxy::{Proxy, ProxyEvent, ProxyId, ProxyOutput, Target};
use crate::table::slab::Handle;
use crate::transactions::Cancel;
use clock::Instant;
use sip_wire::Message;

impl Proxy {
    /// Hands a 3xx up instead of noting it as an answer; `false`: it is an answer like others.
    pub(crate) fn hand_redirection_up(
        &mut self,
        now: Instant,
        branch: Handle,
        message: &Message<'_>,
        out: &mut ProxyOutput,
    ) -> bool {
        let Some(handle) =
            self.transactions.clients.get(branch).filter(|branch| !branch.is_final).map(|branch| branch.context)
        else {
            return false;
        };
        let Some(context) = self.transactions.servers.get_mut(handle) else { return false };
        if context.targets.redirects_left == 0 || context.outcome.is_ending() {
            return false;
        }
        context.targets.redirects_left -= 1;
        let number = context.targets.redirects_left as u32;
        context.targets.redirects.push(Redirect { number, bytes: message.as_bytes().into() });
        self.close_branch(branch);
        let message = out.keep(message.as_bytes());
        out.event(ProxyEvent::Redirected { request: ProxyId(handle), redirect: number, message });
        self.finish(now, handle, out);
        true
    }

    /// Decides about a [`ProxyEvent::Redirected`]: the request goes to these targets next, before all that still wait.
    /// Those whose URI was a target already are left out (RFC 3261 §16.5); without any the 3xx counts as an answer.
    pub fn follow(
        &mut self,
        now: Instant,
        (request, redirect): (ProxyId, u32),
        targets: &[Target<'_>],
        out: &mut ProxyOutput,
    ) -> Result<(), Refused> {
        if !targets.iter().all(is_fine) {
            return Err(Refused::BadText);
        }
        let max_targets = self.config.max_targets;
        let context = self.transactions.servers.get_mut(request.0).ok_or(Refused::Gone)?;
        let at =
            context.targets.redirects.iter().position(|open| open.number == redirect).ok_or(Refused::WrongState)?;
        let open = context.targets.redirects.remove(at);
        let room = max_targets.saturating_sub(context.targets.count);
        let mut added: Vec<Waiting> = Vec::new();
        for target in targets {
            let uri = target.uri.unwrap_or_default();
            let is_known = context.targets.tried.iter().any(|tried| **tried == *uri);
            if added.len() < room && !is_known {
                context.targets.tried.push(uri.into());
                added.push(Waiting::new(target, true));
            }
        }
        let is_followed = !added.is_empty();
        context.targets.count += added.len();
        context.targets.waiting.extend(added);
        context.targets.waiting.sort_by_key(|target| target.group);
        if !is_followed && let Ok(message) = Message::parse(&open.bytes) {
            let status = message.status().map_or(302, |status| status.code());
            self.note_final(request.0, &Failure::Refusal { status, message: &message });
        }
        self.finish(now, request.0, out);
        Ok(())
    }

    /// The next path to the target of a branch that its path failed; `false`: there is none, or it is not wanted.
    pub(crate) fn try_next_path(
        &mut self,
        now: Instant,
        context: Handle,
        branch: Handle,
        out: &mut ProxyOutput,
    ) -> bool {
        let is_wanted =
            |proxy: &Self| proxy.transactions.servers.get(context).is_some_and(|open| !open.outcome.is_ending());
        let Some(failed) = self.transactions.clients.get_mut(branch) else { return false };
        let is_cancelled = !matches!(failed.cancel, Cancel::No);
        let Some(Attempt { mut target, breadth }) = failed.again.take().map(|again| *again) else { return false };
        if is_cancelled || !is_wanted(self) {
            return false;
        }
        while let Some(next) = target.by_next_path() {
            let attempt = Attempt { target: next, breadth };
            if self.start_branch(now, context, &attempt, out) {
                return true;
            }
            target = attempt.target;
        }
        false
    }
}
