//! Media control and a real media plane over real shared memory and sockets: legs outlive their client, and the next one
//! restores them from snapshots and adopts them, while packets flow.

use clock::Duration;
use config::Config;
use contract::{Codec, Command, Direction, FileOffer, LegRef};
use media_control::{
    EdgeKind, EdgeState, FlowWish, Hears, LegEvent, LegId, LegState, LegWish, Legs, MediaTurn, Port, Ports,
    Restoration, Snapshot, SnapshotBytes, Sources, Standing,
};
use mediad::Media;
use shm::{ClientEnd, ClientIndex, Reservation, WorkerIndex};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixStream;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(60);
const WORKER: WorkerIndex = WorkerIndex(0);

/// A client of the media plane.
struct Link {
    end: ClientEnd,
    stream: UnixStream,
}

impl Ports for Link {
    fn take(&mut self) -> Option<Port> {
        self.take_on(WORKER.0)
    }

    fn take_on(&mut self, worker: u8) -> Option<Port> {
        let Reservation { leg, port: pair } = self.end.reserve(WorkerIndex(worker)).ok()?;
        Some(Port { leg, pair, worker })
    }

    fn has_worker(&self, worker: u8) -> bool {
        usize::from(worker) < self.end.region().plan().workers
    }

    fn hand_over(&mut self, leg: LegRef, recording: u64, file: File) -> io::Result<()> {
        shm::give_file(&self.stream, &FileOffer::new(leg, recording), &file)
    }

    fn give_back(&mut self, port: Port) {
        self.end.give_back(Reservation { leg: port.leg, port: port.pair }).unwrap();
    }
}

struct Client {
    link: Link,
    legs: Legs,
    told: Vec<(u64, LegEvent)>,
}

impl Client {
    fn of(config: &Config) -> Self {
        let stream = UnixStream::connect(config.process.media_control_socket()).unwrap();
        let end = shm::accept_offer(&stream, PATIENCE).unwrap();
        Self { link: Link { end, stream }, legs: Legs::new(64), told: Vec::new() }
    }

    fn turn<R>(&mut self, work: impl FnOnce(&mut Legs, &mut MediaTurn<'_>) -> R) -> R {
        let mut commands: Vec<(u8, Command)> = Vec::new();
        let mut turn = MediaTurn { now: clock::now(), ports: &mut self.link, commands: &mut commands };
        let result = work(&mut self.legs, &mut turn);
        for (worker, command) in commands {
            self.link.end.push(WorkerIndex(worker), &command).unwrap();
        }
        result
    }

    /// Hears what the media plane says until this is so.
    fn until(&mut self, what: &str, is: impl Fn(&Self) -> bool) {
        let give_up_at = clock::now() + PATIENCE;
        while !is(self) {
            assert!(clock::now() < give_up_at, "never: {what}; told: {:?}", self.told);
            match self.link.end.pop() {
                Some((_, event)) => {
                    let event = event.unwrap();
                    let told = self.turn(|legs, turn| legs.handle(turn, &event));
                    self.told.extend(told);
                }
                None => std::thread::yield_now(),
            }
        }
    }

    fn flows(&self, id: LegId) -> bool {
        self.legs.source(id).is_some_and(|(_, state)| state == EdgeState::Flowing)
    }

    fn open(&mut self, owner: u64, wish: &LegWish) -> LegId {
        let id = self.turn(|legs, turn| legs.reserve(turn, owner, None)).unwrap();
        self.turn(|legs, turn| legs.open(turn, id, wish)).unwrap();
        id
    }
}

/// A peer that sends PCMU and notes what it hears.
struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    seq: u16,
}

impl Phone {
    fn new() -> Self {
        let socket = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        Self { rtp: socket(), rtcp: socket(), seq: 100 }
    }

    fn wish(&self, hears: Option<LegId>) -> LegWish {
        let mut wish = LegWish::default();
        assert!(wish.formats.payloads.push(0, Codec::Pcmu));
        wish.transport.remote_rtp = self.rtp.local_addr().unwrap().into();
        wish.transport.remote_rtcp = self.rtcp.local_addr().unwrap().into();
        let hears = hears.map_or(Sources::None, |leg| Sources::One(Hears { leg, kind: EdgeKind::Relay }));
        wish.flow = FlowWish { direction: Direction::Both, hears, ..FlowWish::default() };
        wish
    }

    /// Says some packets to a leg; the other phone hears each of them. Gives the first and the last number of the stream
    /// that it hears, and its source.
    fn says_to(&mut self, port: u16, other: &Phone) -> (u16, u16, [u8; 4]) {
        let heard: Vec<_> = (0..20).map(|_| self.says_one_to(port, other)).collect();
        for (earlier, later) in heard.iter().zip(&heard[1..]) {
            assert_eq!((later.0, later.1), (earlier.0.wrapping_add(1), earlier.1), "one stream without a hole");
        }
        (heard[0].0, heard[19].0, heard[0].1)
    }

