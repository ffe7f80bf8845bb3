//! Every operation in every state of a call through the back-to-back user agent, pjsua on one side and baresip on the
//! other: who hears whom, that every call ends where it has to, and that nothing is left (`tests/peers/matrix.py`).

use crate::machine::{PROGRAM, alone};
use std::path::Path;
use std::process::Command;

/// Sets of phones that play cells beside each other.
const RIGS: &str = "8";

/// In a network of its own, where ports may be fixed.
fn play(shards: &str, cells: &str) {
    let _turn = alone();
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/peers/python/bin/python");
    assert!(python.exists(), "{} is not there: `make peers` installs it", python.display());
    let output = Command::new("timeout")
        .args(["900", "unshare", "--net", "--map-root-user", "sh", "-c", "ip link set lo up; exec \"$0\" \"$@\""])
        .arg(python)
        .arg(root.join("tests/peers/matrix.py"))
        .arg(PROGRAM)
        .arg(folder.path())
        .args([shards, RIGS, cells])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("unshare runs (util-linux)");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    if !output.status.success() {
        // What the phones said and what was on the wire goes with the folder.
        let kept = folder.keep();
        panic!("{}, see {}:\n{said}\n{}", output.status, kept.display(), String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn pjsua_calls_baresip_in_every_state() {
    play("1", "pjsua calls baresip");
}

#[test]
fn baresip_calls_pjsua_in_every_state_over_four_shards() {
    play("4", "baresip calls pjsua");
}
