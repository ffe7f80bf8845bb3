//! A shard gets a media plane, and loses it.

use crate::shard::thread::ShardThread;
use shard_core::Input;

impl ShardThread {
    /// Takes a media plane that was found.
    pub(crate) fn take_media_plane(&mut self) {
        let Some(attached) = self.inbox.attached.pop() else { return };
        let region = attached.end.region();
        tracing::info!(shard = self.number, process = region.creator_pid(), "attached to the media plane");
        self.link.attach(attached);
        let watched = self.link.fds().map(|[events, socket]| self.sockets.waiter.add_media(events, socket));
        if let Some(Err(error)) = watched {
            tracing::error!(shard = self.number, "cannot watch the media plane: {error}; `ulimit -n` tells the limit");
            self.lose_media_plane();
        }
    }

    /// Ends the calls of a media plane that is gone, and asks for another one.
    pub(crate) fn lose_media_plane(&mut self) {
        let calls = self.shard.sessions().count();
        tracing::error!(
            shard = self.number,
            calls,
            "the media plane is gone; its calls end, new ones get 503 until it is back"
        );
        self.link.fds().into_iter().flatten().for_each(|fd| self.sockets.waiter.remove(fd));
        self.link.detach();
        self.shard.handle(clock::now(), Input::MediaLost, &mut self.link, &mut self.out);
        self.flush();
        // Nobody to ask means that we are about to end as well.
        let _ = self.lost.send(self.number);
    }
}