    fn says_one_to(&mut self, port: u16, other: &Phone) -> (u16, [u8; 4]) {
        let mut bytes = vec![0x80, 0];
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend((u32::from(self.seq) * 160).to_be_bytes());
        bytes.extend(0x1234_5678_u32.to_be_bytes());
        bytes.extend([self.seq as u8; 160]);
        self.seq += 1;
        self.rtp.send_to(&bytes, SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
        let mut heard = [0; 2_048];
        let length = other.rtp.recv(&mut heard).expect("the other phone hears it");
        assert_eq!((length, heard[12]), (bytes.len(), bytes[12]), "what was said");
        (u16::from_be_bytes([heard[2], heard[3]]), [heard[8], heard[9], heard[10], heard[11]])
    }
}

#[test]
fn legs_outlive_their_client_and_are_adopted_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    config.process.runtime_dir = folder.path().into();
    config.media.workers = 1;
    let first_port = 30_000 + (std::process::id() % 64) as u16 * 64;
    (config.media.ports.first, config.media.ports.last) = (first_port, first_port + 63);
    let media = Media::start(&config).unwrap();
    let region = media.host().region().clone();
    let free_count = || region.ports().levels(WORKER).free;
    let free_before = free_count();

    let mut client = Client::of(&config);
    let (mut a, b) = (Phone::new(), Phone::new());
    let one = client.open(1, &a.wish(None));
    let other = client.open(2, &b.wish(Some(one)));
    client.turn(|legs, turn| legs.want(turn, one, &a.wish(Some(other)))).unwrap();
    client.until("both hear each other", |client| client.flows(one) && client.flows(other));
    client.turn(|legs, turn| legs.keep_legs(turn, WORKER.0, Duration::from_secs(300)));
    client.until("the worker keeps legs", |client| client.legs.has_confirmed_keeping(WORKER.0));
    let port = client.legs.port(one).unwrap().pair.rtp;
    let (_, last, source) = a.says_to(port, &b);

    // It is gone with all that it knew, apart from these bytes.
    let snapshots: Vec<SnapshotBytes> =
        [one, other].iter().map(|id| client.legs.snapshot(*id).unwrap().write()).collect();
    let places = [one, other].map(|id| client.legs.port(id).unwrap().leg);
    drop(client);
    let give_up_at = clock::now() + PATIENCE;
    while !places.iter().all(|leg| region.reservations().holder(*leg) == Some(ClientIndex::KEPT)) {
        assert!(clock::now() < give_up_at, "its end is never noticed");
        std::thread::yield_now();
    }
    let (first, last_alone, source_alone) = a.says_to(port, &b);
    assert_eq!((first, source_alone), (last.wrapping_add(1), source), "its legs go on");

    let mut client = Client::of(&config);
    let mut restoration = Restoration::default();
    let ids: Vec<LegId> = client.turn(|legs, turn| {
        let adopt = |bytes: &SnapshotBytes| {
            let snapshot = Snapshot::read(bytes).unwrap();
            let row = region.legs().read(snapshot.port().leg).unwrap();
            assert_eq!(row.leg, snapshot.port().leg);
            restoration.adopt(legs, turn, &snapshot, Port { worker: row.worker, ..snapshot.port() }).unwrap()
        };
        let ids = snapshots.iter().map(adopt).collect();
        assert_eq!(restoration.connect(legs, turn), 2);
        ids
    });
    let (one, other) = (ids[0], ids[1]);
    client.until("both are ours and do what is wanted", |client| {
        ids.iter().all(|id| client.legs.standing(*id) == Ok(Standing::Confirmed) && client.flows(*id))
    });
    let adopted = |owner| client.told.contains(&(owner, LegEvent::Adopted));
    assert!(adopted(1) && adopted(2) && !client.told.iter().any(|(_, event)| *event == LegEvent::Lost));
    assert_eq!((client.legs.state(one), client.legs.state(other)), (Some(LegState::Open), Some(LegState::Open)));
    let (first, last, source_adopted) = a.says_to(port, &b);
    assert_eq!((first, source_adopted), (last_alone.wrapping_add(1), source), "nobody hears that");

    // They take orders: the edge goes, and they close.
    client.turn(|legs, turn| legs.want(turn, other, &b.wish(None))).unwrap();
    client.until("it hears nothing", |client| client.legs.standing(other) == Ok(Standing::Confirmed));
    client.turn(|legs, turn| legs.want(turn, other, &b.wish(Some(one)))).unwrap();
    client.until("it hears again", |client| client.flows(other));
    let (_, again, _) = a.says_to(port, &b);
    assert_ne!(again, last);
    for id in ids {
        assert!(!client.turn(|legs, turn| legs.close(turn, id)).unwrap());
    }
    client.until("both are closed", |client| client.legs.count() == 0);
    let give_up_at = clock::now() + PATIENCE;
    while free_count() < free_before {
        assert!(clock::now() < give_up_at, "ports are missing");
        std::thread::yield_now();
    }
}
