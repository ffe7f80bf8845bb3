//! Recordings of calls through the switch, read by other people's programs.

use crate::machine::{alone, plan, root, start};
use clock::Duration;
use loadtest::callers::{CallPlan, call};
use loadtest::capture::{share_of, shark_streams};
use loadtest::peers::{Switch, SwitchPlan, wait_for};
use std::path::{Path, PathBuf};
use std::process::Command;

const PATIENCE: Duration = Duration::from_secs(60);

/// A switch that sends all calls on to another one, and records into a folder.
fn recording(far: &Switch, folder: &Path, more: &str) -> SwitchPlan {
    let mut plan = plan(20);
    plan.sip = format!("mode = \"b2bua\"\nroutes = {{ \"*\" = \"sip:{}\" }}", far.sip);
    plan.media = format!("[recording]\nfolder = {folder:?}\n{more}");
    plan
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect()
}

/// What a program says about a file; it has to be content with that.
fn said(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_content = output.status.success() && !complaint.contains("cut short") && !complaint.contains("damaged");
    assert!(is_content, "{program}: {complaint}{said}");
    said
}

/// tshark and capinfos read the packets of both legs of a call, also those of a media process that was killed.
#[test]
fn packets_of_a_call_are_read_by_tshark() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let (far, _far_folder) = start(&plan(10));
    let (switch, _folder) = start(&recording(&far, folder.path(), ""));
    let sip = switch.sip;
    let caller = std::thread::spawn(move || {
        let plan = CallPlan { calls: 1, hold: Duration::from_secs(9), ..CallPlan::echo(sip) };
        call(&plan, &mut |_, _| {}).unwrap()
    });
    let number = wait_for(PATIENCE, || {
        let calls = switch.ask("calls").ok()?;
        let is_up =
            calls.as_array()?.len() == 2 && calls[0]["state"] == "connected" && calls[1]["state"] == "connected";
        is_up.then(|| calls[0]["call"].as_str().unwrap().to_owned())
    });
    let number = number.expect("a call");
    let begun = switch.ask(&format!("record {number} --packets")).unwrap();
    let file = PathBuf::from(begun["file"].as_str().unwrap_or_else(|| panic!("{begun}")));
    // Its sound may be recorded as well.
    let sound = switch.ask(&format!("record {number}")).unwrap();
    let sound = PathBuf::from(sound["file"].as_str().unwrap_or_else(|| panic!("{sound}")));
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |facts| facts.len());
    assert!(wait_for(PATIENCE, || (size(&file) > 100_000).then_some(())).is_some(), "two seconds of four streams");
    switch.ask(&format!("record {number} --packets --stop")).unwrap();
    assert!(wait_for(PATIENCE, || (switch.counter("recordings_running").ok()? == 1).then_some(())).is_some());

    let streams = shark_streams(&file, sip.port()).unwrap();
    assert_eq!(streams.len(), 4, "{streams:?}");
    for stream in &streams {
        assert!(stream.lost == 0 && stream.packets > 60, "{stream:?}");
        assert!((stream.mean_gap_ms - 20.0).abs() < 2.0, "{stream:?}");
        let is_ours = |port: u16| (switch.media_ports.0..=switch.media_ports.1).contains(&port);
        assert!(is_ours(stream.from.port()) != is_ours(stream.to.port()), "{stream:?}");
        assert!(streams.iter().any(|other| (other.from, other.to) == (stream.to, stream.from)), "{stream:?} is alone");
    }
    let rtp = ["-n", "--enable-heuristic", "rtp_udp", "-T", "fields", "-e", "rtp.p_type", "-Y", "rtp", "-r"];
    let payload_types = said("tshark", &rtp, &file);
    assert!(payload_types.lines().count() > 240 && payload_types.lines().all(|line| line == "0"), "{payload_types}");
    let wrong = ["-n", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
    let wrong =
        [&wrong[..], &["-Y", "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0", "-r"]].concat();
    assert_eq!(said("tshark", &wrong, &file), "");
    let facts = said("capinfos", &["-M"], &file);
    let has = |words: &str| facts.lines().any(|line| line.split_whitespace().eq(words.split_whitespace()));
    assert!(has("Number of interfaces in file: 2") && facts.contains("nanoseconds (9)"), "{facts}");

    // A pause leaves nothing behind, in the file of the sound alone now.
    switch.ask(&format!("record {number} --pause")).unwrap();
    switch.ask(&format!("record {number} --resume")).unwrap();
    let killed = switch.ask(&format!("record {number} --packets")).unwrap();
    let killed = PathBuf::from(killed["file"].as_str().unwrap_or_else(|| panic!("{killed}")));
    assert!(wait_for(PATIENCE, || (size(&killed) > 20_000).then_some(())).is_some());
    let media = switch.part("media").expect("a media process");
    Command::new("kill").args(["-9", &media.to_string()]).status().unwrap();
    switch.part_again("media", media, PATIENCE).unwrap();
    assert!(said("capinfos", &["-M", "-c"], &killed).contains("Number of packets"));
    assert!(hound::WavReader::open(&sound).unwrap().duration() > 8_000);
    caller.join().unwrap();
}

/// The caller transfers and leaves: its recording goes on with the two that are left, in the same file.
#[test]
fn a_recording_goes_on_after_a_transfer_by_the_caller() {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let (far, _far_folder) = start(&plan(10));
    let (switch, _folder) = start(&recording(&far, folder.path(), "calls = \"all\"\ncontents = \"both\""));
    let mut command = Command::new("sipp");
    let scenario = root().join("loadtest/scenarios/transfer_blind.xml");
    command.current_dir(folder.path()).args(["-sf", scenario.to_str().unwrap(), "-m", "1", "-nostdin"]);
    command.args(["-i", "127.0.0.1", "-s", "tone", "-key", "target", &format!("sip:tone@{}", far.sip)]);
    command.arg(switch.sip.to_string()).stdout(std::process::Stdio::null());
    assert!(command.status().unwrap().success(), "the transfer");
    let ended = |extension: &str| {
        files(folder.path()).into_iter().filter(|it| it.extension() == Some(extension.as_ref())).collect::<Vec<_>>()
    };
    let [sound] = &ended("wav")[..] else { panic!("{:?}", files(folder.path())) };
    let [packets] = &ended("pcapng")[..] else { panic!("{:?}", files(folder.path())) };
    let length = || hound::WavReader::open(sound).map_or(0, |wav| wav.duration());
    let at_transfer = length();
    assert!(wait_for(PATIENCE, || (length() > at_transfer + 16_000).then_some(())).is_some(), "{at_transfer} samples");
    assert_eq!(files(folder.path()).len(), 2, "they go on in the same files: {:?}", files(folder.path()));
    assert!(switch.stop(PATIENCE).unwrap().success());
    let mut wav = hound::WavReader::open(sound).unwrap();
    let samples: Vec<i16> = wav.samples().map(Result::unwrap).collect();
    for channel in 0..2 {
        let heard: Vec<i16> = samples.iter().skip(channel).step_by(2).copied().collect();
        let last = &heard[heard.len() - 12_000..heard.len() - 2_000];
        assert!(share_of(last, 440.0) > 0.8, "channel {channel}: {}", share_of(last, 440.0));
    }
    // The legs of the caller, of the called party, and of the one that the call was transferred to.
    let facts = said("capinfos", &["-M"], packets);
    let has = |words: &str| facts.lines().any(|line| line.split_whitespace().eq(words.split_whitespace()));
    assert!(has("Number of interfaces in file: 3"), "{facts}");
}
