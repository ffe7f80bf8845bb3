//! The program's part in a shard: it answers what the shard asks, at once, and never waits. What the shard says is in
//! `shard_events.rs`.

use crate::api::advanced::{IncomingRequest, Served, SipMessage};
use crate::api::{DialogId, Priority, SessionCoordinator, SessionId};
use crate::calls::entry::Entry;
use crate::events::EventKind;
use crate::handlers::IncomingCall;
use crate::handlers::call_task::{self, HandlerNotice};
use session::{
    Admission, AdmissionRequest, Decide, Decision, Destination, DigestAuth, Sessions, Side, TransferRequest,
};
use sip_core::auth::Account;
use sip_core::{ClientRequestId, DialogInfo, RequestId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Notices that may wait for the handler of one call. Only a flood of keys fills it; keys beyond it are lost.
const NOTICE_COUNT_MAX: usize = 256;

pub(crate) struct ShardUser {
    pub(crate) shard: usize,
    pub(crate) coordinator: Weak<SessionCoordinator>,
    pub(crate) sessions: HashMap<session::SessionId, KnownSession>,
    pub(crate) account: Option<Account>,
    auth: Option<DigestAuth>,
}

pub(crate) struct KnownSession {
    pub(crate) entry: Arc<Entry>,
    /// Its handler hears of it for as long as this is there.
    _notices: mpsc::Sender<HandlerNotice>,
    pub(crate) media: MediaPhase,
}

/// What users were told of a session's media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MediaPhase {
    None,
    Flows,
    Paused,
}

impl ShardUser {
    pub(crate) fn new(
        shard: usize,
        coordinator: Weak<SessionCoordinator>,
        account: Option<Account>,
        auth: Option<DigestAuth>,
    ) -> Self {
        Self { shard, coordinator, sessions: HashMap::new(), account, auth }
    }

    /// Makes a session known to the program, with a task of its own for its handler.
    fn meet(
        &mut self,
        coordinator: &Arc<SessionCoordinator>,
        id: session::SessionId,
        entry: Arc<Entry>,
    ) -> &KnownSession {
        coordinator.registry.insert(entry.clone());
        let (notices, inbox) = mpsc::channel(NOTICE_COUNT_MAX);
        entry.set_notices(&notices);
        coordinator.runtime.spawn(call_task::run(self.coordinator.clone(), entry.clone(), inbox));
        self.sessions
            .entry(id)
            .insert_entry(KnownSession { entry, _notices: notices, media: MediaPhase::None })
            .into_mut()
    }
}

impl ShardUser {
    pub(crate) fn meet_placed(
        &mut self,
        coordinator: &Arc<SessionCoordinator>,
        sessions: &Sessions,
        id: session::SessionId,
    ) {
        let public = SessionId::new(self.shard, id);
        let placed = coordinator.registry.get(public).or_else(|| {
            let parties = sessions.get(id)?.parties();
            let entry = Entry::new(public, &parties.from, &parties.to, &parties.call_id, false);
            // Placed for the target that a peer named in a REFER: it takes the place of a call that is there.
            entry.facts().place = Some(coordinator.admission.seat(Priority::Normal));
            Some(Arc::new(entry))
        });
        if let Some(entry) = placed {
            self.meet(coordinator, id, entry);
        }
    }
}

impl Decide for ShardUser {
    fn admit(&mut self, request: &AdmissionRequest<'_>) -> Admission {
        match &mut self.auth {
            Some(auth) => auth.admit(request),
            None => Admission::Granted { user: None },
        }
    }

    fn transfer_requested(&mut self, transfer: &TransferRequest<'_>) -> Destination {
        let Some(coordinator) = self.coordinator.upgrade() else { return Destination::Refused(603) };
        if let Some(known) = self.sessions.get(&transfer.id) {
            known.entry.facts().refer_target = Some(transfer.target.into());
        }
        if coordinator.config.accept_transfers { Destination::Named } else { Destination::Refused(603) }
    }

    fn heard(&mut self, id: session::SessionId, message: &[u8]) {
        let keeps = self.coordinator.upgrade().is_some_and(|coordinator| coordinator.config.keep_messages);
        if let Some(known) = self.sessions.get(&id).filter(|_| keeps) {
            known.entry.facts().message = Some(SipMessage::new(message));
        }
    }

