//! What can be done with the media of a call.

use crate::api::{
    AudioSource, Call, Codec, MediaInfo, MediaStatistics, Operation, RecordingOptions, RecordingSummary, SessionError,
};
use contract::RecordingKind;
use session::{AtEnd, Plan, Remote};
use signald::OrderTurn;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::mpsc;

/// Sound.
impl Call {
    /// Sends this from now on; a prompt is played once, music again and again.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.play(AudioSource::Prompt("play".into())).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn play(&self, source: AudioSource) -> Result<(), SessionError> {
        let at_end = if matches!(source, AudioSource::Music(_)) { AtEnd::Repeat } else { AtEnd::Silence };
        let plan = Plan { at_end, ..Plan::of(self.coordinator().planned(source)?) };
        self.coordinator().operate(self.id, move |order, id| order.sessions.play(order.turn, id, plan)).await?;
        self.coordinator().rooms.leave(self.id);
        Ok(())
    }

    /// Sends silence from now on.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.play(AudioSource::Ringing).await?;
    /// call.stop_playing().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop_playing(&self) -> Result<(), SessionError> {
        self.play(AudioSource::Silence).await
    }

    /// Writes what is said and heard into a file of WAV or Opus, and returns once that has begun
    /// ([`crate::api::MediaControl::start_recording`] says what is in the file).
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.record("/var/spool/calls/1.wav").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn record(&self, options: impl Into<RecordingOptions> + Send) -> Result<(), SessionError> {
        self.coordinator().record(self.id, options.into()).await
    }

    /// Leaves silence in the recording from now on, while the caller says what nobody is to keep, such as the number of a
    /// card. [`RecordingSummary::paused`] tells how long.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.pause_recording().await?;
    /// // ... the number of a card ...
    /// call.resume_recording().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pause_recording(&self) -> Result<(), SessionError> {
        self.coordinator().pause_recording(self.id, RecordingKind::Sound, true).await
    }

    /// The recording goes on with the sound ([`Self::pause_recording`]).
    pub async fn resume_recording(&self) -> Result<(), SessionError> {
        self.coordinator().pause_recording(self.id, RecordingKind::Sound, false).await
    }

    /// Ends the recording, closes its file, and says what is in it. Also answers, once, for a recording that has ended by
    /// itself.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let summary = call.stop_recording().await?;
    /// println!("{} has {:?}", summary.path.display(), summary.duration);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop_recording(&self) -> Result<RecordingSummary, SessionError> {
        self.coordinator().end_recording(self.id, RecordingKind::Sound).await
    }

    /// Writes the packets of RTP and RTCP that the call receives and sends into a file of pcapng, and returns once that has
    /// begun ([`RecordingOptions::packets`]). It may run beside a recording of the sound.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call, other: Call) -> Result<()> {
    /// call.capture_packets("/var/spool/calls/1.pcapng").await?;
    /// // The other leg of a bridge, in the same file.
    /// other.capture_packets(RecordingOptions::packets("/var/spool/calls/1.pcapng").join()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn capture_packets(&self, options: impl Into<RecordingOptions> + Send) -> Result<(), SessionError> {
        self.coordinator().record(self.id, options.into().pcapng()).await
    }

    /// Leaves packets out of the capture from now on, as [`Self::pause_recording`] does with sound: digits and what is said
    /// can be read from them.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.pause_capture().await?;
    /// // ... the number of a card ...
    /// call.resume_capture().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn pause_capture(&self) -> Result<(), SessionError> {
        self.coordinator().pause_recording(self.id, RecordingKind::Packets, true).await
    }

    /// The capture goes on ([`Self::pause_capture`]).
    pub async fn resume_capture(&self) -> Result<(), SessionError> {
        self.coordinator().pause_recording(self.id, RecordingKind::Packets, false).await
    }

    /// Ends the capture, and says how many packets are in it. Also answers, once, for one that has ended by itself.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let summary = call.stop_capture().await?;
    /// println!("{} packets came, {} went", summary.packets_received, summary.packets_sent);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop_capture(&self) -> Result<RecordingSummary, SessionError> {
        self.coordinator().end_recording(self.id, RecordingKind::Packets).await
    }
}

