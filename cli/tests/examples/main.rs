//! Examples of the library with the executable as their peer. They are built by the library's own tests, or by `cargo build
//! --workspace --examples` with the same profile.

#[path = "../../../tests/examples/frame.rs"]
#[allow(dead_code, reason = "the tests of the other examples use the rest")]
mod frame;

use frame::{assert_holds, baresip, prepared_beside};

/// The switch itself as a peer, on another address of the frame's network; `$NAME` is its process.
fn switch(name: &str, ip: &str, port: u16, sip: &str) -> String {
    format!(
        "printf '%s\\n' '[sip]' 'listen = [\"{ip}:{port}\"]' '{sip}' '[media]' 'ports = \"30000-30100\"' \
         'bind = \"{ip}\"' '[process]' \"runtime_dir = \\\"$PWD/{name}\\\"\" > {name}.toml\n\
         '{program}' serve --config {name}.toml > {name}.txt 2>&1 & {name}=$!\n\
         for i in $(seq 200); do grep -q 'is ready' {name}.txt && break; sleep 0.05; done\n",
        program = env!("CARGO_BIN_EXE_ringplane"),
    )
}

#[test]
fn attended_transfer() {
    // Debian's phones refuse to be sent on with `Replaces`, so the phone is behind a switch, and the boss is one.
    let script = switch("boss", "127.0.0.2", 5080, "")
        + &switch(
            "office",
            "127.0.0.3",
            5060,
            "mode = \"b2bua\"\nroutes = { \"*\" = [\"sip:127.0.0.1:5060\"] }\n[transfer]\ntargets = \"anybody\"\nallow_local = true",
        )
        + "sleep 1\n"
        + &baresip("assistant", 9, "").replace("@127.0.0.1:5060", "@127.0.0.3:5060")
        + "\nkill -TERM $boss $office; wait; cat boss.txt office.txt";
    let (printed, did) = prepared_beside("attended_transfer", "sip:boss@127.0.0.2:5080", "true", &script);
    assert_holds(&printed, &["is on hold", "the boss is asked", "talks to sip:boss@127.0.0.2:5080 now"]);
    assert_holds(&did, &["Call established"]);
}
