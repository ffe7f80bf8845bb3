//! `ringplane serve`: starts the media process, where the mode needs one, and the signaling process, restarts the one that
//! dies, and takes both down in order: calls are ended first, media goes last.

mod child;

use super::options::{self, Options, SoundFile};
use super::{Failure, output, reload, welcome};
use child::{Notice, SupervisedProcess};
use rustix::process::Signal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// Binding ten thousand ports on a slow machine stays far below.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Signaling says BYE to every call and waits for the answers; then it is told more firmly.
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// How long the signaling process may take when it was asked to stop twice: it still answers what it has not answered.
const STOP_AT_ONCE_WITHIN: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let config = options.config()?;
    options::start_log(&config)?;
    for warning in options.warnings(&config) {
        tracing::warn!("{warning}");
    }
    let (notices, inbox) = mpsc::channel();
    watch_signals(notices.clone())?;
    let sound = SoundFile::of(options)?;
    let arguments = options.to_arguments(&sound);
    // A proxy has no media: signaling runs alone.
    let names: &[&'static str] = if config.sip.mode.has_media() { &["media", "signal"] } else { &["signal"] };
    let processes = names.iter().map(|name| SupervisedProcess::new(name, &arguments, &notices));
    let mut processes = processes.collect::<Result<Vec<_>, Failure>>()?;
    let started = start(&mut processes, &inbox);
    if let Ok(Started::Ready) = started {
        print_welcome(&config, &processes);
        processes.iter_mut().for_each(|process| process.set_restarts(true));
        supervise(&mut processes, &inbox, &Reloading { options, sound: &sound });
    }
    // Calls are ended first, media goes last.
    processes.iter_mut().rev().for_each(|process| stop(process, &inbox));
    started.map(drop)
}

enum Started {
    Ready,
    StoppedByUser,
}

/// Ctrl-C, SIGTERM and SIGHUP become notices. The children are in process groups of their own, so a terminal's Ctrl-C reaches
/// only us and the order of the end stays ours.
fn watch_signals(notices: Sender<Notice>) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let notice = if signal == SIGHUP { Notice::Reload } else { Notice::Stop };
            if notices.send(notice).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Starts one after the other: signaling needs the media plane's memory.
fn start(processes: &mut [SupervisedProcess], inbox: &Receiver<Notice>) -> Result<Started, Failure> {
    for index in 0..processes.len() {
        processes[index].start()?;
        let until = Instant::now() + START_WITHIN;
        while !processes[index].is_ready() {
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Notice::Stop) => return Ok(Started::StoppedByUser),
                Ok(notice) => take(processes, notice),
                Err(_) => {
                    let name = processes[index].name();
                    return Err(Failure::new(format!("the {name} process did not start within {START_WITHIN:?}")));
                }
            }
            if let Some(dead) = processes[..=index].iter().find(|process| !process.runs()) {
                return Err(Failure::new(format!("the {} process did not start; it said why above", dead.name())));
            }
        }
    }
    Ok(Started::Ready)
}

/// Waits until the end is asked for.
fn supervise(processes: &mut [SupervisedProcess], inbox: &Receiver<Notice>, reloading: &Reloading<'_>) {
    loop {
        let next = processes.iter().filter_map(SupervisedProcess::restart_at).min();
        let notice = match next {
            Some(at) => inbox.recv_timeout(at.saturating_duration_since(Instant::now())),
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match notice {
            Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            Ok(Notice::Reload) => reloading.reload(processes),
            Ok(notice) => take(processes, notice),
            Err(RecvTimeoutError::Timeout) => processes.iter_mut().for_each(SupervisedProcess::restart_if_due),
        }
    }
}

/// What reading the configuration again takes.
struct Reloading<'a> {
    options: &'a Options,
    sound: &'a SoundFile,
}

impl Reloading<'_> {
    /// The children read it only once it is known to be sound.
    fn reload(&self, processes: &mut [SupervisedProcess]) {
        if reload::read(self.options).is_none() {
            return;
        }
        match self.sound.keep(self.options) {
            Ok(()) => processes.iter_mut().for_each(SupervisedProcess::reload),
            Err(error) => tracing::error!("the new configuration is not used, the old one goes on: {error}"),
        }
    }
}

fn take(processes: &mut [SupervisedProcess], notice: Notice) {
    for process in processes {
        process.take(&notice);
    }
}

/// Asks politely, waits, then insists. Who asks a second time does not want to wait; a third time ends it by force.
fn stop(process: &mut SupervisedProcess, inbox: &Receiver<Notice>) {
    process.set_restarts(false);
    for ask in [Signal::TERM, Signal::KILL] {
        process.signal(ask);
        let mut next = Signal::INT;
        let mut until = Instant::now() + STOP_WITHIN;
        while process.runs() {
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Notice::Stop) => {
                    process.signal(next);
                    next = Signal::KILL;
                    until = until.min(Instant::now() + STOP_AT_ONCE_WITHIN);
                }
                Ok(notice) => process.take(&notice),
                Err(_) => break,
            }
        }
    }
}

fn print_welcome(config: &config::Config, processes: &[SupervisedProcess]) {
    let mut text = format!("Ringplane {} is ready.\n", env!("CARGO_PKG_VERSION"));
    for process in processes {
        text += &format!("  {:<7} {}\n", process.name(), process.ready_words());
    }
    let listening = processes.last().map(|signal| welcome::listening(signal.ready_words())).unwrap_or_default();
    output::tell(&(text + &welcome::text(config, &listening, &welcome::Commands::here(config))));
}
