//! SIPp's own scenarios over UDP, one TCP connection, and one for each call; and those that need a relay in between.

use crate::machine::{alone, plan, start};
use clock::Duration;
use loadtest::peers::{Scenario, Sipp, SippPlan, SippResult, Switch, free_port, wait_for};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(120);
/// What calls hold, and what the proxy remembers for as long as copies may come.
const CALLS: [&str; 2] = ["calls_active", "ports_in_use"];
const BRANCHES: [&str; 2] = ["branches_open", "transactions_open"];

fn sipp_plan(scenario: &'static str, user: &str, calls: u32, more: &[&str]) -> SippPlan {
    SippPlan {
        scenario: Scenario::BuiltIn(scenario),
        user: user.into(),
        calls,
        more: more.iter().map(|word| (*word).to_owned()).collect(),
        ..SippPlan::default()
    }
}

fn play(folder: &Path, name: &str, to: SocketAddr, plan: &SippPlan) -> SippResult {
    Sipp::start(folder, name, Some(to), plan).unwrap().finish(PATIENCE).unwrap()
}

/// A SIPp that answers, and is ready to.
fn answering(folder: &Path, scenario: &'static str, calls: u32, how: &str) -> Sipp {
    let calls = calls.to_string();
    let sipp = Sipp::start(folder, scenario, None, &sipp_plan(scenario, "service", 0, &["-m", &calls, "-t", how]));
    let sipp = sipp.unwrap();
    let is_up = || match how {
        "u1" => UdpSocket::bind(sipp.address).is_err().then_some(()),
        _ => TcpStream::connect(sipp.address).ok().map(drop),
    };
    assert!(wait_for(PATIENCE, is_up).is_some(), "SIPp does not listen");
    sipp
}

/// Whether some program waits for TCP connections there, by the kernel's own list.
fn is_listened_on(port: u16) -> bool {
    let (address, listening) = (format!("0100007F:{port:04X}"), "0A");
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next();
        let is_any = local == Some(&format!("00000000:{port:04X}"));
        (local == Some(&address) || is_any) && words.nth(1) == Some(listening)
    })
}

fn in_between(mode: &str, routes: &str) -> (Switch, TempDir) {
    let mut plan = plan(100);
    plan.sip = format!("t1_ms = 50\nmode = \"{mode}\"\ndomains = [\"CA.cym.com\"]\nroutes = {{ {routes} }}");
    start(&plan)
}

fn is_quiet(switch: &Switch, levels: &[&str]) {
    let left = || levels.iter().map(|level| switch.counter(level).unwrap()).sum::<u64>();
    assert!(wait_for(PATIENCE, || (left() == 0).then_some(())).is_some(), "{}", switch.ask("stats").unwrap());
}

#[test]
fn callers_over_udp_and_tcp() {
    let _turn = alone();
    let (switch, folder) = start(&plan(100));
    // It reads the sounds that it plays from a folder beside it; they come with the package.
    std::os::unix::fs::symlink("/usr/share/sip-tester", folder.path().join("pcap")).unwrap();
    let sounding = Sipp::start(
        folder.path(),
        "pcap",
        Some(switch.sip),
        &sipp_plan("uac_pcap", "echo", 3, &["-max_socket", "100"]),
    )
    .unwrap();
    for how in ["u1", "t1", "tn"] {
        for scenario in ["uac", "regexp"] {
            let plan = sipp_plan(scenario, "tone", 10, &["-t", how, "-max_socket", "100"]);
            play(folder.path(), &format!("{scenario}-{how}"), switch.sip, &plan).assert_all_good(10);
        }
    }
    sounding.finish(PATIENCE).unwrap().assert_all_good(3);
    is_quiet(&switch, &CALLS);
}

