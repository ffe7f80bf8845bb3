//! Every example does what its header says, with a real peer. Each runs in a network of its own (`unshare --net`), so
//! that it may have the addresses and ports that a reader sees.

use loadtest::peers::write_wav;
use std::path::PathBuf;
use std::process::Command;

/// The example's executable; `cargo test` builds all of them.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a file");
    let built = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    // One that is a package of its own lies beside the switch.
    let path = [built.join("examples"), built.to_owned()].map(|folder| folder.join(name));
    let path = path.iter().find(|path| path.is_file()).unwrap_or(&path[0]).clone();
    assert!(path.is_file(), "{} is not built: run `cargo test` without a choice of targets", path.display());
    path
}

/// Runs the example beside a shell script that talks to it; gives what the example printed and what the script did.
/// The example is asked to end (Ctrl-C) when the script is over, and must do so.
fn beside(name: &str, script: &str) -> (String, String) {
    prepared_beside(name, "", "true", script)
}

/// The same for an example that prints `last` when it has seen the end of what the script did: the script waits for it.
fn beside_until(last: &str, name: &str, script: &str) -> (String, String) {
    let wait = format!("for i in $(seq 300); do grep -qF '{last}' example.txt && break; sleep 0.05; done");
    beside(name, &format!("{script}\n{wait}"))
}

/// The same with arguments, and something to do first.
fn prepared_beside(name: &str, arguments: &str, before: &str, script: &str) -> (String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    // What a phone says all the time; a call ends when it has nothing more to say.
    write_wav(&folder.path().join("voice.wav"), &vec![50; 30 * 8_000]).expect("a voice");
    let frame = r#"
        ip link set lo up
        ( eval "$BEFORE" ) > before.txt 2>&1 || { cat before.txt >&2; exit 1; }
        "$EXAMPLE" $ARGUMENTS > example.txt 2>&1 &
        example=$!
        for i in $(seq 300); do grep -q listening example.txt && break; sleep 0.05; done
        ( eval "$SCRIPT" ) > script.txt 2>&1
        kill -INT $example 2>/dev/null
        for i in $(seq 300); do kill -0 $example 2>/dev/null || exit 0; sleep 0.05; done
        kill -KILL $example; echo "it did not end" >> example.txt; exit 1
    "#;
    let output = Command::new("timeout")
        .args(["120", "unshare", "--net", "--map-root-user", "sh", "-c", frame])
        .env("EXAMPLE", example(name))
        .env("ARGUMENTS", arguments)
        .env("BEFORE", before)
        .env("SCRIPT", script)
        .env("XDG_RUNTIME_DIR", folder.path())
        .current_dir(folder.path())
        .output()
        .expect("unshare runs (util-linux)");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    let (printed, did) = (read("example.txt"), read("script.txt"));
    assert!(output.status.success(), "{name}: {output:?}\n{printed}\n{did}");
    (printed, did)
}

/// SIPp in the frame's network; its last words are printed.
const SIPP: &str = "sipp -nostdin -i 127.0.0.1 -timeout 30 -trace_err -error_file errors.txt";
/// Prints SIPp's result and the refusals that it got.
const RESULT: &str = "echo result $?; grep -ho 'SIP/2.0 [0-9]*' errors.txt";

fn sipp(arguments: &str) -> String {
    format!("{SIPP} 127.0.0.1:5060 -sn uac {arguments} > /dev/null; {RESULT}")
}