    fn requested(
        &mut self,
        request: RequestId,
        id: Option<session::SessionId>,
        message: &sip_wire::Message<'_>,
    ) -> bool {
        let Some(coordinator) = self.coordinator.upgrade() else { return false };
        let Some(serving) = coordinator.serving.clone() else { return false };
        let method = message.method().map(|method| String::from_utf8_lossy(method.as_bytes()).into_owned());
        let Some(method) = method.filter(|method| serving.methods.contains(method)) else { return false };
        let incoming = IncomingRequest {
            session: id.map(|id| SessionId::new(self.shard, id)),
            method,
            message: SipMessage::new(message.as_bytes()),
        };
        let served = Served { shard: self.shard, request, incoming };
        let runtime = coordinator.runtime.clone();
        runtime.spawn(served.serve(coordinator, serving.handler));
        true
    }

    fn responded(&mut self, request: ClientRequestId, status: u16, message: Option<&[u8]>) {
        if let Some(coordinator) = self.coordinator.upgrade() {
            coordinator.pending.settle(self.shard, request, status, message);
        }
    }

    fn dialog_confirmed(&mut self, id: session::SessionId, dialog: &DialogInfo<'_>) {
        let Some(coordinator) = self.coordinator.upgrade() else { return };
        let Some(known) = self.sessions.get(&id) else { return };
        let dialog = DialogId::of(dialog);
        known.entry.facts().dialog = Some(dialog.clone());
        coordinator.publish(&known.entry, EventKind::DialogCreated { dialog: dialog.clone() });
        known.entry.tell(HandlerNotice::DialogCreated(dialog));
    }

    fn incoming(&mut self, call: &session::IncomingCall<'_>) -> Decision {
        let Some(coordinator) = self.coordinator.upgrade() else {
            return Decision::Reject { status: 503, reason: "".into() };
        };
        let id = SessionId::new(self.shard, call.id);
        let (headers, sdp) = (headers(call.message), sdp(call.message));
        let call_id = headers.get("Call-ID").cloned().unwrap_or_default();
        let entry = Entry::new(id, call.from, call.to, &call_id, true);
        entry.facts().remote_sdp = sdp.as_deref().map(Into::into);
        if coordinator.config.keep_messages {
            entry.facts().message = Some(SipMessage::new(call.message.as_bytes()));
        }
        let incoming = IncomingCall {
            id,
            from: call.from.to_owned(),
            to: call.to.to_owned(),
            user: call.user.map(str::to_owned),
            called_user: call.called_user.to_owned(),
            sdp,
            headers,
            remote: call.remote,
            received_at: SystemTime::now(),
        };
        let kind = EventKind::IncomingCall {
            from: incoming.from.clone(),
            to: incoming.to.clone(),
            called_user: incoming.called_user.clone(),
        };
        let known = self.meet(&coordinator, call.id, Arc::new(entry));
        coordinator.publish(&known.entry, kind);
        known.entry.tell(HandlerNotice::Incoming(Box::new(incoming)));
        Decision::Defer
    }

    fn described(&mut self, id: session::SessionId, side: Side, sdp: &[u8]) {
        let Some(known) = self.sessions.get(&id) else { return };
        let text = String::from_utf8_lossy(sdp).into();
        let mut facts = known.entry.facts();
        match side {
            Side::Local => facts.local_sdp = Some(text),
            Side::Remote => facts.remote_sdp = Some(text),
        }
    }
}

fn headers(message: &sip_wire::Message<'_>) -> HashMap<String, String> {
    let mut headers: HashMap<String, String> = HashMap::with_capacity(message.header_count());
    for header in message.headers() {
        let value = String::from_utf8_lossy(header.value);
        let name = match header.name.as_str() {
            "" => String::from_utf8_lossy(header.raw_name).into_owned(),
            name => name.to_owned(),
        };
        headers
            .entry(name)
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    headers
}

fn sdp(message: &sip_wire::Message<'_>) -> Option<String> {
    let body = message.body();
    (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned())
}
