//! Signaling on a thread of this process.

use crate::api::{SessionConfig, SessionCoordinator, SessionError, Transport};
use crate::coordinator::media_plane::{Folder, Plane};
use crate::coordinator::shard_user::ShardUser;
use signald::{Orders, Stop};
use std::net::SocketAddr;
use std::sync::Weak;
use tokio::sync::oneshot;

/// The way to the shards, and where they listen: by UDP, and by everything else.
pub(crate) type Started = Result<(Orders, SocketAddr, Vec<(Transport, SocketAddr)>), SessionError>;

/// Signaling, on a thread of its own, until the end is asked for.
pub(crate) fn run(
    settings: &SessionConfig,
    this: &Weak<SessionCoordinator>,
    stop: &Stop,
    told: oneshot::Sender<Started>,
) {
    let mut told = Some(told);
    let result = prepare(settings).and_then(|(config, _plane, _folder)| {
        let nonce_key = settings.draw_nonce_key()?;
        let user = |shard| -> Box<dyn signald::CallHandler> {
            Box::new(ShardUser::new(shard, this.clone(), settings.account(), settings.digest_auth(nonce_key)))
        };
        let ready = |ready: &signald::Ready, orders| {
            if let (Some(told), Some(local)) = (told.take(), ready.listening.first()) {
                let connections = ready.connections.iter().map(|(transport, at)| (Transport::of(*transport), *at));
                let _ = told.send(Ok((orders, *local, connections.collect())));
            }
        };
        signald::run_with(&config, stop, user, ready).map_err(|error| match error.is_configuration() {
            true => SessionError::config(error.to_string()),
            false => SessionError::transport(error.to_string()),
        })
    });
    if let Err(error) = result {
        match told {
            Some(told) => drop(told.send(Err(error))),
            None => tracing::error!("signaling has ended: {error}"),
        }
    }
}

/// The media plane, and a directory with the way to it.
fn prepare(settings: &SessionConfig) -> Result<(config::Config, Plane, Folder), SessionError> {
    let folder = Folder::new()?;
    let config = settings.to_config(folder.path().to_owned())?;
    let plane = Plane::find(settings.media_plane.as_deref(), &config)?;
    let (target, link) = (plane.control_socket(), config.process.media_control_socket());
    std::os::unix::fs::symlink(&target, &link).map_err(|error| {
        SessionError::config(format!("cannot link {} to {}: {error}", link.display(), target.display()))
    })?;
    Ok((config, plane, folder))
}
