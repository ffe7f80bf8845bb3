//! A newer configuration for a switch that runs.

use crate::PATIENCE;
use crate::media::Media;
use crate::phone::{Phone, SDP};
use crate::switch::Switch;
use config::Config;
use signald::{Ready, Reload, Stop};
use std::sync::mpsc;

/// A redirect server with this much more in `[sip]` and in `[auth]`.
fn text(folder: &std::path::Path, sip: &str, auth: &str) -> Config {
    let text = format!(
        "[sip]\nlisten = [\"127.0.0.1:0\"]\nmode = \"redirect\"\n{sip}\n[auth]\n{auth}\n[process]\nruntime_dir = {folder:?}\n"
    );
    Config::parse(&text).unwrap()
}

fn start(folder: tempfile::TempDir, config: Config) -> (Switch, Reload) {
    let (stop, reload) = (Stop::new().unwrap(), Reload::new().unwrap());
    let (tell, told) = mpsc::channel();
    let (flag, newest) = (stop.clone(), reload.clone());
    let ready = move |ready: &Ready| tell.send(ready.clone()).unwrap();
    let thread = std::thread::spawn(move || signald::run_reloading(&config, &flag, &newest, ready));
    let ready = told.recv_timeout(PATIENCE).expect("it starts");
    (Switch::of(folder, ready, stop, thread), reload)
}

/// Asks with new calls until the answer has what it should have.
fn call_until(phone: &Phone, name: &str, status: &str, words: &str) {
    let until = std::time::Instant::now() + PATIENCE;
    for number in 0.. {
        let call = format!("{name}{number}");
        phone.send("INVITE", &call, "", 1, SDP);
        let answer = phone.hear("SIP/2.0 ");
        phone.send("ACK", &call, "", 1, "");
        if answer.starts_with(&format!("SIP/2.0 {status}")) && answer.contains(words) {
            return;
        }
        assert!(std::time::Instant::now() < until, "no {status} with {words}: {answer}");
    }
}

#[test]
fn routes_and_users_change_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let path = folder.path().to_owned();
    let routes = |host: &str| format!("routes = {{ tone = \"sip:{host}\" }}");
    let (switch, reload) = start(folder, text(&path, &routes("192.0.2.1"), ""));
    let phone = Phone::new(&switch);
    call_until(&phone, "a", "302", "sip:tone@192.0.2.1");
    reload.request(text(&path, &routes("192.0.2.2"), ""));
    call_until(&phone, "b", "302", "sip:tone@192.0.2.2");
    // Whether callers are asked is settled at the start: nobody is locked out by a half of it.
    reload.request(text(&path, &routes("192.0.2.3"), "realms = { r = { u = \"p\" } }"));
    call_until(&phone, "c", "302", "sip:tone@192.0.2.3");
    // Routes that are gone lead nowhere.
    reload.request(text(&path, "routes = { other = \"sip:192.0.2.4\" }", ""));
    call_until(&phone, "d", "404", "");
    switch.end();
}

#[test]
fn a_switch_that_asks_takes_other_users_and_goes_on_asking() {
    let folder = tempfile::tempdir().unwrap();
    let _media = Media::start(folder.path().join("media-control.sock"));
    let path = folder.path().to_owned();
    let route = "routes = { tone = \"sip:192.0.2.1\" }";
    let (switch, reload) = start(folder, text(&path, route, "realms = { first = { u = \"p\" } }"));
    let phone = Phone::new(&switch);
    call_until(&phone, "a", "401", "realm=\"first\"");
    reload.request(text(&path, route, "realms = { second = { u = \"p\" } }"));
    call_until(&phone, "b", "401", "realm=\"second\"");
    // Without users it would be open to everybody: that takes a restart.
    reload.request(text(&path, "routes = { tone = \"sip:192.0.2.9\" }", ""));
    reload.request(text(&path, "routes = { tone = \"sip:192.0.2.9\" }", ""));
    call_until(&phone, "c", "401", "realm=\"second\"");
    switch.end();
}
