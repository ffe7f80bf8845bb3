//! `ringplane serve`: starts the media and the signaling process, restarts the one that dies, and takes both down in
//! order: calls are ended first, media goes last.

mod part;

use super::{Failure, options, options::Options};
use part::{Notice, Part};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Binding ten thousand ports on a slow machine stays far below.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Signaling says BYE to every call and waits for the answers; then it is told more firmly.
const STOP_WITHIN: Duration = Duration::from_secs(15);

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let config = options.config()?;
    options::start_log(&config)?;
    if let Some(warning) = options.warning(&config) {
        tracing::warn!("{warning}");
    }
    let (notices, inbox) = mpsc::channel();
    watch_signals(notices.clone())?;
    let mut parts = [Part::new("media", options, &notices)?, Part::new("signal", options, &notices)?];
    let started = start(&mut parts, &inbox);
    if let Ok(Started::Ready) = started {
        print_welcome(&config, &parts);
        parts.iter_mut().for_each(|part| part.set_restarts(true));
        supervise(&mut parts, &inbox);
    }
    // Calls are ended first, media goes last.
    let [media, signal] = &mut parts;
    stop(signal, &inbox);
    stop(media, &inbox);
    started.map(drop)
}

enum Started {
    Ready,
    StoppedByUser,
}

/// Ctrl-C and SIGTERM become notices. The children are in process groups of their own, so a terminal's Ctrl-C reaches
/// only us and the order of the end stays ours.
fn watch_signals(notices: Sender<Notice>) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if notices.send(Notice::Stop).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Starts one after the other: signaling needs the media plane's memory.
fn start(parts: &mut [Part], inbox: &Receiver<Notice>) -> Result<Started, Failure> {
    for index in 0..parts.len() {
        parts[index].start()?;
        let until = Instant::now() + START_WITHIN;
        while !parts[index].is_ready() {
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Notice::Stop) => return Ok(Started::StoppedByUser),
                Ok(notice) => take(parts, notice),
                Err(_) => {
                    let name = parts[index].name();
                    return Err(Failure::new(format!("the {name} process did not start within {START_WITHIN:?}")));
                }
            }
            if let Some(dead) = parts[..=index].iter().find(|part| !part.runs()) {
                return Err(Failure::new(format!("the {} process did not start; it said why above", dead.name())));
            }
        }
    }
    Ok(Started::Ready)
}

/// Until somebody asks for the end.
fn supervise(parts: &mut [Part], inbox: &Receiver<Notice>) {
    loop {
        let next = parts.iter().filter_map(Part::restart_at).min();
        let notice = match next {
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match notice {
            Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(notice) => take(parts, notice),
            Err(RecvTimeoutError::Timeout) => parts.iter_mut().for_each(Part::restart_if_due),
        }
    }
}

fn take(parts: &mut [Part], notice: Notice) {
    for part in parts {
        part.take(&notice);
    }
}

/// Asks politely, waits, then insists.
fn stop(part: &mut Part, inbox: &Receiver<Notice>) {
    part.set_restarts(false);
    for kill in [false, true] {
        part.signal(kill);
        let until = Instant::now() + STOP_WITHIN;
        while part.runs() {
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                // A second Ctrl-C means: at once.
                Ok(Notice::Stop) => part.signal(true),
                Ok(notice) => part.take(&notice),
                Err(_) => break,
            }
        }
    }
}

fn print_welcome(config: &config::Config, parts: &[Part]) {
    println!("Ringplane {} is ready.", env!("CARGO_PKG_VERSION"));
    for part in parts {
        println!("  {:<7} {}", part.name(), part.ready_words());
    }
    let port = config.sip.listen.first().map_or(5060, std::net::SocketAddr::port);
    println!("Place a call (each in another terminal):");
    println!("  baresip -e '/uanew <sip:me@127.0.0.1>;regint=0' -e '/dial sip:play@127.0.0.1:{port}'");
    println!(
        "                                                hear the welcome prompt; also tone@, echo@, ringing@, busy@"
    );
    println!("  sipp -sn uac 127.0.0.1:{port} -r 10 -m 100      a hundred calls");
    println!("Look at it: `ringplane calls`, `ringplane stats`. Stop it: Ctrl-C.");
}
