//! The call cases of another team's back-to-back user agent, each over IPv4 and IPv6: set-up, ringing with and without
//! media, refusals, CANCEL early and after a lost 100, re-INVITEs from either side that are good, refused and broken, an
//! ACK with a wrong CSeq, hold, and media that never comes.

use crate::machine::{PROGRAM, root};
use std::process::Command;

/// In a network of its own, where descriptions may name addresses of nobody: nothing that is sent there leaves.
const FRAME: &str = r#"
    ip link set lo up
    printf '%s\n' '[sip]' 'listen = ["127.0.0.1:5060", "[::1]:5060"]' 'mode = "b2bua"' \
        'ring_timeout_s = 50' \
        'routes = { "@[::1]" = "sip:[::1]:5071", "*" = "sip:127.0.0.1:5071" }' \
        '[media]' 'ports = "10000-10999"' '[process]' "runtime_dir = \"$PWD\"" > ringplane.toml
    "$PROGRAM" serve --config ringplane.toml > switch.txt 2>&1 & switch=$!
    until grep -q 'is ready' switch.txt; do kill -0 $switch || exit 1; sleep 0.1; done
    "$PYTHON" "$SUITE" bob 5071 5060 10000 10999 > bob.txt 2>&1 & bob=$!
    sleep 1
    "$PYTHON" "$SUITE" alice 5072 5060 10000 10999 > alice.txt 2>&1; alice=$?
    sleep 1
    kill -TERM $bob; wait $bob; bob=$?
    "$PROGRAM" calls --config ringplane.toml > calls.txt 2>&1
    kill -TERM $switch; wait $switch && [ $alice = 0 ] && [ $bob = 0 ]
"#;

#[test]
fn the_cases_of_another_back_to_back_user_agent() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["180", "unshare", "--net", "--map-root-user", "sh", "-c", FRAME])
        .env("PROGRAM", PROGRAM)
        .env("PYTHON", root().join("target/peers/python/bin/python"))
        .env("SUITE", root().join("cli/tests/peers/call_suite.py"))
        .env("SIPLOG_BEND", "none")
        .current_dir(folder.path())
        .output()
        .expect("unshare runs (util-linux)");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let (alice, bob) = (read("alice.txt"), read("bob.txt"));
    assert!(output.status.success(), "{output:?}\nswitch: {}\nbob: {bob}\nalice: {alice}", read("switch.txt"));
    assert!(alice.contains("alice: 46 good, 0 unfinished") && read("calls.txt").contains("no calls"), "{alice}");
}
