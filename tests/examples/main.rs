//! Every example does what its header says, with a real peer. Those whose peer is the executable are run by the tests of
//! that (`cli/tests/examples`).

mod frame;

use frame::{RESULT, SIPP, alone, assert_holds, baresip, beside, beside_until, prepared_beside, sipp};

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
    let (printed, did) = beside_until("selective_handler", "calls nobody", &script);
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
fn voice_agent() {
    let (printed, did) = beside_until("voice_agent", "is gone", &sipp("-m 1 -d 2500"));
    assert_holds(&did, &["result 0"]);
    assert_holds(&printed, &["is connected", "has heard the greeting", "is gone, 0 frames lost"]);
}

#[test]
fn play_prompt() {
    let (printed, _) = beside("play_prompt", &baresip("prompt", 12, ""));
    assert_holds(&printed, &["has heard it"]);
}

#[test]
fn deferred_decision() {
    let (printed, did) = beside_until("deferred_decision", "decided", &sipp("-m 2 -r 1"));
    assert_holds(&printed, &["call 1 from", "call 2 from", "decided"]);
    assert_holds(&did, &["result 1", "SIP/2.0 486"]);
}

#[test]
fn record_calls() {
    let script =
        baresip("anybody", 4, "") + "; sleep 1; soxi -D call-*.wav; sox call-*.wav -n remix 2 stat 2>&1 | grep Rough";
    let (printed, did) = beside_until("record_calls", "(CallEnded)", &script);
    assert_holds(&printed, &["is being recorded", "call-", " 0 lost", "(CallEnded)"]);
    // Three seconds at least, and 440 Hz in the right ear, by another program's reader.
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
    let (printed, did) = beside_until("call_control", "hung up here", &baresip("anybody", 8, ""));
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
    let (printed, _) = beside_until("event_log", r#""Ended""#, &sipp("-m 1"));
    assert_holds(&printed, &[r#""IncomingCall""#, r#""new":"connected""#, r#""Ended""#, r#""correlation_id":"1-"#]);
}

#[test]
fn dtmf_menu() {
    let (printed, _) = beside("dtmf_menu", &baresip("menu", 3, "2#"));
    assert_holds(&printed, &["pressed 2", "pressed #"]);
}

#[test]
fn composite_handlers() {
    let (printed, did) = beside_until("composite_handlers", "10 are over", &sipp("-m 10 -d 2000"));
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
        beside_until("bridge_calls", "BridgeDestroyed", &format!("( {} ) & {second}; wait", baresip("meet", 6, "")));
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
    let text = include_str!("../../examples/tls_server.rs");
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
    let ours = concat!(include_str!("main.rs"), include_str!("../../cli/tests/examples/main.rs"));
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    for entry in std::fs::read_dir(folder).expect("the examples are there").flatten() {
        let name = entry.file_name().to_string_lossy().replace(".rs", "");
        assert!(
            ["beside", "beside_until", "alone"].iter().any(|by| ours.contains(&format!("{by}(\"{name}\""))),
            "no test runs the example {name}"
        );
    }
}