/// A call by baresip for `seconds`, then `keys` (a sleep of a second between any two), then it hangs up.
fn baresip(user: &str, seconds: u32, keys: &str) -> String {
    let presses: String = keys.chars().map(|key| format!("printf '{key}'; sleep 1; ")).collect();
    format!(
        "mkdir -p phone; touch phone/contacts; \
         modules=$(dirname $(find /usr/lib -path '*baresip/modules/g711.so' | head -1)); \
         echo '<sip:me@127.0.0.1:5070>;regint=0;audio_codecs=PCMU' > phone/accounts; \
         printf '%s\\n' 'sip_listen 127.0.0.1:5070' 'net_interface 127.0.0.1' \"audio_source aufile,$PWD/voice.wav\" \
         'audio_player aufile,out.wav' 'audio_alert aufile,alert.wav' 'audio_srate 8000' 'audio_channels 1' \
         \"module_path $modules\" 'module stdio.so' 'module g711.so' 'module aufile.so' 'module_app account.so' \
         'module_app menu.so' > phone/config; \
         ( sleep {seconds}; {presses} sleep 1; printf 'bq' ) | timeout 60 baresip -4 -f phone -e '/dial \
         sip:{user}@127.0.0.1:5060'"
    )
}

fn assert_holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
}

#[test]
fn three_line_server() {
    let (_, did) = beside("three_line_server", &sipp("-m 10"));
    assert_holds(&did, &["result 0"]);
}

#[test]
fn reject_all() {
    let (_, did) = beside("reject_all", &sipp("-m 1"));
    assert_holds(&did, &["result 1", "SIP/2.0 603"]);
}

#[test]
fn selective_handler() {
    let script = [sipp("-m 1 -s sales"), sipp("-m 1 -s ceo"), sipp("-m 1 -s nobody")].join("\n");
    let (printed, did) = beside_until("calls nobody", "selective_handler", &script);
    assert_holds(&did, &["result 0", "SIP/2.0 486", "SIP/2.0 404"]);
    assert_holds(&printed, &["calls sales", "calls nobody"]);
}

#[test]
fn echo_test() {
    let (printed, did) = beside("echo_test", &baresip("echo", 3, ""));
    assert_holds(&printed, &["hears an echo"]);
    assert_holds(&did, &["Call established"]);
}

#[test]
fn play_prompt() {
    let (printed, _) = beside("play_prompt", &baresip("prompt", 12, ""));
    assert_holds(&printed, &["has heard it"]);
}

#[test]
fn deferred_decision() {
    let (printed, did) = beside_until("decided", "deferred_decision", &sipp("-m 2 -r 1"));
    assert_holds(&printed, &["call 1 from", "call 2 from", "decided"]);
    assert_holds(&did, &["result 1", "SIP/2.0 486"]);
}

#[test]
fn record_calls() {
    let script =
        baresip("anybody", 4, "") + "; sleep 1; soxi -D call-*.wav; sox call-*.wav -n remix 2 stat 2>&1 | grep Rough";
    let (printed, did) = beside_until("(CallEnded)", "record_calls", &script);
    assert_holds(&printed, &["is being recorded", "call-", " 0 lost", "(CallEnded)"]);
    // Three seconds at least, and 440 Hz in the right ear, by somebody else's reader.
    let seconds = did.lines().find_map(|line| line.trim().parse::<f64>().ok());
    assert!(seconds.is_some_and(|seconds| (3.0..60.0).contains(&seconds)), "{did}");
    let hertz = did.lines().find_map(|line| line.strip_prefix("Rough   frequency:")?.trim().parse::<u32>().ok());
    assert!(hertz.is_some_and(|hertz| (420..460).contains(&hertz)), "{did}");
}

#[test]
fn custom_sdp() {
    let script = [sipp("-m 1 -d 500"), baresip("anybody", 3, "")].join("\n");
    let (printed, did) = beside("custom_sdp", &script);
    assert_holds(&printed, &["--- offered", "s=words of our own", "m=audio", "hears a tone at 127.0.0.1:"]);
    assert_holds(&did, &["result 0", "Call established"]);
}

#[test]
fn call_control() {
    let (printed, did) = beside_until("hung up here", "call_control", &baresip("anybody", 8, ""));
    assert_holds(&printed, &["media is paused", "media flows again", "ended after", "hung up here"]);
    assert_holds(&did, &["Call established"]);
}

#[test]
fn quality_monitor() {
    let (printed, _) = beside("quality_monitor", &baresip("anybody", 4, ""));
    assert_holds(&printed, &["MOS 4.", "0.0 % lost"]);
}

