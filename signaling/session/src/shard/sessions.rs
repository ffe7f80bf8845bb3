use crate::bridge::bridges::Bridges;
use crate::shard::index::{self, Index};
use crate::shard::table::Table;
use crate::timers::timer::Timer;
use crate::{
    Decide, Ports, Session, SessionEvent, SessionId, SessionState, Settings, Sip, Sources, Standing, Timeouts,
    UserLimit,
};
use clock::Instant;
use contract::Command;
use media_control::{AwaitedCount, Legs, MediaTurn};
use sip_core::{AccountId, CallId, DialogId, SubscriptionId};
use stats::{Counts, SignalCounter};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};

/// All sessions of one shard.
pub struct Sessions {
    pub(crate) settings: Settings,
    pub(crate) table: Table,
    pub(crate) by_dialog: Index<DialogId>,
    /// Early dialogs of calls that we place.
    pub(crate) by_early: Index<DialogId>,
    pub(crate) by_call: Index<CallId>,
    pub(crate) by_subscription: Index<SubscriptionId>,
    /// Calls that wait for names; the SIP side bounds them.
    pub(crate) by_lookup: Index<u64>,
    pub(crate) bridges: Bridges,
    pub(crate) deadlines: BinaryHeap<Reverse<(Instant, SessionId)>>,
    pub(crate) drawn_count: u64,
    pub(crate) legs: Legs,
    pub(crate) is_stopping: bool,
    /// The credentials for peers that ask for some, unless a call has others.
    pub(crate) account: Option<AccountId>,
    /// Counters.
    pub counts: Counts<SignalCounter>,
}

/// What sessions work with in one turn. `commands` and `events` are emptied by the caller afterwards.
pub struct Turn<'t> {
    /// The time.
    pub now: Instant,
    /// Where the message came to and from; only looked at for a new INVITE.
    pub path: Path,
    /// The SIP side.
    pub sip: &'t mut dyn Sip,
    /// The pool of media ports.
    pub ports: &'t mut dyn Ports,
    /// The user's decisions.
    pub decide: &'t mut dyn Decide,
    /// Commands for the media workers.
    pub commands: &'t mut Vec<(u8, Command)>,
    /// Events for the user.
    pub events: &'t mut Vec<SessionEvent>,
}

/// The addresses of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Path {
    /// The address of ours that it came to, or the advertised one.
    pub local: IpAddr,
    /// The address that it came from.
    pub remote: SocketAddr,
    /// We sent it ourselves ([`crate::Sip::home`]).
    pub is_ours: bool,
    /// What its source has shown.
    pub standing: Standing,
}

impl Turn<'_> {
    /// What the legs work with.
    pub(crate) fn media(&mut self) -> MediaTurn<'_> {
        MediaTurn { now: self.now, ports: &mut *self.ports, commands: &mut *self.commands }
    }
}

impl Sessions {
    /// A shard without sessions.
    pub fn new(settings: Settings) -> Self {
        Self {
            table: Table::new(settings.limits.max_calls),
            legs: Legs::new(settings.limits.max_calls),
            settings,
            by_dialog: Index::default(),
            by_early: Index::default(),
            by_call: Index::default(),
            by_subscription: Index::default(),
            by_lookup: Index::default(),
            bridges: Bridges::default(),
            deadlines: BinaryHeap::new(),
            drawn_count: 0,
            is_stopping: false,
            account: None,
            counts: Counts::default(),
        }
    }

    /// Limits each user's calls from now on, together with the other shards that were given a clone.
    pub fn limit_users(&mut self, limit: Option<UserLimit>) {
        self.settings.limits.user_limit = limit;
    }

    /// Other limits of time and room, and other codecs, for what begins from now on.
    pub fn reconfigure(&mut self, newer: &Settings) {
        let Settings { media, limits, timeouts, crossing, .. } = newer;
        self.settings.media.codecs.clone_from(&media.codecs);
        self.settings.media.codec_order = media.codec_order;
        self.settings.media.relays_all = media.relays_all;
        self.settings.media.telephone_event = media.telephone_event;
        (self.settings.media.digit_way, self.settings.media.digit_passing) = (media.digit_way, media.digit_passing);
        self.settings.media.transcoding = media.transcoding;
        self.settings.media.voice = media.voice;
        self.settings.limits.max_calls = limits.max_calls;
        self.settings.crossing = crossing.clone();
        let Timeouts { decision, answer, progress, age, probe_interval, .. } = *timeouts;
        self.settings.timeouts = Timeouts { decision, answer, progress, age, probe_interval, ..self.settings.timeouts };
        self.table.set_limit(limits.max_calls);
        self.legs.set_limit(limits.max_calls);
    }

    /// Limits the calls of each source from now on, together with the other shards that were given a clone.
    pub fn limit_sources(&mut self, sources: Option<Sources>) {
        self.settings.limits.sources = sources;
    }

