//! The search itself: two looks, some time apart, of which only what both of them saw is a leak.

use super::census::{Census, ShardCensus, Work};
use super::{Leak, LeakKind};
use crate::Name;
use clock::{Duration, Instant};

/// What is there at both looks, this far apart, stays: the media plane's table is up to a second old, and a call leaves one
/// table after the other.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// SIP keeps a dialog for 64*T1, 32 s, after its end; twice that without the end of any call is rest.
const REST: Duration = Duration::from_secs(64);
/// The shard sweeps its deadlines when they are more than so many, and more than four for each call.
const DEADLINES_KEPT: usize = 1_024;

/// A search for leaks beside live traffic.
///
/// ```
/// use clock::{Duration, Instant};
/// use engine::{Census, LeakSearch};
///
/// let start = Instant::from_nanos(1);
/// // The program knows a call that no shard has.
/// let census = Census { known: [(7, true)].into(), place_count: 1, ..Census::<u32>::default() };
/// let mut search = LeakSearch::new(start, &census, Duration::from_secs(10));
/// let again = search.deadline().expect("something is suspect");
/// search.look_again(again, &census);
/// assert_eq!(search.leaks().len(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct LeakSearch<C> {
    give_up: Duration,
    suspects: Vec<Leak<C>>,
    look_again_at: Option<Instant>,
    compared_count: usize,
    at_rest: bool,
}

impl<C: Name> LeakSearch<C> {
    /// Looks for the first time. A handler's method is given up after `give_up`.
    pub fn new(now: Instant, census: &Census<C>, give_up: Duration) -> Self {
        let suspects = suspects(census, now, give_up);
        let look_again_at = (!suspects.is_empty()).then(|| now + LOOK_AGAIN);
        let (compared_count, at_rest) = (census.thing_count(), is_at_rest(census, now));
        Self { give_up, suspects, look_again_at, compared_count, at_rest }
    }

    /// When to call [`Self::look_again`]; `None`: nothing is suspect, or it has been looked at twice.
    pub fn deadline(&self) -> Option<Instant> {
        self.look_again_at
    }

    /// Looks for the second time: only what has stayed is a leak.
    ///
    /// # Panics
    /// When it is called before [`Self::deadline`], or without one.
    pub fn look_again(&mut self, now: Instant, census: &Census<C>) {
        let due = self.look_again_at.take().expect("nothing is suspect");
        assert!(now >= due, "looked again before the deadline that was given");
        let again = suspects(census, now, self.give_up);
        self.suspects.retain(|leak| again.contains(leak));
    }

    /// What was found; after the first look these are suspects.
    pub fn leaks(&self) -> &[Leak<C>] {
        &self.suspects
    }

    /// How many things were compared.
    pub fn compared_count(&self) -> usize {
        self.compared_count
    }

    /// Whether no call had ended for so long that dialogs could be compared as well.
    pub fn at_rest(&self) -> bool {
        self.at_rest
    }
}

/// No call has ended for so long that nothing of one can be left.
fn is_at_rest<C>(census: &Census<C>, now: Instant) -> bool {
    census.last_end.is_none_or(|at| now.since(at) >= REST)
}

/// What would be a leak if it stayed.
fn suspects<C: Name>(census: &Census<C>, now: Instant, give_up: Duration) -> Vec<Leak<C>> {
    let mut found = Vec::new();
    compare_calls(census, &mut found);
    for shard in &census.shards {
        compare_media(shard, &mut found);
        compare_tables(shard, is_at_rest(census, now), &mut found);
    }
    compare_tasks(census, now, give_up, &mut found);
    let placed = census.known.values().filter(|has_place| **has_place).count();
    if census.place_count > placed {
        let what = format!("{} places are taken, {placed} by sessions that are there", census.place_count);
        found.push(Leak::new(LeakKind::Place, None, what));
    }
    for seat in census.seats.iter().filter(|seat| !census.known.contains_key(&seat.call)) {
        let what = format!("session {} is gone and still in {}", seat.call, seat.place);
        found.push(Leak::new(seat.kind, Some(seat.call), what));
    }
    found
}

