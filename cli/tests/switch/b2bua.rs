//! The back-to-back user agent as a service: calls go on by the routes of the configuration.

use crate::machine::{alone, plan, skipped_frames, start};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::peers::{Scenario, Sipp, SippPlan, Switch, free_port, wait_for};
use std::net::UdpSocket;
use std::path::Path;
use tempfile::TempDir;

fn answering(folder: &Path) -> Sipp {
    let plan = SippPlan { scenario: Scenario::BuiltIn("uas"), ..SippPlan::default() };
    let sipp = Sipp::start(folder, "uas", None, &plan).unwrap();
    let is_up = || UdpSocket::bind(sipp.address).is_err().then_some(());
    assert!(wait_for(Duration::from_secs(60), is_up).is_some(), "SIPp does not listen");
    sipp
}

fn between(routes: &str) -> (Switch, TempDir) {
    let mut plan = plan(400);
    plan.sip = format!("mode = \"b2bua\"\nroutes = {{ {routes} }}");
    start(&plan)
}

fn assert_nothing_left(switch: &Switch) {
    let left = wait_for(Duration::from_secs(60), || (switch.call_count().ok()? == 0).then_some(()));
    assert!(left.is_some(), "calls are left: {}", switch.ask("calls").unwrap());
}

#[test]
fn sipp_calls_sipp_through_the_switch() {
    const CALLS: u32 = 1_000;
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let called = answering(folder.path());
    let (switch, _folder) = between(&format!("\"*\" = \"sip:{}\"", called.address));
    let plan = SippPlan { rate: 50, calls: CALLS, hold: Duration::from_millis(500), ..SippPlan::default() };
    let caller = Sipp::start(folder.path(), "uac", Some(switch.sip), &plan).unwrap();
    caller.finish(Duration::from_secs(90)).unwrap().assert_all_good(CALLS.into());
    assert_nothing_left(&switch);
}

/// One switch sends to another one that plays a tone: it crosses without a hole, and what callers say crosses too.
#[test]
fn sound_crosses_the_switch_both_ways() {
    const CALLS: usize = 50;
    let _turn = alone();
    let (far, _far_folder) = start(&plan(CALLS as u16));
    let (switch, _folder) = between(&format!("\"*\" = \"sip:{}\"", far.sip));
    let plan = CallPlan { calls: CALLS, rate: 50.0, hold: Duration::from_secs(8), ..CallPlan::tone(switch.sip) };
    let callers = std::thread::spawn(move || call(&plan, &mut |_, _| {}).unwrap());
    // The far side takes packets on every call.
    let all_speak = wait_for(Duration::from_secs(60), || {
        let calls = far.ask("calls").ok()?;
        let heard = calls.as_array()?.iter().filter(|call| call["received_packets"].as_u64() > Some(50)).count();
        (heard == CALLS).then_some(())
    });
    let report = callers.join().unwrap();
    assert!(all_speak.is_some(), "not all callers were heard: {}", report.to_text());
    assert_eq!((report.completed, report.failed_count(), report.silent), (CALLS as u64, 0, 0), "{}", report.to_text());
    let skipped = skipped_frames(&far, report.media.odd_steps); // on a machine that stalls
    assert!(report.media.holes == 0 && report.media.odd_steps <= skipped, "{skipped} skipped; {}", report.to_text());
    assert_nothing_left(&switch);
    assert_nothing_left(&far);
}

#[test]
fn a_dead_target_is_passed_over_and_an_unknown_number_is_not_found() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let called = answering(folder.path());
    let dead = free_port([127, 0, 0, 1].into()).unwrap();
    let routes = format!("\"+49*\" = [\"sip:127.0.0.1:{dead}\", \"sip:{}\"]", called.address);
    let (switch, _folder) = between(&routes);
    let plan = SippPlan { user: "+4930".into(), calls: 5, ..SippPlan::default() };
    let caller = Sipp::start(folder.path(), "uac", Some(switch.sip), &plan).unwrap();
    caller.finish(Duration::from_secs(90)).unwrap().assert_all_good(5);
    let plan = SippPlan { user: "nobody".into(), calls: 1, ..SippPlan::default() };
    let caller = Sipp::start(folder.path(), "unknown", Some(switch.sip), &plan).unwrap();
    let result = caller.finish(Duration::from_secs(60)).unwrap();
    assert!(result.errors.contains("SIP/2.0 404"), "{}", result.errors);
    assert_nothing_left(&switch);
}