/// Where media flows, and what it has counted.
impl Call {
    /// Where media flows; `None` while there is none.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// if let Some(media) = call.media().await? {
    ///     println!("{:?} to {}:{}", media.codec, media.remote_rtp_address, media.remote_rtp_port);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn media(&self) -> Result<Option<MediaInfo>, SessionError> {
        self.coordinator().media_info(self.id).await
    }

    /// What media has counted, at most a second old; `None` while there is none. For a call that is over ask
    /// [`crate::api::CallSession::media_statistics`].
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let lost = call.statistics().await?.map_or(0, |counted| counted.packets_lost);
    /// println!("{lost} packets were lost");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn statistics(&self) -> Result<Option<MediaStatistics>, SessionError> {
        self.coordinator().media_counts(self.id).await
    }

    /// The statistics again and again until the call ends
    /// ([`crate::api::MediaControl::start_statistics_monitoring`]). The shortest interval is 20 ms.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let mut numbers = call.monitor_statistics(std::time::Duration::from_secs(5))?;
    /// while let Some(now) = numbers.recv().await {
    ///     println!("{} packets", now.packets_received);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn monitor_statistics(&self, every: Duration) -> Result<mpsc::Receiver<MediaStatistics>, SessionError> {
        self.coordinator().monitor(self.id, every)
    }
}

/// Session descriptions.
impl Call {
    /// A session description (RFC 4566) with the call's own address, port and codecs, as it would be offered now.
    /// [`crate::api::MediaControl::generate_sdp_offer`] says more.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// println!("{}", call.sdp_offer().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sdp_offer(&self) -> Result<String, SessionError> {
        self.coordinator().operate(self.id, |order, id| order.sessions.offer_text(order.turn, id)).await
    }

    /// The call's answer to an offer (RFC 3264): the codecs in common, and our address and port.
    /// [`SessionError::Rejected`] has the status that such an offer earns, 488 where there is no common codec.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call, offer: &str) -> Result<()> {
    /// let answer = call.sdp_answer(offer).await?;
    /// call.accept_with_sdp(Some(answer)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn sdp_answer(&self, offer: &str) -> Result<String, SessionError> {
        let offer = offer.to_owned();
        let answer = move |order: OrderTurn<'_, '_>, id| order.sessions.answer_text(order.turn, id, &offer);
        self.coordinator().operate(self.id, answer).await
    }

    /// Sends media to `remote` from now on, without a word to the peer: an address such as `192.0.2.7:4000`, or a session
    /// description of the one who is to hear it. Packets are taken from there as well. A later description of the peer's own
    /// counts again.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.send_media_to("192.0.2.7:4000").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_media_to(&self, remote: &str) -> Result<(), SessionError> {
        let text = remote.trim_start().to_owned();
        let address = text.trim_end().parse::<SocketAddr>();
        if address.is_err() && !text.starts_with("v=0") {
            let words = format!("`{text}` is neither an address such as 192.0.2.7:4000 nor a session description");
            return Err(SessionError::config(words));
        }
        let send = move |order: OrderTurn<'_, '_>, id| {
            let remote = address.as_ref().map_or(Remote::Description(&text), |address| Remote::Address(*address));
            order.sessions.send_media_to(order.turn, id, remote)
        };
        self.coordinator().complete_unless_done(self.id, Operation::ChangeMedia, send).await
    }

    /// Asks the peer to go over to another codec by re-INVITE, and waits for its answer.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.change_codec(Codec::Pcma).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn change_codec(&self, codec: Codec) -> Result<(), SessionError> {
        let codec = codec.to_contract();
        let change = move |order: OrderTurn<'_, '_>, id| order.sessions.change_codec(order.turn, id, codec);
        self.coordinator().complete(self.id, Operation::ChangeMedia, change).await
    }
}
