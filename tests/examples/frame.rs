//! A network of its own (`unshare --net`) for an example and its peers, so that it may have the addresses and ports that a
//! reader sees.

use loadtest::peers::write_wav;
use std::path::PathBuf;
use std::process::Command;

/// The example's executable, which `cargo test` of the library builds.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test has a file");
    let built = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps");
    // One that is a package of its own lies where executables do.
    let path = [built.join("examples"), built.to_owned()].map(|folder| folder.join(name));
    let path = path.iter().find(|path| path.is_file()).unwrap_or(&path[0]).clone();
    assert!(
        path.is_file(),
        "{} is not built: `cargo build --workspace --examples --bins` with this profile builds it",
        path.display()
    );
    path
}

/// Runs the example beside a shell script that talks to it; gives what the example printed and what the script did.
/// The example is asked to end (Ctrl-C) when the script is over, and must do so.
pub(crate) fn beside(name: &str, script: &str) -> (String, String) {
    prepared_beside(name, "", "true", script)
}

/// The same for an example that prints `last` when it has seen the end of what the script did: the script waits for it.
pub(crate) fn beside_until(name: &str, last: &str, script: &str) -> (String, String) {
    let wait = format!("for i in $(seq 300); do grep -qF '{last}' example.txt && break; sleep 0.05; done");
    beside(name, &format!("{script}\n{wait}"))
}

/// The same with arguments, and something to do first.
pub(crate) fn prepared_beside(name: &str, arguments: &str, before: &str, script: &str) -> (String, String) {
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
pub(crate) const SIPP: &str = "sipp -nostdin -i 127.0.0.1 -timeout 30 -trace_err -error_file errors.txt";
/// Prints SIPp's result and the refusals that it got.
pub(crate) const RESULT: &str = "echo result $?; grep -ho 'SIP/2.0 [0-9]*' errors.txt";

pub(crate) fn sipp(arguments: &str) -> String {
    format!("{SIPP} 127.0.0.1:5060 -sn uac {arguments} > /dev/null; {RESULT}")
}

/// A call by baresip for `seconds`, then `keys` (a sleep of a second between any two), then it hangs up.
pub(crate) fn baresip(user: &str, seconds: u32, keys: &str) -> String {
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

pub(crate) fn assert_holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no `{word}` in:\n{text}");
    }
}

/// Like [`beside`], for programs that end by themselves: the network is SIPp's before the program starts.
pub(crate) fn alone(name: &str) -> String {
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
