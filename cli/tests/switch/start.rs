//! Start and end of the switch, as the person at the terminal sees them.

use crate::machine::{PROGRAM, alone, plan, start};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::{Scenario, Sipp, SippPlan, Switch, SwitchPlan, wait_for};
use rustix::process::Signal;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};

fn ringplane(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the program runs")
}

/// `serve` with little else than these.
pub(crate) fn serve(listen: &str, folder: &Path, ports: &str) -> Command {
    let config = folder.join("refused.toml");
    let text = format!("[media]\nports = \"{ports}\"\nbind = \"127.0.0.1\"\n");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["serve", "--listen", listen, "--runtime-dir"]).arg(folder.join("run"));
    command.arg("--config").arg(config);
    command
}

/// Runs `serve` where it cannot start, and gives what it said.
fn refusal(listen: &str, folder: &Path, ports: &str) -> String {
    let output = serve(listen, folder, ports).output().expect("the program runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it started:\n{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("is ready"), "ready, it said");
    said
}

pub(crate) fn free_ports() -> String {
    let first = loadtest::peers::free_range([127, 0, 0, 1].into(), 64).unwrap();
    format!("{first}-{}", first + 63)
}

#[test]
fn a_taken_port_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let said = refusal(&taken.to_string(), folder.path(), &free_ports());
    for words in [taken.to_string().as_str(), "another program has this port", "ss -ulpn", "[sip] listen"] {
        assert!(said.contains(words), "no `{words}` in:\n{said}");
    }
    assert!(!said.contains("starting it again"), "{said}");
    drop(holder);
}

#[test]
fn an_address_of_another_host_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let said = refusal("192.0.2.1:5060", folder.path(), &free_ports());
    assert!(said.contains("192.0.2.1:5060") && said.contains("this host has no such address"), "{said}");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("run"), "a file, not a folder").unwrap();
    let said = refusal("127.0.0.1:0", folder.path(), &free_ports());
    assert!(said.contains("runtime_dir") && said.contains("/run"), "{said}");
}