#[test]
fn event_log() {
    let (printed, _) = beside_until(r#""Ended""#, "event_log", &sipp("-m 1"));
    assert_holds(&printed, &[r#""IncomingCall""#, r#""new":"connected""#, r#""Ended""#, r#""correlation_id":"1-"#]);
}

#[test]
fn dtmf_menu() {
    let (printed, _) = beside("dtmf_menu", &baresip("menu", 3, "2#"));
    assert_holds(&printed, &["pressed 2", "pressed #"]);
}

#[test]
fn composite_handlers() {
    let (printed, did) = beside_until("10 are over", "composite_handlers", &sipp("-m 10 -d 2000"));
    assert_holds(&did, &["SIP/2.0 486"]);
    assert_holds(&printed, &["10 came in, 5 were answered, 10 are over"]);
}

#[test]
fn graceful_shutdown() {
    let script = format!("{SIPP} 127.0.0.1:5060 -sn uac -m 10 -d 60000 > /dev/null; sleep 1");
    let (printed, _) = beside("graceful_shutdown", &script);
    assert_holds(&printed, &["10 calls are up", "10 calls were completed, 0 are left"]);
}

#[test]
fn session_list() {
    let (printed, _) = beside("session_list", &sipp("-m 5 -d 4000"));
    assert_holds(&printed, &["Connected", "PCMU, sendrecv", "127.0.0.1:"]);
}

/// Like [`beside`], for programs that end by themselves: the network is SIPp's before the program starts.
fn alone(name: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"ip link set lo up; cd "$XDG_RUNTIME_DIR"
        sipp -nostdin -sn uas -i 127.0.0.1 -p 5070 > /dev/null 2>&1 & sipp=$!
        sleep 0.5; "$EXAMPLE"; status=$?; kill -USR1 $sipp; exit $status"#;
    let output = Command::new("timeout")
        .args(["120", "unshare", "--net", "--map-root-user", "sh", "-c", script])
        .env("EXAMPLE", example(name))
        .env("XDG_RUNTIME_DIR", folder.path())
        .output()
        .expect("unshare runs (util-linux)");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name}: {output:?}");
    printed
}

#[test]
fn outgoing_call() {
    let printed = alone("outgoing_call");
    assert_holds(&printed, &["answered after", "1 call completed"]);
}

#[test]
fn load_client() {
    let printed = alone("load_client");
    assert_holds(&printed, &["100 of 100 calls answered"]);
}

#[test]
fn bridge_calls() {
    let second = baresip("meet", 4, "").replace("phone", "phone2").replace("5070", "5072");
    let (printed, _) =
        beside_until("BridgeDestroyed", "bridge_calls", &format!("( {} ) & {second}; wait", baresip("meet", 6, "")));
    assert_holds(&printed, &["bridge ", "ParticipantAdded", "BridgeDestroyed"]);
}

#[test]
fn forward_calls() {
    let script = format!(
        "sipp -nostdin -sn uas -i 127.0.0.1 -p 5070 > /dev/null 2>&1 & sipp=$!; sleep 0.5\n{}\nkill -USR1 $sipp",
        sipp("-m 10")
    );
    let (printed, did) = beside("forward_calls", &script);
    assert_holds(&printed, &["goes on to sip:bob@127.0.0.1:5070"]);
    assert_holds(&did, &["result 0"]);
}

#[test]
fn blind_transfer() {
    let waits = baresip("x", 9, "")
        .replace("-e '/dial sip:x@127.0.0.1:5060'", "")
        .replace("phone", "phone2")
        .replace("5070", "5080")
        .replace("audio_codecs=PCMU", "audio_codecs=PCMU;answermode=auto")
        .replace("sip:me@", "sip:bob@");
    let script = format!("( {waits} ) & sleep 1; {}; wait", baresip("reception", 6, ""));
    let (printed, _) = beside("blind_transfer", &script);
    assert_holds(&printed, &["talks to sip:bob@127.0.0.1:5080 now"]);
}

/// The commands of the example's header.
fn certificates() -> String {
    let text = include_str!("../examples/tls_server.rs");
    let block = text.split("```text\n").nth(1).and_then(|rest| rest.split("//! cargo run").next()).expect("a block");
    let lines: Vec<&str> = block.lines().map(|line| line.trim_start_matches("//!").trim()).collect();
    let commands = lines.join("\n").replace("\\\n", " ").replace('\n', " && ");
    commands.trim_end_matches(" && ").to_owned() + " && cat switch.pem switch.key > phone.pem"
}

#[test]
fn tls_server() {
    // One phone calls, another one is called back; both trust the authority alone.
    let secured = |script: String| {
        let trust = "'sip_certificate phone.pem' 'sip_cafile ca.pem' 'net_interface";
        script.replacen("'net_interface", trust, 1)
    };
    let waits = baresip("x", 20, "")
        .replace("-e '/dial sip:x@127.0.0.1:5060'", "")
        .replace("phone/", "phone2/")
        .replace("mkdir -p phone", "mkdir -p phone2")
        .replace("-f phone", "-f phone2")
        .replace("5070", "5080")
        .replace("audio_codecs=PCMU", "audio_codecs=PCMU;answermode=auto")
        .replace("sip:me@", "sip:bob@");
    let calls = baresip("anybody", 5, "").replace("5060'", "5061;transport=tls'");
    let script = format!("( {} ) & sleep 1; {}; wait", secured(waits), secured(calls));
    let (printed, did) = prepared_beside("tls_server", "sips:bob@127.0.0.1:5081", &certificates(), &script);
    assert_holds(&printed, &["listening on tls:127.0.0.1:5061", "SIP/2.0/TLS", "talking over TLS"]);
    assert_holds(&printed, &["sips:bob@127.0.0.1:5081 has answered over TLS"]);
    assert_holds(&did, &["Call established"]);
}

/// A scenario of SIPp that the tests of the API have.
fn scenario(name: &str) -> String {
    format!("{}/tests/api/scenarios/{name}.xml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn authenticated_call() {
    let (challenges, authenticates) = (scenario("challenges"), scenario("authenticates"));
    // SIPp asks the example, and knows at once that the second call has been asked before.
    let before = format!("sipp -nostdin -sf {challenges} -i 127.0.0.1 -p 5070 -m 2 -bg; sleep 0.5");
    let script = format!(
        "for i in $(seq 100); do grep -q 'call 2' example.txt && break; sleep 0.1; done\n\
         sed s/PASSWORD/secret/ {authenticates} > alice.xml\n\
         {SIPP} 127.0.0.1:5060 -sf alice.xml -auth_uri service@127.0.0.1:5060 -m 1 > /dev/null; {RESULT}\n\
         sed s/PASSWORD/guess/ {authenticates} > mallory.xml\n\
         {SIPP} 127.0.0.1:5060 -sf mallory.xml -auth_uri service@127.0.0.1:5060 -m 1 > /dev/null; {RESULT}"
    );
    let (printed, did) = prepared_beside("authenticated_call", "sip:bob@127.0.0.1:5070", &before, &script);
    assert_holds(&printed, &["call 1 was answered", "call 2 was answered", "603", "it is alice", "3 calls were"]);
    assert_holds(&did, &["result 0", "result 1"]);
}

#[test]
fn advanced_headers() {
    let script = [
        format!(
            "{SIPP} 127.0.0.1:5060 -sn uac -m 1 -d 1000 -trace_msg -message_file messages.txt > /dev/null; {RESULT}"
        ),
        "grep -h 'X-Agent\\|X-Note\\|INFO sip' messages.txt".to_owned(),
        sipp("-m 1 -s moved"),
    ];
    let (printed, did) = beside("advanced_headers", &script.join("\n"));
    assert_holds(&did, &["X-Agent: 7", "X-Note: a", "INFO sip:", "SIP/2.0 302"]);
    assert_holds(
        &printed,
        &["answered a call to service", "CSeq: 1 INVITE", "the dialog is 1-", "to-tag=", "our INFO got"],
    );
}

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

#[test]
fn hold_music() {
    let (printed, did) = beside("hold_music", &baresip("anybody", 9, ""));
    assert_holds(&printed, &["is on hold (Some(SendOnly)) and hears music", "is back: Connected"]);
    assert_holds(&did, &["Call established"]);
}

#[test]
fn priority_calls() {
    let script = format!(
        "{SIPP} 127.0.0.1:5060 -sn uac -s sales -m 2 -d 8000 > /dev/null & sleep 2\n{}\n{}\nwait",
        sipp("-m 1 -s sales"),
        sipp("-m 2 -s 112")
    );
    let (printed, did) = beside("priority_calls", &script);
    assert_holds(&did, &["result 1", "SIP/2.0 503", "result 0"]);
    assert_holds(&printed, &["is up, emergency", "normal: 2 sessions, refused from 2 on, 1 refused so far"]);
}

#[test]
fn health_report() {
    let (printed, _) = beside("health_report", &sipp("-m 19 -d 4000"));
    assert_holds(&printed, &[r#""status":"Healthy""#, r#""status":"Degraded""#, "allow more by with_max_sessions"]);
    assert_holds(&printed, &["1 dialog, port Some(", "0 leaks among", "Down now"]);
}

#[test]
fn call_groups() {
    let held =
        |user: &str, count: u32| format!("{SIPP} 127.0.0.1:5060 -sn uac -s {user} -m {count} -d 60000 > /dev/null &");
    // SIPp fails when its call is ended by us, and that is what is wanted.
    let script = format!("{}\nsleep 1\n{}\nwait", held("sales", 2), sipp("-m 1 -s sales"));
    let (printed, did) = beside("call_groups", &script);
    assert_holds(&did, &["SIP/2.0 486"]);
    assert_holds(&printed, &["no more sessions of the group sales: the limit is 2", "sales is closed: 2 calls end"]);
}

#[test]
fn call_center() {
    let agent = |port: u16| format!("sipp -nostdin -sn uas -i 127.0.0.1 -p {port} > /dev/null 2>&1 &");
    let script = format!(
        "{} anna=$!; {} ben=$!; sleep 0.5\n{}\nsleep 1; kill -USR1 $anna $ben",
        agent(5070),
        agent(5072),
        sipp("-m 4 -r 4 -d 5000")
    );
    let (printed, did) = beside("call_center", &script);
    assert_holds(&did, &["result 0"]);
    assert_holds(&printed, &["talks to sip:anna@127.0.0.1:5070", "talks to sip:ben@127.0.0.1:5072", "is served"]);
    assert_eq!(printed.matches(" waits").count(), 4, "{printed}");
}

#[test]
fn database_decision() {
    let script = format!(
        "{SIPP} 127.0.0.1:5060 -sn uac -s sales -m 2 -d 4000 > /dev/null & sleep 1.5\n{}\n{}\nwait; sleep 0.5\n{}",
        sipp("-m 1 -s sales"),
        sipp("-m 1 -s nobody"),
        sipp("-m 1 -s sales")
    );
    let (printed, did) = beside("database_decision", &script);
    assert_holds(&did, &["SIP/2.0 486", "SIP/2.0 404", "result 0"]);
    assert_holds(&printed, &["3 calls are on record, 0 of them open"]);
}

/// A new example without a test here would not be noticed otherwise.
#[test]
fn every_example_is_run() {
    let ours = include_str!("examples.rs");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for entry in std::fs::read_dir(folder).expect("the examples are there").flatten() {
        let name = entry.file_name().to_string_lossy().replace(".rs", "");
        assert!(
            [format!("beside(\"{name}\""), format!("alone(\"{name}\"")].iter().any(|call| ours.contains(call)),
            "no test runs the example {name}"
        );
    }
}
