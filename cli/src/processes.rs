//! The two processes, each as `serve` or an operator starts it: log, signals, then the process itself until its end.
//! On standard output it says one line, `ready ...`, once it works.

use super::{Failure, options, options::Options, output, reload};
use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};

/// `ringplane media`.
pub(crate) fn media(options: &Options) -> Result<(), Failure> {
    let config = prepare(options)?;
    let failed = |error: mediad::StartError| Failure::new(format!("media: {error}"));
    let (again, running) = (options.clone(), std::sync::Mutex::new(config.clone()));
    reload::watch(move || {
        let Some(newer) = reload::read(&again) else { return };
        let mut running = running.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        say_what_waits(&mut running, &newer, again.is_supervised());
    })?;
    let media = mediad::Media::start(&config).map_err(failed)?;
    let stopper = media.stopper();
    on_end(move |_| stopper.stop())?;
    output::tell(&format!("ready {}\n", media.summary()));
    media.join();
    Ok(())
}

/// `ringplane signal`.
pub(crate) fn signal(options: &Options) -> Result<(), Failure> {
    let config = prepare(options)?;
    let stop = signald::Stop::new().map_err(|error| Failure::new(format!("cannot make a wake-up: {error}")))?;
    // What a rush has left goes back once a shard has little to do.
    signald::when_idle(heap::give_back);
    let asked = stop.clone();
    let (mut is_asked, is_supervised) = (false, options.is_supervised());
    on_end(move |signal| {
        // A supervisor of services may send SIGTERM to this process beside its parent. Only the parent knows that it was asked
        // twice; it says so with SIGINT.
        let at_once = if is_supervised { signal == SIGINT } else { is_asked };
        is_asked = true;
        if at_once {
            asked.request_at_once();
        } else {
            asked.request();
        }
    })?;
    let newest = signald::Reload::new().map_err(|error| Failure::new(format!("cannot make a wake-up: {error}")))?;
    let (again, hand_in) = (options.clone(), newest.clone());
    reload::watch(move || {
        if let Some(config) = reload::read(&again) {
            hand_in.request(config);
        }
    })?;
    signald::run_reloading(&config, &stop, &newest, |ready| output::tell(&format!("ready {ready}\n")))
        .map_err(|error| Failure::new(format!("signaling: {error}")))
}

/// The media process alone takes over nothing but the importance of its log lines. Beside a signaling process that one
/// speaks for both.
fn say_what_waits(running: &mut config::Config, newer: &config::Config, is_supervised: bool) {
    let (of_media, of_log) = (|key: &String| key.starts_with("media."), "process.log".to_owned());
    let left: Vec<String> = running.written.changes(&newer.written).into_iter().filter(of_media).collect();
    running.written.adopt(&newer.written, &[of_log]);
    match (is_supervised, &left[..]) {
        (true, _) => {}
        (false, []) => tracing::info!("configuration read again: nothing of the media plane has changed"),
        (false, left) => tracing::info!("configuration read again: only after a restart: {}", left.join(", ")),
    }
}

fn prepare(options: &Options) -> Result<config::Config, Failure> {
    let config = options.config()?;
    options::start_log(&config)?;
    if options.is_supervised() {
        // A parent that is killed takes us along, so that no process is left that holds the ports.
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::new(format!("cannot tie the process to its parent: {error}")))?;
    }
    Ok(config)
}

/// Ctrl-C and SIGTERM ask for the end.
fn on_end(mut ask: impl FnMut(i32) + Send + 'static) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            ask(signal);
        }
    });
    Ok(())
}
