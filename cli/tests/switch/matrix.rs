//! Every operation in every state of a call through the back-to-back user agent, pjsua on one side and baresip on the
//! other: which phone hears which, that every call ends where it has to, and that nothing is left (`cli/tests/peers/matrix.py`).

use crate::machine::{PROGRAM, alone, root, second_try};
use loadtest::is_full_run;
use std::process::Command;

/// Sets of phones that play cells beside each other.
const RIGS: &str = "8";

/// In a network of its own, where ports may be fixed. `make test` plays the half of the cells that `half` names: every
/// operation in every state once, by one of the two phones; `make test-all` plays all of them.
fn play(shards: &str, cells: &str, half: &str) {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let python = root().join("target/peers/python/bin/python");
    assert!(python.exists(), "{} is not there: `make peers` installs it", python.display());
    let output = Command::new("timeout")
        .args(["900", "unshare", "--net", "--map-root-user", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""])
        .arg(python)
        .arg(root().join("cli/tests/peers/matrix.py"))
        .arg(PROGRAM)
        .arg(folder.path())
        .args([shards, RIGS, cells, if is_full_run() { "0/1" } else { half }])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("unshare runs (util-linux)");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let tries = said.lines().filter(|line| line.starts_with("SECOND ")).map(|line| format!("{line} ({cells})"));
    let tries = tries.collect::<Vec<_>>().join("\n");
    if !tries.is_empty() {
        second_try(&tries);
    }
    if !output.status.success() {
        // What the phones said and what was on the wire goes with the folder.
        let kept = folder.keep();
        panic!("{}, see {}:\n{said}\n{}", output.status, kept.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn pjsua_calls_baresip_in_every_state() {
    play("1", "pjsua calls baresip", "0/2");
}

#[test]
fn baresip_calls_pjsua_in_every_state_over_four_shards() {
    play("4", "baresip calls pjsua", "1/2");
}
