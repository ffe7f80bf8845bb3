//! The media plane of a program: threads in this process, shared by all coordinators with the same ports and address, or
//! a running `ringplane media`.

use crate::api::SessionError;
use config::{Config, PortRange, Prompt};
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A directory of our own for sockets; it goes with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Self, SessionError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let base = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        loop {
            let number = COUNT.fetch_add(1, Relaxed);
            let path = base.join(format!("ringplane-{}-{number}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by a dead process that had our number.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let words = format!("cannot make the directory {}: {error}; set XDG_RUNTIME_DIR", path.display());
                    return Err(SessionError::config(words));
                }
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A directory that cannot be removed is left to the host; the program goes on.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The media plane that a coordinator works with.
pub(crate) enum Plane {
    Local(Arc<Local>),
    Attached(PathBuf),
}

/// A media plane in this process.
pub(crate) struct Local {
    ports: PortRange,
    bind: IpAddr,
    prompts: Vec<Prompt>,
    // Ends its threads first, then its directory goes.
    _media: mediad::Media,
    folder: Folder,
}

static LOCAL: Mutex<Vec<Weak<Local>>> = Mutex::new(Vec::new());

impl Plane {
    /// Attaches, or starts a media plane unless one with these ports and this address runs.
    pub(crate) fn find(control_socket: Option<&Path>, config: &Config) -> Result<Self, SessionError> {
        if let Some(path) = control_socket {
            return Ok(Self::Attached(path.to_owned()));
        }
        let mut running = LOCAL.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|plane| plane.strong_count() > 0);
        let (media, bind) = (&config.media, config.media_address());
        let serves =
            |plane: &Arc<Local>| (plane.ports, plane.bind) == (media.ports, bind) && plane.prompts == media.prompts;
        if let Some(plane) = running.iter().filter_map(Weak::upgrade).find(serves) {
            return Ok(Self::Local(plane));
        }
        let plane = Arc::new(Local::start(config)?);
        running.push(Arc::downgrade(&plane));
        Ok(Self::Local(plane))
    }

    /// Where its shared memory is handed over.
    pub(crate) fn control_socket(&self) -> PathBuf {
        match self {
            Self::Local(plane) => process_of(&plane.folder).media_control_socket(),
            Self::Attached(path) => path.clone(),
        }
    }
}

impl Local {
    fn start(config: &Config) -> Result<Self, SessionError> {
        check_address(config)?;
        let folder = Folder::new()?;
        let config = Config { process: process_of(&folder), ..config.clone() };
        let media = mediad::Media::start(&config).map_err(|error| SessionError::media(format!("media: {error}")))?;
        let bind = config.media_address();
        let config::Media { ports, prompts, .. } = config.media;
        Ok(Self { ports, bind, prompts, _media: media, folder })
    }
}

/// An address of another host is the program's mistake; the error names the setting of the program, which the media plane does
/// not know.
fn check_address(config: &Config) -> Result<(), SessionError> {
    let bind = config.media_address();
    // A host without IPv6 has no `::`, and the media plane knows what to do then.
    if bind.is_unspecified() {
        return Ok(());
    }
    let Err(error) = std::net::UdpSocket::bind((bind, 0)) else { return Ok(()) };
    let of_sip = config.sip.listen.iter().find(|address| address.ip() == bind);
    let wanted = of_sip.map_or_else(|| bind.to_string(), |address| address.to_string());
    Err(SessionError::config(format!(
        "cannot use {wanted}: {error}; give with_local_bind_addr an address of this host"
    )))
}

fn process_of(folder: &Folder) -> config::Process {
    config::Process { runtime_dir: folder.path().to_owned(), ..Config::default().process }
}