    /// Whether a source may have another call waiting.
    pub fn has_room_for(&self, source: IpAddr, standing: Standing) -> bool {
        self.settings.limits.sources.as_ref().is_none_or(|sources| sources.has_room(source, standing))
    }

    /// The caller has acknowledged its answer, or the call is gone: it no longer waits.
    pub(crate) fn leave_seat(&mut self, id: SessionId) {
        let Some(session) = self.table.get_mut(id) else { return };
        let (seat, source) = (session.admitted.take_seat(), session.remote_signaling().ip());
        if let Some(sources) = &self.settings.limits.sources {
            sources.leave(source, seat);
        }
    }

    /// Sets the credentials for peers that ask for some, in calls that have none of their own.
    pub fn use_account(&mut self, account: Option<AccountId>) {
        self.account = account;
    }

    /// Sessions that are there now, ending ones included.
    pub fn count(&self) -> usize {
        self.table.count()
    }

    /// Whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.table.is_full()
    }

    /// Commands that wait for an answer of the media plane.
    pub fn awaited(&self) -> AwaitedCount {
        self.legs.awaited()
    }

    /// A session by its number.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.table.get(id)
    }

    /// All sessions.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.table.iter()
    }

    /// When to call [`Self::handle_deadline`]; it may turn out that nothing was due.
    pub fn deadline(&self) -> Option<Instant> {
        let session = self.deadlines.peek().map(|Reverse((at, _))| *at);
        session.into_iter().chain(self.legs.deadline()).min()
    }

    /// Moves a session to another state, and tells the user.
    pub(crate) fn go(&mut self, turn: &mut Turn<'_>, id: SessionId, next: SessionState) {
        let Some(session) = self.table.get_mut(id).filter(|session| session.state() != next) else { return };
        let old = session.state();
        session.life.go(next);
        turn.events.push(SessionEvent::StateChanged { id, old, new: next });
    }

    /// Sets or forgets a timer of a session.
    pub(crate) fn wake(&mut self, id: SessionId, timer: Timer, at: Option<Instant>) {
        let Some(session) = self.table.get_mut(id) else { return };
        session.timers.set(timer, at);
        if let Some(at) = at {
            self.deadlines.push(Reverse((at, id)));
            self.sweep_deadlines();
        }
    }

    /// The next session whose time has come, and for what. Timers that were set anew since are skipped.
    pub(crate) fn next_due(&mut self, now: Instant) -> Option<(SessionId, Timer)> {
        while let Some(Reverse((_, id))) = self.deadlines.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            let due = self.table.get_mut(id).and_then(|session| session.timers.take_due(now));
            match due {
                // There may be another one.
                Some(timer) => return Some((id, timer)),
                None => drop(self.deadlines.pop()),
            }
        }
        None
    }

    /// Drops deadlines that no longer count, once they are the most.
    pub(crate) fn sweep_deadlines(&mut self) {
        if self.table.count() == 0 {
            return self.deadlines.clear();
        }
        if self.deadlines.len() > 1_024 && self.deadlines.len() / 4 > self.table.count() {
            let table = &self.table;
            let counts = |at, id| table.get(id).is_some_and(|session| session.timers.has(at));
            self.deadlines.retain(|Reverse((at, id))| counts(*at, *id));
        }
    }

    /// Gives room back that a rush needed and nothing uses any more.
    pub(crate) fn give_back(&mut self) {
        index::give_back(&mut self.by_dialog);
        index::give_back(&mut self.by_call);
        self.legs.shrink();
        if self.deadlines.capacity() > index::KEPT_ROOM && self.deadlines.len() < self.deadlines.capacity() / 8 {
            self.deadlines.shrink_to(2 * self.deadlines.len());
        }
    }

    /// Counts a call for its user, where that is limited; `None`: the user has enough of them.
    pub(crate) fn count_user(&self, uri: &str) -> Option<Option<Box<str>>> {
        let Some(limit) = &self.settings.limits.user_limit else { return Some(None) };
        let user = UserLimit::user_of(uri);
        limit.take(&user).then_some(Some(user))
    }

    pub(crate) fn limit_age(&mut self, turn: &Turn<'_>, id: SessionId) {
        let limit = self.settings.timeouts.age;
        if !limit.is_zero() {
            self.wake(id, Timer::Age, Some(turn.now + limit));
        }
    }

    pub(crate) fn find(&self, dialog: DialogId) -> Option<SessionId> {
        self.by_dialog.get(&dialog).copied()
    }

    /// A number that no other session of this host is likely to have.
    pub(crate) fn draw(&mut self) -> u64 {
        self.drawn_count += 1;
        // SplitMix64, a bijection: numbers of one seed never repeat.
        let mut number = self.settings.seed.wrapping_add(self.drawn_count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}
