//! SIGHUP: the configuration is read again. A file with mistakes changes nothing.

use super::{Failure, options, options::Options};
use config::Config;
use signal_hook::consts::SIGHUP;
use signal_hook::iterator::Signals;

/// Watches for SIGHUP from now on, also where nothing is read again: the end of a terminal does not end the switch.
pub(crate) fn watch(reload: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let mut signals =
        Signals::new([SIGHUP]).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            reload();
        }
    });
    Ok(())
}

/// Reads the file anew; `None`: there is none, or it cannot be used, and the log says so.
pub(crate) fn read(options: &Options) -> Option<Config> {
    if !options.has_file() {
        tracing::info!("SIGHUP: the switch runs without a configuration file, so there is nothing to read again");
        return None;
    }
    match options.config() {
        Ok(config) => {
            if !options.is_supervised() {
                options.warnings(&config).iter().for_each(|warning| tracing::warn!("{warning}"));
            }
            options::set_log_level(&config);
            Some(config)
        }
        Err(failure) => {
            tracing::error!("SIGHUP: the new configuration is not used, the old one goes on");
            failure.to_string().lines().for_each(|line| tracing::error!("{line}"));
            None
        }
    }
}
