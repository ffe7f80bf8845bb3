//! What must not matter: noise, dead processes, silent peers. And that nothing is left behind.

use crate::machine::{alone, capture_filter, plan, seen, start};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::flood::{damaged_rtp, damaged_sip, flood};
use loadtest::peers::{Dumpcap, Sipp, SippPlan, Switch, send_signal, wait_for};
use loadtest::usage::{self, Usage};
use rustix::process::Signal;
use std::net::SocketAddr;

fn part_usage(switch: &Switch, name: &str) -> Usage {
    usage::of_process(switch.part(name).expect("the part runs")).expect("its usage is readable")
}

/// Sum of all counters whose name contains `part`.
fn counted(switch: &Switch, part: &str) -> u64 {
    let stats = switch.ask("stats").expect("the switch answers");
    let counters = stats.as_array().expect("a list of counters");
    let named = counters.iter().filter(|counter| counter["name"].as_str().is_some_and(|name| name.contains(part)));
    named.filter_map(|counter| counter["value"].as_u64()).sum()
}

#[test]
fn noise_on_all_ports_costs_no_call() {
    const CALLS: usize = 100;
    const DATAGRAMS: u64 = 100_000;
    const MEGABYTE: u64 = 1 << 20;
    let _turn = alone();
    let (switch, _folder) = start(&plan(CALLS as u16));
    // Buffers that the first calls touch are not growth.
    let few = CallPlan { calls: CALLS, rate: 200.0, ..CallPlan::echo(switch.sip) };
    assert_eq!(call(&few, &mut |_, _| {}).unwrap().completed, CALLS as u64);
    let before = (part_usage(&switch, "signal"), part_usage(&switch, "media"));

    let (sip, ports) = (switch.sip, switch.media_ports);
    let media: Vec<SocketAddr> = (ports.0..=ports.1).map(|port| SocketAddr::new(sip.ip(), port)).collect();
    let noise = std::thread::spawn(move || {
        let sip_noise = flood(&[sip], damaged_sip, 1, DATAGRAMS, 20_000)?;
        let media_noise = flood(&media, damaged_rtp, 2, DATAGRAMS, 20_000)?;
        Ok::<_, std::io::Error>((sip_noise.sent, media_noise.sent))
    });
    let calls = CallPlan { calls: CALLS, rate: 100.0, hold: Duration::from_secs(14), ..CallPlan::echo(sip) };
    let report = call(&calls, &mut |_, _| {}).unwrap();
    let (sip_noise, media_noise) = noise.join().unwrap().unwrap();
    println!("{}", report.to_text());
    // A socket of the media plane that nobody uses may refuse by ICMP, which counts as refused here.
    assert!(sip_noise > DATAGRAMS * 9 / 10 && media_noise > DATAGRAMS / 2, "{sip_noise} {media_noise}");
    assert_eq!((report.completed, report.failed_count()), (CALLS as u64, 0), "{}", report.to_text());
    let faults = (report.media.damaged, report.media.duplicates, report.media.misdirected);
    assert_eq!(faults, (0, 0, 0), "what callers heard was theirs");
    // A machine that stalls lets a socket's buffer run full; noise that took the place of sound would cost far more.
    assert!(report.media.lost() < report.media.sent / 20, "{}", report.to_text());

    let after = (part_usage(&switch, "signal"), part_usage(&switch, "media"));
    for (name, before, after) in [("signal", before.0, after.0), ("media", before.1, after.1)] {
        let growth = after.private_bytes.saturating_sub(before.private_bytes);
        assert!(growth < 8 * MEGABYTE, "{name} grew by {growth} bytes");
    }
    assert!(counted(&switch, "malformed") > DATAGRAMS / 10, "{}", switch.ask("stats").unwrap());
}

