//! Other people's phones: pjsua, linphone, baresip and SIP.js, over every transport that they have, with sound.

use crate::machine::{alone, plan, root, start};
use clock::Duration;
use loadtest::capture::{climbing_tone, share_found};
use loadtest::peers::{Baresip, Switch, SwitchPlan, Told, free_port, free_range, read_wav, wait_for, write_wav};
use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);
const TRANSPORTS: [&str; 3] = ["udp", "tcp", "tls"];

/// What `make peers` put there.
fn installed(path: &str) -> PathBuf {
    let path = root().join("target/peers").join(path);
    assert!(path.exists(), "{} is not there: `make peers` installs it", path.display());
    path
}

fn ours(name: &str) -> PathBuf {
    root().join("cli/tests/peers").join(name)
}

/// A switch on every transport, with a certificate for `localhost` that is its own authority.
struct Place {
    switch: Switch,
    _folder: TempDir,
    authority: PathBuf,
    tls: u16,
    wss: u16,
}

fn place(mut plan: SwitchPlan) -> Place {
    let certificates = tempfile::tempdir().unwrap();
    let (chain, key) = (certificates.path().join("localhost.pem"), certificates.path().join("localhost.key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&chain)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let port = || free_port([127, 0, 0, 1].into()).unwrap();
    let (tls, wss) = (port(), port());
    plan.sip += &format!("\nlisten_tls = [\"127.0.0.1:{tls}\"]\nlisten_wss = [\"127.0.0.1:{wss}\"]");
    plan.media += &format!("\n[tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]");
    let (switch, _) = start_in(&plan, &certificates);
    Place { switch, authority: chain, tls, wss, _folder: certificates }
}

fn start_in(plan: &SwitchPlan, folder: &TempDir) -> (Switch, ()) {
    (Switch::start(folder.path(), plan).expect("the switch starts"), ())
}

impl Place {
    fn uri(&self, user: &str, transport: &str) -> String {
        match transport {
            "udp" => format!("sip:{user}@{}", self.switch.sip),
            "tls" => format!("sip:{user}@localhost:{};transport=tls", self.tls),
            _ => format!("sip:{user}@{};transport={transport}", self.switch.sip),
        }
    }

    fn no_call_is_left(&self) {
        let left = wait_for(PATIENCE, || (self.switch.call_count().ok()? == 0).then_some(()));
        assert!(left.is_some(), "calls are left: {}", self.switch.ask("calls").unwrap());
    }
}

/// `seconds` of a tone.
fn tone(hertz: f64, seconds: usize) -> Vec<i16> {
    let sample = |at: usize| (8_000.0 * (TAU * hertz * at as f64 / 8_000.0).sin()) as i16;
    (0..seconds * 8_000).map(sample).collect()
}

/// How much of a recording is a tone of that frequency, second by second at its best: 1 is nothing else.
fn share_of(recording: &[i16], rate: u32, hertz: f64) -> f64 {
    let of = |second: &[i16]| {
        let (mut sine, mut cosine, mut all) = (0.0, 0.0, 0.0);
        for (at, sample) in second.iter().enumerate() {
            let (angle, sample) = (TAU * hertz * at as f64 / f64::from(rate), f64::from(*sample));
            sine += sample * angle.sin();
            cosine += sample * angle.cos();
            all += sample * sample;
        }
        if all == 0.0 { 0.0 } else { 2.0 * (sine * sine + cosine * cosine) / (all * second.len() as f64) }
    };
    recording.chunks_exact(rate as usize / 4).map(of).fold(0.0, f64::max)
}

fn hears(file: &Path, hertz: f64) {
    let share = wait_for(PATIENCE, || {
        let (recording, rate) = read_wav(file).ok()?;
        Some(share_of(&recording, rate, hertz)).filter(|share| *share > 0.8)
    });
    assert!(share.is_some(), "{} holds no {hertz} Hz", file.display());
}

struct Pjsua {
    told: Told,
    folder: TempDir,
    port: u16,
}

impl Pjsua {
    fn start(transport: &str, authority: &Path, credentials: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_wav(&folder.path().join("voice.wav"), &tone(700.0, 30)).unwrap();
        let port = free_port([127, 0, 0, 1].into()).unwrap();
        let mut command = Command::new(installed("python/bin/python"));
        command.arg(ours("pjsua_phone.py")).args([transport, &port.to_string()]).arg(folder.path());
        command.arg(authority).args(credentials);
        let told = Told::start("pjsua", &mut command, folder.path()).unwrap();
        let mut phone = Self { told, folder, port };
        phone.hears("ready");
        phone
    }

    fn tell(&mut self, words: &str) {
        self.told.tell(words).unwrap();
    }

    fn hears(&mut self, words: &str) {
        self.told.hear(words, PATIENCE).unwrap();
    }

    fn call(&mut self, number: usize, uri: &str) {
        self.tell(&format!("call {uri}"));
        self.hears(&format!("call {number} CONFIRMED"));
    }

    fn heard(&self, number: usize) -> PathBuf {
        self.folder.path().join(format!("heard-{number}.wav"))
    }

    fn end(mut self) {
        self.tell("quit");
        let said = self.told.finish().unwrap();
        assert!(!said.lines().any(|line| line.starts_with("error ")), "{said}");
    }
}

#[test]
fn pjsua_calls_holds_presses_keys_and_transfers() {
    let _turn = alone();
    // Through the back-to-back user agent, to the numbers of another switch.
    let (far, _far_folder) = start(&plan(50));
    let mut plan = plan(50);
    plan.sip = format!("mode = \"b2bua\"\nroutes = {{ \"*\" = \"sip:{}\" }}", far.sip);
    let place = place(plan);
    for transport in TRANSPORTS {
        let mut phone = Pjsua::start(transport, &place.authority, &[]);
        phone.call(0, &place.uri("tone", transport));
        hears(&phone.heard(0), 440.0);
        phone.tell("hold");
        phone.hears("media 0 held");
        phone.tell("resume");
        phone.hears("media 0 active");
        phone.tell("dtmf 12#");
        phone.tell("hangup");
        phone.hears("call 0 DISCONNECTED");
        // Blind: the switch calls the echo in our place, and we are out of it.
        phone.call(1, &place.uri("tone", transport));
        hears(&phone.heard(1), 440.0);
        phone.tell(&format!("transfer sip:echo@{}", far.sip));
        phone.hears("transfer 1 200");
        phone.hears("call 1 DISCONNECTED");
        // Attended: the switch brings the two calls that we have together.
        phone.call(2, &place.uri("tone", transport));
        hears(&phone.heard(2), 440.0);
        phone.tell("hold");
        phone.hears("media 2 held");
        phone.call(3, &place.uri("echo", transport));
        hears(&phone.heard(3), 700.0);
        phone.tell("attended");
        phone.hears("transfer 2 200");
        wait_for(PATIENCE, || phone.told.output().matches("DISCONNECTED").nth(3).map(drop)).expect("both calls end");
        phone.end();
        // Tone and echo have each other now; nobody is left who could hang up.
    }
    let mut phone = Pjsua::start("tls", &place.authority, &[]);
    phone.call(0, &place.uri("tone", "tls"));
    assert!(place.switch.stop(PATIENCE).unwrap().success(), "it says BYE");
    phone.hears("call 0 DISCONNECTED");
    phone.end();
    let left = wait_for(PATIENCE, || (far.call_count().ok()? == 0).then_some(()));
    assert!(left.is_some(), "calls are left: {}", far.ask("calls").unwrap());
}

/// RFC 8760's algorithm, by a phone that knows it.
#[test]
fn pjsua_proves_who_it_is_by_sha_256() {
    let _turn = alone();
    let mut plan = plan(10);
    plan.media = "[auth]\nalgorithms = [\"SHA-256\"]\nrealms = { \"example.com\" = { alice = \"secret\" } }".to_owned();
    let place = place(plan);
    let mut phone = Pjsua::start("udp", &place.authority, &["alice", "secret"]);
    phone.call(0, &place.uri("tone", "udp"));
    phone.tell("hangup");
    phone.hears("call 0 DISCONNECTED");
    phone.end();
    let mut stranger = Pjsua::start("udp", &place.authority, &["alice", "guess"]);
    stranger.tell(&format!("call {}", place.uri("tone", "udp")));
    stranger.hears("call 0 DISCONNECTED 401");
    stranger.end();
    place.no_call_is_left();
}

/// With the challenges of the defaults, MD5 and then SHA-256: baresip 1.0 takes MD5 alone, linphone and pjsua choose. (SIPp,
/// which takes the first, and SIP.js, which takes the last, are asked in tests of their own.)
#[test]
fn phones_of_all_ages_prove_who_they_are_by_default() {
    let _turn = alone();
    for mode in ["numbers", "proxy"] {
        let (far, _far_folder) = start(&plan(10));
        let mut plan = plan(10);
        plan.sip = format!("mode = \"{mode}\"\nroutes = {{ \"*\" = \"sip:{}\" }}", far.sip);
        plan.media = "[auth]\nrealms = { \"example.com\" = { alice = \"secret\" } }".to_owned();
        let place = place(plan);
        let folder = tempfile::tempdir().unwrap();
        let voice = folder.path().join("voice.wav");
        write_wav(&voice, &tone(700.0, 30)).unwrap();
        let mut baresip =
            Baresip::dial_as(folder.path(), &voice, ("alice", "secret"), "tone", place.switch.sip).unwrap();
        baresip.established(PATIENCE).unwrap();
        baresip.finish().unwrap();
        let mut pjsua = Pjsua::start("udp", &place.authority, &["alice", "secret"]);
        pjsua.call(0, &place.uri("tone", "udp"));
        pjsua.tell("hangup");
        pjsua.hears("call 0 DISCONNECTED");
        pjsua.end();
        let home = tempfile::tempdir().unwrap();
        let file = linphone_settings(
            home.path(),
            &place.authority,
            "[auth_info_0]\nusername=alice\npasswd=secret\nrealm=example.com\n",
        );
        let mut linphone = start_linphone(home.path(), &file);
        linphone.tell(&format!("call {}", place.uri("tone", "udp"))).unwrap();
        linphone.hear("Media streams established", PATIENCE).unwrap();
        linphone.tell("terminate").unwrap();
        linphone.hear("ended", PATIENCE).unwrap();
        linphone.tell("quit").unwrap();
        linphone.finish().unwrap();
        place.no_call_is_left();
        let left = wait_for(PATIENCE, || (far.call_count().ok()? == 0).then_some(()));
        assert!(left.is_some(), "calls are left: {}", far.ask("calls").unwrap());
    }
}

#[test]
fn baresip_and_pjsua_hear_each_other_through_the_switch() {
    let _turn = alone();
    for transport in ["udp", "tcp"] {
        let nobody = Path::new("");
        let mut pjsua = Pjsua::start(transport, nobody, &[]);
        let mut plan = plan(10);
        plan.sip =
            format!("mode = \"b2bua\"\nroutes = {{ \"*\" = \"sip:127.0.0.1:{};transport={transport}\" }}", pjsua.port);
        let (switch, folder) = start(&plan);
        let said = climbing_tone(6 * 8_000);
        let voice = folder.path().join("voice.wav");
        write_wav(&voice, &said).unwrap();
        let mut baresip = Baresip::dial(folder.path(), &voice, "pjsua", switch.sip).unwrap();
        baresip.established(PATIENCE).unwrap();
        pjsua.hears("call 0 CONFIRMED");
        // The call lasts as long as baresip has something to say.
        pjsua.hears("call 0 DISCONNECTED");
        let (recording, rate) = read_wav(&pjsua.heard(0)).unwrap();
        // pjsua records at its own rate.
        let recording: Vec<i16> = recording.into_iter().step_by(rate as usize / 8_000).collect();
        let found = share_found(&recording, &said, 1_600);
        assert!(found > 0.6, "{found:.2} of what baresip said is in {} samples", recording.len());
        let (heard, rate) = baresip.finish().unwrap();
        let share = share_of(&heard, rate, 700.0);
        assert!(share > 0.8, "{share:.2} of what baresip heard is pjsua's");
        pjsua.end();
        let left = wait_for(PATIENCE, || (switch.call_count().ok()? == 0).then_some(()));
        assert!(left.is_some(), "calls are left: {}", switch.ask("calls").unwrap());
    }
}

/// Its settings, and more of them.
fn linphone_settings(home: &Path, authority: &Path, more: &str) -> PathBuf {
    // It starts no network without its database, and makes no folder for it.
    std::fs::create_dir_all(home.join(".local/share/linphone")).unwrap();
    let (sip, tls) = (free_port([127, 0, 0, 1].into()).unwrap(), free_port([127, 0, 0, 1].into()).unwrap());
    let rtp = free_range([127, 0, 0, 1].into(), 4).unwrap();
    let settings = format!(
        "[sip]\nbind_address=127.0.0.1\nsip_port={sip}\nsip_tcp_port={sip}\nsip_tls_port={tls}\nroot_ca={}\n\
         verify_server_certs=1\nuse_ipv6=0\nmedia_encryption=none\ncontact=\"alice\" <sip:alice@127.0.0.1>\n\
         [rtp]\nbind_address=127.0.0.1\naudio_rtp_port={rtp}\n[video]\nenabled=0\ncapture=0\ndisplay=0\n{more}",
        authority.display()
    );
    let file = home.join("linphonerc");
    std::fs::write(&file, settings).unwrap();
    file
}

fn start_linphone(home: &Path, settings: &Path) -> Told {
    let mut command = Command::new("linphonec");
    command.arg("-c").arg(settings).env("HOME", home).env_remove("XDG_DATA_HOME").current_dir(home);
    let mut phone = Told::start("linphone", &mut command, home).unwrap();
    phone.hear("linphonec>", PATIENCE).unwrap();
    phone.tell("soundcard use files").unwrap();
    phone.hear("Using wav files", PATIENCE).unwrap();
    phone
}

#[test]
fn linphone_calls_and_hears() {
    let _turn = alone();
    let place = place(plan(10));
    for transport in TRANSPORTS {
        let home = tempfile::tempdir().unwrap();
        let file = linphone_settings(home.path(), &place.authority, "");
        let heard = home.path().join("heard.wav");
        let mut phone = start_linphone(home.path(), &file);
        phone.tell(&format!("record {}", heard.display())).unwrap();
        for ends_here in [true, false] {
            phone.tell(&format!("call {}", place.uri("tone", transport))).unwrap();
            phone.hear("Media streams established", PATIENCE).unwrap();
            if ends_here {
                let spoke = || (place.switch.ask("calls").ok()?[0]["sent_packets"].as_u64()? > 150).then_some(());
                assert!(wait_for(PATIENCE, spoke).is_some(), "{}", place.switch.ask("calls").unwrap());
                phone.tell("terminate").unwrap();
            } else if transport == TRANSPORTS[2] {
                break;
            } else {
                phone.tell("terminate").unwrap();
            }
            phone.hear("ended", PATIENCE).unwrap();
            place.no_call_is_left();
            // It writes what it heard when a call ends.
            hears(&heard, 440.0);
        }
        if transport == TRANSPORTS[2] {
            assert!(place.switch.stop(PATIENCE).unwrap().success(), "it says BYE");
            phone.hear("ended", PATIENCE).unwrap();
            phone.tell("quit").unwrap();
            return phone.finish().map(drop).unwrap();
        }
        phone.tell("quit").unwrap();
        phone.finish().unwrap();
    }
}

#[test]
fn a_browsers_library_calls_over_secure_web_sockets() {
    let _turn = alone();
    let mut plan = plan(10);
    // The second call is ended by the switch.
    plan.sip = "max_call_s = 3".into();
    plan.media = "[auth]\nrealms = { \"example.com\" = { alice = \"secret\" } }".into();
    let place = place(plan);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("node");
    command.arg(ours("sipjs_phone.mjs")).arg(format!("wss://localhost:{}", place.wss));
    command.args(["sip:tone@localhost", "alice", "secret"]);
    command.env("SIPJS_MODULES", installed("sipjs")).env("NODE_EXTRA_CA_CERTS", &place.authority);
    let mut phone = Told::start("sipjs", &mut command, folder.path()).unwrap();
    for words in ["connected", "options 200", "answer audio", "Established", "Terminated", "waiting"] {
        phone.hear(words, PATIENCE).unwrap();
    }
    for words in ["answer audio", "Established", "Terminated", "done"] {
        phone.hear(words, PATIENCE).unwrap();
    }
    phone.finish().unwrap();
    place.no_call_is_left();
}