fn compare_calls<C: Name>(census: &Census<C>, found: &mut Vec<Leak<C>>) {
    for shard in &census.shards {
        for (call, what) in &shard.leaks {
            let kind = if shard.calls.contains(call) { LeakKind::Session } else { LeakKind::Dialog };
            found.push(Leak::new(kind, Some(*call), what.clone()));
        }
        for call in shard.calls.iter().filter(|call| !census.known.contains_key(call)) {
            let what = format!("a shard has session {call}, the program does not know it");
            found.push(Leak::new(LeakKind::Session, Some(*call), what));
        }
    }
    let has = |call: &C| census.shards.iter().any(|shard| shard.calls.contains(call));
    for call in census.known.keys().filter(|call| !has(call)) {
        let what = format!("the program knows session {call}, its shard does not");
        found.push(Leak::new(LeakKind::Session, Some(*call), what));
    }
}

fn compare_tasks<C: Name>(census: &Census<C>, now: Instant, give_up: Duration, found: &mut Vec<Leak<C>>) {
    for task in census.handlers_older_than(now, give_up + LOOK_AGAIN) {
        let what = format!("the handler of session {} runs on although it was given up; does it block?", task.call);
        found.push(Leak::new(LeakKind::Task, Some(task.call), what));
    }
    let is_handled = |call: C| census.tasks.iter().any(|task| task.call == call && task.work == Work::Handler);
    let telling = census.tasks.iter().filter(|task| task.work == Work::Telling);
    for task in telling.filter(|task| !census.known.contains_key(&task.call) && !is_handled(task.call)) {
        let what = format!("a task of session {}, which is gone", task.call);
        found.push(Leak::new(LeakKind::Task, Some(task.call), what));
    }
}

fn compare_media<C>(shard: &ShardCensus<C>, found: &mut Vec<Leak<C>>) {
    let Some(ports) = &shard.ports else { return };
    for port in ports.taken.difference(&ports.used) {
        found.push(Leak::new(LeakKind::Port, None, format!("port {port} is taken, and no session has it")));
    }
    for port in &ports.orphans {
        let what = format!("the media plane runs a leg on port {port}, which no session holds");
        found.push(Leak::new(LeakKind::MediaLeg, None, what));
    }
}

fn compare_tables<C>(shard: &ShardCensus<C>, at_rest: bool, found: &mut Vec<Leak<C>>) {
    let dialogs = shard.dialogs.saturating_sub(shard.call_dialogs + shard.open_invites);
    if at_rest && dialogs > 0 {
        let what = format!("{dialogs} dialogs more than the sessions of shard {} have", shard.number);
        found.push(Leak::new(LeakKind::Dialog, None, what));
    }
    let kept = DEADLINES_KEPT + 4 * (shard.calls.len() + 1);
    if shard.deadlines > kept {
        let what = format!("{} deadlines for {} alarms", shard.deadlines, shard.timers);
        found.push(Leak::new(LeakKind::Timer, None, what));
    }
}

#[cfg(test)]
mod tests {
    use super::super::census::{HeldPorts, Seat, Task};
    use super::*;
    use crate::Relations;

    const GIVE_UP: Duration = Duration::from_secs(10);
    const NOW: Instant = Instant::from_nanos(1_000_000_000_000);

    /// Two calls that are up, with everything that belongs to them, and a third whose handler is told of its end.
    fn sound() -> Census<u32> {
        let ports: std::collections::HashSet<u16> = [10_000, 10_002].into();
        let shard = ShardCensus {
            calls: [1, 2].into(),
            dialogs: 2,
            call_dialogs: 2,
            deadlines: 900,
            ports: Some(HeldPorts { used: ports.clone(), taken: ports, orphans: Vec::new() }),
            ..ShardCensus::default()
        };
        Census {
            known: [(1, true), (2, true)].into(),
            place_count: 2,
            shards: vec![shard],
            tasks: vec![
                Task { call: 1, work: Work::Telling, since: NOW },
                Task { call: 3, work: Work::Telling, since: NOW },
                Task { call: 3, work: Work::Handler, since: NOW },
            ],
            seats: vec![Seat { kind: LeakKind::Group, call: 2, place: "group 1".into() }],
            last_end: Some(NOW),
        }
    }

    fn held(census: &mut Census<u32>) -> &mut HeldPorts {
        census.shards[0].ports.as_mut().unwrap()
    }

    /// The only thing that is wrong after `change`, a while later.
    fn only(later: Duration, change: impl FnOnce(&mut Census<u32>)) -> Leak<u32> {
        let mut census = sound();
        change(&mut census);
        let mut leaks = suspects(&census, NOW + later, GIVE_UP);
        assert_eq!(leaks.len(), 1, "{leaks:?}");
        leaks.remove(0)
    }