#[test]
fn every_mistake_of_a_file_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "[sip]\nlisten = [\"x\"]\nfoo = 1\n[media]\nports = \"9-1\"\n").unwrap();
    let output = ringplane(&["check", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    for words in ["3 mistake(s)", "line 2", "line 3", "line 5", "no such key"] {
        assert!(said.contains(words), "no `{words}` in:\n{said}");
    }
    let defaults = ringplane(&["init"]).stdout;
    std::fs::write(&file, defaults).unwrap();
    assert!(ringplane(&["check", &file.display().to_string()]).status.success(), "`init` passes `check`");
    std::fs::write(&file, "[sip]\nroutes = { sales = \"sip:h\" }\n").unwrap();
    let output = ringplane(&["check", &file.display().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.starts_with("warning: ") && said.contains("line 2, column 10"), "{said}");
}

#[test]
fn help_names_every_command() {
    let help = String::from_utf8(ringplane(&["--help"]).stdout).unwrap();
    for command in ["serve", "media", "signal", "check", "init", "calls", "stats", "hangup", "record", "trace"] {
        assert!(help.contains(&format!("\n  {command} ")), "no {command} in:\n{help}");
    }
    let version = String::from_utf8(ringplane(&["--version"]).stdout).unwrap();
    assert_eq!(version, format!("ringplane {}\n", env!("CARGO_PKG_VERSION")));
}

/// Runs what the switch says will place calls, as it stands there, and gives the switch's words and the end of it.
fn as_printed(switch: &Switch, folder: &Path) -> (String, Output) {
    let said = switch.output();
    let line = said.lines().find(|line| line.trim_start().starts_with("sipp ")).expect("a command").trim().to_owned();
    let mut shell = Command::new("timeout");
    shell.args(["60", "sh", "-c", &format!("{line} -nostdin")]).current_dir(folder);
    (said, shell.output().expect("a shell runs"))
}

#[test]
fn what_is_printed_places_calls_wherever_the_switch_listens() {
    let _turn = alone();
    let ips = ["127.0.0.1", "::1", "127.0.0.2"].map(|ip| (plan(50), ip.parse::<IpAddr>().unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let called_plan = SippPlan { scenario: Scenario::BuiltIn("uas"), calls: 0, ..SippPlan::default() };
    let called = Sipp::start(folder.path(), "called", None, &called_plan).unwrap();
    let mut routed = plan(50);
    routed.sip = format!("mode = \"b2bua\"\nroutes = {{ \"+49*\" = \"sip:{}\" }}", called.address);
    let plans = ips.into_iter().map(|(plan, ip)| SwitchPlan { ip, ..plan }).chain([routed]);
    let switches: Vec<_> = plans.map(|plan| start(&plan)).collect();
    std::thread::scope(|scope| {
        for (switch, folder) in &switches {
            scope.spawn(|| {
                let (said, output) = as_printed(switch, folder.path());
                let heard = String::from_utf8_lossy(&output.stdout);
                assert!(output.status.success(), "{said}{heard}{}", String::from_utf8_lossy(&output.stderr));
                // The way back to this switch is printed as well, and works.
                let line = said.lines().find(|line| line.trim_start().contains(" stats ")).expect("a command").trim();
                let stats = Command::new("sh").args(["-c", line]).output().expect("a shell runs");
                assert!(stats.status.success(), "{line}: {}", String::from_utf8_lossy(&stats.stderr));
            });
        }
    });
    called.end(Duration::from_secs(30)).unwrap();
}

/// Calls are up; the switch is asked to end: every caller gets a BYE.
fn says_bye_to_every_call(signal: Signal) {
    const CALLS: usize = 50;
    let _turn = alone();
    let (mut switch, _folder) = start(&plan(CALLS as u16));
    let address = switch.sip;
    let callers = std::thread::spawn(move || {
        let hold = Duration::from_secs(60);
        call(&CallPlan { calls: CALLS, rate: 200.0, hold, ..CallPlan::tone(address) }, &mut |_, _| {}).unwrap()
    });
    let up = wait_for(Duration::from_secs(60), || (confirmed(&switch) == CALLS).then_some(()));
    assert!(up.is_some(), "not all calls came up: {}", switch.ask("calls").unwrap());
    switch.process().signal(signal).unwrap();
    assert!(switch.process().wait(Duration::from_secs(60)).unwrap().success());
    let report = callers.join().unwrap();
    assert_eq!(report.failed.get("ended by the switch"), Some(&(CALLS as u64)), "{}", report.to_text());
}

fn confirmed(switch: &Switch) -> usize {
    let calls = switch.ask("calls").unwrap();
    calls.as_array().unwrap().iter().filter(|call| call["state"] == "connected").count()
}

#[test]
fn ctrl_c_says_bye_to_every_call() {
    says_bye_to_every_call(Signal::INT);
}

#[test]
fn sigterm_says_bye_to_every_call() {
    says_bye_to_every_call(Signal::TERM);
}

#[test]
fn live_calls_and_counters_can_be_read() {
    let _turn = alone();
    let (switch, _folder) = start(&plan(10));
    let address = switch.sip;
    let callers = std::thread::spawn(move || {
        let hold = Duration::from_secs(8);
        call(&CallPlan { calls: 3, rate: 100.0, hold, ..CallPlan::tone(address) }, &mut |_, _| {}).unwrap()
    });
    let both_ways = ["received_packets", "sent_packets"];
    let heard = |call: &serde_json::Value| both_ways.iter().all(|count| call[count].as_u64() > Some(50));
    let calls = wait_for(Duration::from_secs(60), || {
        let calls = switch.ask("calls").ok()?;
        let all = calls.as_array()?.len() == 3 && calls.as_array()?.iter().all(heard);
        all.then_some(calls)
    });
    let calls = calls.expect("three calls with packets");
    for call in calls.as_array().unwrap() {
        assert_eq!((call["state"].as_str(), call["codec"].as_str()), (Some("connected"), Some("PCMU")), "{call}");
        assert_eq!(call["lost_packets"], 0, "{call}");
        assert!(call["jitter_us"].is_u64(), "{call}");
        let port: u16 = call["local"].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap();
        assert!((switch.media_ports.0..=switch.media_ports.1).contains(&port), "{call}");
    }
    assert_eq!(callers.join().unwrap().completed, 3);
    let stats = switch.ask("stats").unwrap();
    for counter in stats.as_array().unwrap() {
        let text = |key: &str| counter[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(text("name") && text("unit") && text("meaning") && counter["value"].is_u64(), "{counter}");
    }
}

#[test]
fn a_busy_user_is_busy() {
    let _turn = alone();
    let (switch, folder) = start(&plan(10));
    let plan = SippPlan { user: "busy".into(), calls: 1, ..SippPlan::default() };
    let sipp = Sipp::start(folder.path(), "busy", Some(switch.sip), &plan).unwrap();
    let result = sipp.finish(Duration::from_secs(60)).unwrap();
    assert!(result.errors.contains("SIP/2.0 486"), "{}", result.errors);
}

#[test]
fn calls_come_by_ipv6() {
    let _turn = alone();
    let mut v6 = plan(30);
    v6.ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let (switch, folder) = start(&v6);
    let sipp = SippPlan { rate: 50, calls: 50, ..SippPlan::default() };
    let sipp = Sipp::start(folder.path(), "v6", Some(switch.sip), &sipp).unwrap();
    sipp.finish(Duration::from_secs(60)).unwrap().assert_all_good(50);
    let echo = CallPlan { calls: 20, rate: 50.0, hold: Duration::from_secs(2), ..CallPlan::echo(switch.sip) };
    let report = call(&echo, &mut |_, _| {}).unwrap();
    assert_eq!((report.completed, report.failed_count(), report.media.lost()), (20, 0, 0), "{}", report.to_text());
}

/// What a process of ours said into the log, from a place on.
fn said_since(switch: &Switch, mark: usize, words: &str) -> String {
    let said = wait_for(Duration::from_secs(20), || {
        let said = switch.output().get(mark..).unwrap_or("").to_owned();
        said.contains(words).then_some(said)
    });
    said.unwrap_or_else(|| panic!("no `{words}` in:\n{}", switch.output()))
}

#[test]
fn sighup_reads_the_file_again_and_no_call_notices() {
    let _turn = alone();
    let (mut switch, folder) = start(&plan(10));
    let file = folder.path().join("ringplane.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let address = switch.sip;
    let callers = std::thread::spawn(move || {
        let hold = Duration::from_secs(6);
        call(&CallPlan { calls: 5, rate: 100.0, hold, ..CallPlan::echo(address) }, &mut |_, _| {}).unwrap()
    });
    wait_for(Duration::from_secs(20), || (confirmed(&switch) == 5).then_some(())).expect("five calls");
    // Mistakes: all of them are named, and nothing changes.
    let mark = switch.output().len();
    std::fs::write(&file, sound.replace("[sip]", "[sip]\nlistn = 1\nshards = 99")).unwrap();
    switch.process().signal(Signal::HUP).unwrap();
    let said = said_since(&switch, mark, "shards = 99");
    assert!(said.contains("the old one goes on") && said.contains("sip.listn"), "{said}");
    // A process that has to be started again while the file is broken gets what was sound.
    let old = switch.part("signal").expect("a signaling process");
    let mark = switch.output().len();
    std::fs::write(&file, sound.replace("[sip]", "[sip]\nring_timeout_s = 9\nt1_ms = 400")).unwrap();
    switch.process().signal(Signal::HUP).unwrap();
    let said = said_since(&switch, mark, "configuration read again");
    assert!(said.contains("in use now: sip.ring_timeout_s; only after a restart: sip.t1_ms"), "{said}");
    assert_eq!(switch.part("signal"), Some(old), "nothing was started again");
    let report = callers.join().unwrap();
    assert_eq!((report.completed, report.media.lost()), (5, 0), "{}", report.to_text());
    std::fs::write(&file, "[sip]\nlisten = 7\n").unwrap();
    loadtest::peers::send_signal(old, Signal::KILL).unwrap();
    switch.part_again("signal", old, Duration::from_secs(30)).expect("it is back");
    assert!(switch.stop(Duration::from_secs(30)).unwrap().success());
}

#[test]
fn a_reader_that_goes_away_and_a_full_disk_are_no_panic() {
    let shell = |line: &str| Command::new("sh").args(["-c", line]).env("RINGPLANE", PROGRAM).output().unwrap();
    for line in ["init", "--help", "serve --help"] {
        // The reader is gone before the first word.
        let output = shell(&format!("{{ sleep 0.2; $RINGPLANE {line}; echo \"status $?\" >&2; }} | true"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(said, "status 0\n", "{line}");
        let output = shell(&format!("$RINGPLANE {line} > /dev/full"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("cannot write to standard output"), "{line}: {said}");
        assert!(!said.contains("panicked"), "{said}");
        let output = shell(&format!("$RINGPLANE {line} >&- 2>&-"));
        assert_ne!(output.status.code(), Some(101), "{line}");
    }
    let output = shell("$RINGPLANE check /no/such/file 2>/dev/full >&-");
    assert_eq!(output.status.code(), Some(1), "a complaint that finds no place is none the less one");
}