#[test]
fn a_controller_brings_two_sides_together() {
    let _turn = alone();
    for how in ["u1", "t1"] {
        let folder = tempfile::tempdir().unwrap();
        let sides = [answering(folder.path(), "3pcc-A", 4, how), answering(folder.path(), "3pcc-B", 4, how)];
        let transport = if how == "u1" { "" } else { ";transport=tcp" };
        let at = |side: &Sipp| format!("\"sip:{}{transport}\"", side.address);
        let (switch, _switch_folder) = in_between("proxy", &format!("a = {}, b = {}", at(&sides[0]), at(&sides[1])));
        let (numbers, _numbers_folder) = start(&plan(50));
        // Through the proxy to SIPp's two sides, and to the switch itself as both sides.
        for (name, to) in [("proxy", switch.sip), ("numbers", numbers.sip)] {
            let between_port = free_port([127, 0, 0, 1].into()).unwrap();
            let between = format!("127.0.0.1:{between_port}");
            let leg = |scenario, user| sipp_plan(scenario, user, 4, &["-3pcc", &between, "-t", how]);
            let b = Sipp::start(folder.path(), &format!("{name}-b"), Some(to), &leg("3pcc-C-B", "b")).unwrap();
            // A connects to B at its start, and looking by connecting would be that connection.
            assert!(wait_for(PATIENCE, || is_listened_on(between_port).then_some(())).is_some());
            let a = play(folder.path(), &format!("{name}-a"), to, &leg("3pcc-C-A", "a"));
            a.assert_all_good(4);
            b.finish(PATIENCE).unwrap().assert_all_good(4);
        }
        for side in sides {
            side.finish(PATIENCE).unwrap().assert_all_good(4);
        }
        is_quiet(&switch, &BRANCHES);
        is_quiet(&numbers, &CALLS);
    }
}

#[test]
fn branches_and_answers_behind_the_switch() {
    let _turn = alone();
    for how in ["u1", "t1"] {
        let folder = tempfile::tempdir().unwrap();
        let transport = if how == "u1" { "" } else { ";transport=tcp" };
        // It registers, calls, and speaks to names that only the route knows; it knows no route set.
        let branches = answering(folder.path(), "branchs", 6, how);
        let (switch, _switch_folder) = in_between("proxy", &format!("\"*\" = \"sip:{}{transport}\"", branches.address));
        let plan = sipp_plan("branchc", "service", 3, &["-t", how]);
        let result = play(folder.path(), "branchc", switch.sip, &plan);
        assert_eq!(result.count("SuccessfulCall"), 3, "{}", result.errors);
        // SIPp's `uas` behind the back-to-back user agent.
        let called = answering(folder.path(), "uas", 10, how);
        let (switch, _switch_folder) = in_between("b2bua", &format!("\"*\" = \"sip:{}{transport}\"", called.address));
        play(folder.path(), "uac", switch.sip, &sipp_plan("uac", "x", 10, &["-t", how])).assert_all_good(10);
        is_quiet(&switch, &CALLS);
    }
}

/// SIPp 3.6 knows MD5 and takes the first challenge, which is that by default; the algorithms of RFC 8760 are asked of pjsua and, by hand, in `signald`'s tests.
#[test]
fn callers_who_are_asked_who_they_are() {
    let _turn = alone();
    for (mode, status) in [("numbers", 401), ("b2bua", 401), ("proxy", 407)] {
        // A proxy has no media, and no ports for it.
        let levels: &[&str] = if mode == "proxy" { &["calls_active", "branches_open"] } else { &CALLS };
        let folder = tempfile::tempdir().unwrap();
        let (far, _far_folder) = start(&plan(50));
        let mut plan = plan(50);
        plan.sip = format!("t1_ms = 50\nmode = \"{mode}\"\nroutes = {{ \"*\" = \"sip:{}\" }}", far.sip);
        let users = |password| format!("[auth]\nrealms = {{ \"example.com\" = {{ alice = \"{password}\" }} }}");
        plan.media = users("secret");
        let (switch, _switch_folder) = start(&plan);
        for how in ["u1", "t1"] {
            let digest = |calls| SippPlan {
                scenario: Scenario::ours(&format!("digest_{status}")),
                ..sipp_plan("uac", "tone", calls, &["-t", how])
            };
            play(folder.path(), &format!("{mode}-{how}"), switch.sip, &digest(10)).assert_all_good(10);
        }
        is_quiet(&switch, levels);
        plan.media = users("another");
        let (switch, _switch_folder) = start(&plan);
        let digest =
            SippPlan { scenario: Scenario::ours(&format!("digest_{status}")), ..sipp_plan("uac", "tone", 1, &[]) };
        let refused = play(folder.path(), &format!("{mode}-refused"), switch.sip, &digest);
        assert_eq!((refused.count("SuccessfulCall"), refused.count("FailedCall")), (0, 1), "{}", refused.errors);
        is_quiet(&switch, levels);
    }
}
