//! Who is called: a program of the library whose handler answers every call, or the switch's own numbers in the same
//! place, as a process of its own with a media plane beside it.

use super::caller::Caller;
use super::control_socket;
use clock::Duration;
use loadtest::peers::{MediaPlane, Process, free_port};
use ringplane::api::{AutoAnswerHandler, SessionConfig, SessionManager};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const IP: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Under valgrind on a full host.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The ACK of the last call has been carried out by then.
const CONNECTED_WITHIN: Duration = Duration::from_secs(1);
const CALLS_MAX: usize = 10_000;
const READY: &str = "takes calls";

pub(super) struct Program {
    process: Process,
    caller: Caller,
    // Last, so that it outlives the program.
    _media: MediaPlane,
}

impl Program {
    /// `calls` may be up at once.
    pub(super) fn start(folder: &Path, ringplane: &Path, calls: usize, kind: Kind) -> io::Result<Self> {
        let media = MediaPlane::start(folder, ringplane, 2, calls + 400, "media_timeout_s = 3600")?;
        let address = SocketAddr::new(IP, free_port(IP)?);
        let mut command = Command::new(std::env::current_exe()?);
        let kind = if kind == Kind::Api { "api" } else { "plain" };
        command.args(["setup-program", "--kind", kind, "--address", &address.to_string(), "--media-plane"]);
        command.arg(control_socket(folder));
        let mut process = Process::start("program", &mut command, folder)?;
        process.ready(READY_WITHIN, |process| process.output().contains(READY).then_some(()))?;
        Ok(Self { process, caller: Caller::new(address)?, _media: media })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn call(&mut self, calls: usize, rate: u32) -> io::Result<()> {
        self.caller.call(calls, rate)?;
        std::thread::sleep(CONNECTED_WITHIN);
        Ok(())
    }
}

/// Who decides about calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    /// A handler of a program.
    Api,
    /// The shard by itself: an echo.
    Plain,
}

/// Takes calls until it is killed.
pub fn serve(kind: Kind, address: SocketAddr, media_plane: &Path) -> io::Result<()> {
    if kind == Kind::Api { serve_api(address, media_plane) } else { serve_plain(address, media_plane) }
}

/// One shard, as a program has by default.
fn serve_plain(address: SocketAddr, media_plane: &Path) -> io::Result<()> {
    let mut config = config::Config::default();
    config.sip.listen = vec![address];
    config.sip.calls.max_calls = CALLS_MAX;
    // Its socket stands where the media plane's does.
    config.process.runtime_dir = media_plane.parent().unwrap_or(Path::new("/")).to_owned();
    let stop = signald::Stop::new()?;
    signald::run(&config, &stop, |_| println!("{READY}")).map_err(io::Error::other)
}

fn serve_api(address: SocketAddr, media_plane: &Path) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let mut config = SessionConfig::server(address.to_string()).map_err(io::Error::other)?;
        config.media_plane = Some(media_plane.to_owned());
        config.max_sessions = CALLS_MAX;
        let manager = SessionManager::new(config).await.map_err(io::Error::other)?;
        manager.set_call_handler(Arc::new(AutoAnswerHandler)).await.map_err(io::Error::other)?;
        manager.start_server(address).await.map_err(io::Error::other)?;
        println!("{READY}");
        std::future::pending::<()>().await;
        drop(manager);
        Ok(())
    })
}