    #[test]
    fn a_sound_house_has_no_leaks() {
        let search = LeakSearch::new(NOW, &sound(), GIVE_UP);
        assert_eq!((search.leaks(), search.deadline()), (&[][..], None));
        assert_eq!((search.compared_count(), search.at_rest()), (2 + 2 + 3 + 1 + 6, false));
        assert!(LeakSearch::new(NOW + REST, &Census { tasks: Vec::new(), ..sound() }, GIVE_UP).at_rest());
    }

    #[test]
    fn whatever_stays_is_named() {
        use LeakKind::*;
        let at_once = Duration::ZERO;
        let found = [
            only(at_once, |census| census.known.extend([(9, false)])),
            only(at_once, |census| census.shards[0].calls.extend([8])),
            only(at_once, |census| census.shards[0].leaks.push((7, "dialog 5".into()))),
            only(at_once, |census| held(census).taken.extend([10_004])),
            only(at_once, |census| held(census).orphans.push(10_006)),
            only(at_once, |census| census.shards[0].deadlines = 2_000),
            only(at_once, |census| census.place_count += 1),
            only(at_once, |census| census.seats.push(Seat { kind: Sequence, call: 6, place: "sequence 4".into() })),
            only(at_once, |census| census.tasks.truncate(2)),
        ];
        let kinds: Vec<_> = found.iter().map(|leak| leak.kind).collect();
        assert_eq!(kinds, [Session, Session, Dialog, Port, MediaLeg, Timer, Place, Sequence, Task]);
        let words =
            ["session 9", "session 8", "dialog 5", "10004", "10006", "2000", "3 places", "sequence 4", "session 3"];
        for (leak, word) in found.iter().zip(words) {
            assert!(leak.what.contains(word), "{leak:?}");
        }
        // Time tells: code that was given up and runs on, dialogs that SIP should have forgotten.
        let stuck = only(GIVE_UP * 2, |_| {});
        assert_eq!((stuck.kind, stuck.call), (Task, Some(3)));
        let mut census = sound();
        census.tasks.clear();
        census.shards[0].dialogs = 5;
        assert_eq!(suspects(&census, NOW, GIVE_UP), []);
        let late = suspects(&census, NOW + REST, GIVE_UP);
        assert!(late.len() == 1 && late[0].what.contains("3 dialogs"), "{late:?}");
        census.shards[0].open_invites = 3;
        assert_eq!(suspects(&census, NOW + REST, GIVE_UP), [], "forks that have not been decided");
        // Without a media plane there are no ports to compare.
        let mut census = sound();
        census.shards[0].ports = None;
        assert_eq!(suspects(&census, NOW, GIVE_UP), []);
    }

    #[test]
    fn what_moves_on_between_two_looks_is_no_leak() {
        let mut first = sound();
        first.known.extend([(8, true), (9, true)]);
        first.place_count = 4;
        let mut search = LeakSearch::new(NOW, &first, GIVE_UP);
        assert_eq!((search.leaks().len(), search.deadline()), (2, Some(NOW + LOOK_AGAIN)));
        // 8 has come to its shard; 9 stays, and 7 is new.
        let mut second = first.clone();
        second.known.extend([(7, true)]);
        second.place_count = 5;
        second.shards[0].calls.insert(8);
        search.look_again(NOW + LOOK_AGAIN, &second);
        let [leak] = search.leaks() else { panic!("{:?}", search.leaks()) };
        assert_eq!((leak.kind, leak.call, search.deadline()), (LeakKind::Session, Some(9), None));
    }

    #[test]
    fn seats_are_those_of_relations() {
        let mut relations = Relations::<u32, u32>::default();
        let group = relations.groups().create("team", 4).unwrap();
        relations.groups().add(group, 1).unwrap();
        relations.dependencies().add(2, 1).unwrap();
        let now = clock::WallTime::from_unix_nanos(0);
        relations.sequences().create(now, 5, crate::SequenceRule::Alone).unwrap();
        let mut census = Census { seats: Vec::new(), ..sound() };
        census.add_seats(&mut relations);
        let seats: Vec<_> = census.seats.iter().map(|seat| (seat.kind, seat.call)).collect();
        assert_eq!(seats, [(LeakKind::Group, 1), (LeakKind::Dependency, 1), (LeakKind::Sequence, 5)]);
        let gone = suspects(&census, NOW, GIVE_UP);
        assert_eq!((gone.len(), gone[0].kind), (1, LeakKind::Sequence), "{gone:?}");
    }
}
