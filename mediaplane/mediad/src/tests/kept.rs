//! A control client of its own process is killed; its legs go on until another client has adopted them, or in vain.

use super::transfers::{Talker, assert_whole};
use super::*;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command as Process, Stdio};

const W1: WorkerIndex = WorkerIndex(1);
const SOCKET: &str = "RINGPLANE_TEST_SOCKET";
const PEERS: &str = "RINGPLANE_TEST_PEERS";
/// Grace on the worker whose legs are adopted, and on the one whose legs are not.
const LONG_MS: u32 = contract::GRACE_MS_MAX;
const SHORT_MS: u32 = 500;

#[test]
fn legs_of_a_killed_process_go_on_are_adopted_or_end_after_their_grace() {
    let plane = Plane::new(2);
    let free = plane.free_ports();
    let (mut a, mut b, c) = (Talker::new(), Talker::new(), Phone::new());
    let sockets = [&a.phone.rtp, &a.phone.rtcp, &b.phone.rtp, &b.phone.rtcp, &c.rtp, &c.rtcp];
    let peers = sockets.map(|socket| socket.local_addr().unwrap().to_string()).join(",");
    let (mut told, stdin) = UnixStream::pair().unwrap();
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::kept::killed_process", "--ignored", "--nocapture"])
        .env(SOCKET, plane.config.process.media_control_socket())
        .env(PEERS, peers)
        .stdin(OwnedFd::from(stdin))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut ids = [0; 24];
    told.set_read_timeout(Some(PATIENCE)).unwrap();
    told.read_exact(&mut ids).expect("the child has opened its legs");
    let mut client = plane.client();
    let word = |at: usize| u32::from_le_bytes(ids[at..at + 4].try_into().unwrap());
    let [leg_a, leg_b, leg_c] = [0, 8, 16].map(|at| LegRef::new(word(at), word(at + 4)));
    [leg_a, leg_b, leg_c].iter().for_each(|leg| ports::learn(*leg, client.row(*leg).port));

    a.talk(leg_a);
    b.talk(leg_b);
    a.says(20);
    b.says(20);
    // As long as it lives, its legs are its own.
    client.command(W0, Command::Adopt { leg: leg_a, number: 3 });
    assert_eq!(client.answer(), Event::Refused { leg: leg_a, number: 3, reason: contract::RefuseReason::NoSuchLeg });
    child.kill().unwrap();
    child.wait().unwrap();
    let holder = |leg: LegRef| plane.media().host().region().reservations().holder(leg);
    eventually("its death is noticed", || [leg_a, leg_b].map(holder) == [Some(shm::ClientIndex::KEPT); 2]);
    a.says(20);
    b.says(20);
    for leg in [leg_a, leg_b] {
        client.command(W0, Command::Adopt { leg, number: 4 });
        assert_eq!(client.answer(), Event::Adopted { leg, number: 4 });
        assert_eq!(client.row(leg).state(), LegState::Open);
        client.command(W0, Command::Adopt { leg, number: 5 });
        assert_eq!(client.answer(), Event::Refused { leg, number: 5, reason: contract::RefuseReason::AlreadyOpen });
    }
    a.says(20);
    b.says(20);
    a.hush();
    b.hush();
    assert_whole(&plane, &a.heard(), 0, b.said());
    assert_whole(&plane, &b.heard(), 0, a.said());

    // Nobody wanted this one.
    assert!(c.hears_bye());
    eventually("its port is back", || holder(leg_c).is_none());
    client.close(W0, leg_a);
    assert!(a.phone.hears_bye());
    assert_eq!(client.row(leg_b).state(), LegState::Open);
    client.close(W0, leg_b);
    eventually("all ports are back", || plane.free_ports() == free);
}

#[test]
#[ignore = "the process that the test above kills"]
fn killed_process() {
    let mut parent: UnixStream = std::io::stdin().as_fd().try_clone_to_owned().unwrap().into();
    let peers = std::env::var(PEERS).unwrap();
    let peers: Vec<SocketAddr> = peers.split(',').map(|peer| peer.parse().unwrap()).collect();
    let stream = UnixStream::connect(std::env::var(SOCKET).unwrap()).unwrap();
    let end = shm::accept_offer(&stream, PATIENCE).unwrap();
    let mut client = Client { end, stream };
    let spec = |peer: usize, source: Source| {
        let mut payloads = PayloadMap::default();
        assert!(payloads.push(0, Codec::Pcmu));
        let (remote_rtp, remote_rtcp) = (peers[2 * peer].into(), peers[2 * peer + 1].into());
        let rewriting = contract::Rewriting::Continuous as u8;
        LegSpec::default().with(|spec| {
            spec.transport.remote_rtp = remote_rtp;
            spec.transport.remote_rtcp = remote_rtcp;
            spec.flow.source = source.into();
            spec.formats.payloads = payloads;
            spec.flow.rewriting = rewriting;
        })
    };
    let leg_a = client.open(W0, spec(0, Source::None));
    let leg_b = client.open(W0, spec(1, Source::Leg(leg_a)));
    client.command(W0, Command::Update { leg: leg_a, number: 1, update: spec(0, Source::Leg(leg_b)).into() });
    assert_eq!(client.answer(), Event::Updated { leg: leg_a, number: 1 });
    let leg_c = client.open(W1, spec(2, Source::Tone440));
    for (worker, grace_ms) in [(W0, LONG_MS), (W1, SHORT_MS)] {
        client.command(worker, Command::KeepLegs { number: 2, grace_ms });
        assert_eq!(client.answer(), Event::Kept { number: 2 });
    }
    for leg in [leg_a, leg_b, leg_c] {
        parent.write_all(&leg.row.to_le_bytes()).unwrap();
        parent.write_all(&leg.generation.to_le_bytes()).unwrap();
    }
    // Until it is killed.
    let _ = parent.read(&mut [0]);
}