fn comes_back_after_the_death_of(part: &str) {
    let _turn = alone();
    let (switch, folder) = start(&plan(200));
    let sipp = |name: &str, calls| {
        let plan = SippPlan { rate: 50, calls, ..SippPlan::default() };
        Sipp::start(folder.path(), name, Some(switch.sip), &plan).and_then(|s| s.finish(Duration::from_secs(60)))
    };
    sipp("before", 20).unwrap().assert_all_good(20);
    // Calls are up when it happens.
    let address = switch.sip;
    let callers = std::thread::spawn(move || {
        let plan = CallPlan { calls: 50, rate: 100.0, hold: Duration::from_secs(3), ..CallPlan::tone(address) };
        call(&plan, &mut |_, _| {})
    });
    let up = wait_for(Duration::from_secs(60), || (switch.call_count().ok()? == 50).then_some(()));
    assert!(up.is_some(), "50 calls did not come up");
    let (pid, other) = (switch.part(part).unwrap(), if part == "media" { "signal" } else { "media" });
    send_signal(pid, Signal::KILL).unwrap();
    switch.part_again(part, pid, Duration::from_secs(30)).unwrap();

    let mut attempt = 0;
    let good = wait_for(Duration::from_secs(60), || {
        attempt += 1;
        let result = sipp(&format!("after{attempt}"), 1).ok()?;
        (result.count("SuccessfulCall") == 1).then_some(())
    });
    assert!(good.is_some(), "no call succeeds any more; the switch printed:\n{}", switch.output());
    callers.join().unwrap().unwrap();
    sipp("then", 50).unwrap().assert_all_good(50);
    // The survivor neither hangs nor spins.
    let spun = part_usage(&switch, other);
    std::thread::sleep(Duration::from_secs(2));
    let busy_ns = part_usage(&switch, other).cpu_ns - spun.cpu_ns;
    assert!(busy_ns < 1_000_000_000, "{other} burnt {busy_ns} ns of CPU in 2 idle seconds");
    assert!(switch.stop(Duration::from_secs(60)).unwrap().success());
}

#[test]
fn calls_succeed_after_the_media_process_was_killed() {
    comes_back_after_the_death_of("media");
}

#[test]
fn calls_succeed_after_the_signaling_process_was_killed() {
    comes_back_after_the_death_of("signal");
}

#[test]
fn nothing_is_left_behind() {
    const CALLS: usize = 300;
    const MEGABYTE: u64 = 1 << 20;
    let _turn = alone();
    let (switch, _folder) = start(&plan(CALLS as u16));
    let round = || {
        let plan = CallPlan { calls: CALLS, rate: 300.0, hold: Duration::from_secs(2), ..CallPlan::tone(switch.sip) };
        let report = call(&plan, &mut |_, _| {}).unwrap();
        assert_eq!((report.completed, report.failed_count()), (CALLS as u64, 0), "{}", report.to_text());
        let none = wait_for(Duration::from_secs(60), || {
            (switch.call_count().ok()? == 0 && switch.counter("legs_open").ok()? == 0).then_some(())
        });
        assert!(none.is_some(), "calls or legs are left: {}", switch.ask("calls").unwrap());
    };
    round();
    let before = [part_usage(&switch, "signal"), part_usage(&switch, "media")];
    (0..3).for_each(|_| round());
    let after = [part_usage(&switch, "signal"), part_usage(&switch, "media")];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.descriptors, before.threads), (after.descriptors, after.threads));
        let growth = after.private_bytes.saturating_sub(before.private_bytes);
        assert!(growth < 4 * MEGABYTE, "{growth} bytes more after three more rounds");
    }
}

/// Callers that say nothing at all, as if their network had died.
#[test]
fn a_silent_caller_is_hung_up() {
    const CALLS: usize = 20;
    let _turn = alone();
    let mut plan = plan(CALLS as u16);
    plan.media = "media_timeout_s = 2".into();
    let (switch, folder) = start(&plan);
    let capture = Dumpcap::start(folder.path(), &capture_filter(&switch)).unwrap();
    let callers = CallPlan {
        calls: CALLS,
        rate: 100.0,
        hold: Duration::from_secs(20),
        talk: false,
        ..CallPlan::tone(switch.sip)
    };
    let report = call(&callers, &mut |_, _| {}).unwrap();
    assert_eq!(report.failed.get("ended by the switch"), Some(&(CALLS as u64)), "{}", report.to_text());
    let file = capture.finish().unwrap();
    let (_, streams, _) = seen(&file, &switch, 40);
    assert_eq!(streams.streams.len(), CALLS);
    for (key, stream) in &streams.streams {
        let lasted_ms = (stream.last_at_ns - stream.first_at_ns) / 1_000_000;
        assert!((1_000..6_000).contains(&lasted_ms), "{key:?} lasted {lasted_ms} ms");
    }
}
