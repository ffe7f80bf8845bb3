//! The two processes, each as `serve` or an operator starts it: log, signals, then the process itself until its end.
//! On standard output it says one line, `ready ...`, once it works.

use super::{Failure, options, options::Options};
use rustix::process::{Signal, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};

/// `ringplane media`.
pub(crate) fn media(options: &Options) -> Result<(), Failure> {
    let config = prepare(options)?;
    let failed = |error: mediad::StartError| Failure::new(format!("media: {error}"));
    let media = mediad::Media::start(&config).map_err(failed)?;
    let stopper = media.stopper();
    on_end(move || stopper.stop())?;
    println!("ready {}", media.summary());
    media.join();
    Ok(())
}

/// `ringplane signal`.
pub(crate) fn signal(options: &Options) -> Result<(), Failure> {
    let config = prepare(options)?;
    let stop = signald::Stop::new().map_err(|error| Failure::new(format!("cannot make a wake-up: {error}")))?;
    // What a rush has left goes back once a shard has little to do.
    signald::when_quiet(heap::give_back);
    let asked = stop.clone();
    on_end(move || asked.request())?;
    signald::run(&config, &stop, |ready| println!("ready {ready}"))
        .map_err(|error| Failure::new(format!("signaling: {error}")))
}

fn prepare(options: &Options) -> Result<config::Config, Failure> {
    let config = options.config()?;
    options::start_log(&config)?;
    if options.is_supervised() {
        // A parent that is killed takes us along, so that nobody is left who holds the ports.
        set_parent_process_death_signal(Some(Signal::TERM))
            .map_err(|error| Failure::new(format!("cannot tie the process to its parent: {error}")))?;
    }
    Ok(config)
}

/// Ctrl-C and SIGTERM ask for the end.
fn on_end(ask: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])
        .map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            ask();
        }
    });
    Ok(())
}
