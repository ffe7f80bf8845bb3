use std::io;
use std::path::PathBuf;

/// Why the media plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel does not let us have io_uring.
    #[error(transparent)]
    Denied(#[from] uring::Denied),
    /// A worker got no packet I/O.
    #[error(transparent)]
    Packets(Box<dyn std::error::Error + Send + Sync>),
    /// The media ports could not be bound.
    #[error(transparent)]
    Ports(#[from] uring::BindError),
    /// The shared region could not be made.
    #[error(transparent)]
    Region(#[from] shm::CreateError),
    /// Another media process runs there.
    #[error(
        "another media process runs with {}; stop it, or set another [process] runtime_dir and other [media] ports",
        path.display()
    )]
    AlreadyRunning {
        /// Its socket.
        path: PathBuf,
    },
    /// The directory of the sockets cannot be used.
    #[error(
        "cannot use {} ({what}: {source}); it must be a directory that this user may write to: create it, or set \
         [process] runtime_dir",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What failed.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A prompt's file cannot be read.
    #[error("cannot read the prompt `{name}` from {} ({source}); correct [media] prompts", path.display())]
    PromptFile {
        /// Its name in the configuration.
        name: String,
        /// Its file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A prompt's file has no sound that can be played.
    #[error("the prompt `{name}` in {} is not usable: {source}", path.display())]
    PromptSound {
        /// Its name in the configuration.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: audio::SoundError,
    },
    /// A prompt's file is too large.
    #[error("the prompt `{name}` in {} has {bytes} bytes, more than {limit}; cut it", path.display())]
    PromptSize {
        /// Its name in the configuration.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is taken.
        limit: u64,
    },
    /// A thread could not be made.
    #[error("cannot start the thread `{name}` ({source}); raise the limit of processes (`ulimit -u`, TasksMax=)")]
    Thread {
        /// Its name.
        name: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Something that hardly ever fails.
    #[error("cannot {what}: {source}")]
    System {
        /// What failed.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl StartError {
    pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}
