//! What can be done with a call.

use crate::api::{
    AudioSource, Call, CallSession, DigitPassing, EventFilter, Operation, Priority, Receiver, SessionError,
    SessionEvent,
};
use signald::OrderTurn;
use std::sync::Arc;
use std::time::Duration;

/// How long a digit is.
const DIGIT: Duration = Duration::from_millis(100);

/// How a call begins and ends.
impl Call {
    /// Answers an incoming call that waits for a decision, and returns when it is up. [`SessionError::Rejected`] with 487 where
    /// the caller has given up meanwhile.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.accept().await?;
    /// call.play(AudioSource::Tone).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept(&self) -> Result<(), SessionError> {
        self.accept_with_sdp(None).await
    }

    /// Answers a call that rings with this session description; `None`: one is made for the call.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call, offer: &str) -> Result<()> {
    /// let answer = call.sdp_answer(offer).await?.replace("s=-", "s=reception");
    /// call.accept_with_sdp(Some(answer)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn accept_with_sdp(&self, sdp: Option<String>) -> Result<(), SessionError> {
        let coordinator = self.coordinator();
        let entry = coordinator.entry(self.id)?;
        coordinator.accept(self.id, sdp).await?;
        coordinator.comes_up(&entry).await.map(drop)
    }

    /// Refuses an incoming call that waits for a decision with a SIP status, 300 to 699; an empty reason is the usual one of
    /// the status.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.reject(486, "").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reject(&self, status: u16, reason: &str) -> Result<(), SessionError> {
        self.coordinator().reject(self.id, status, reason.to_owned()).await
    }

    /// Waits until a call that we placed is answered and its media is set up. [`SessionError::Rejected`] has the status of a
    /// refusal of the called side; [`SessionError::Timeout`]: the called side has not answered in time. When `timeout` runs out
    /// the call stays as it is.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>) -> Result<()> {
    /// let call = coordinator.call("sip:bob@example.com").await?;
    /// call.answered(std::time::Duration::from_secs(30)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn answered(&self, timeout: Duration) -> Result<(), SessionError> {
        self.coordinator().answered(self.id, timeout).await.map(drop)
    }

    /// Ends the call: BYE, CANCEL or a refusal, as its state asks for.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.hang_up().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn hang_up(&self) -> Result<(), SessionError> {
        self.coordinator().operate(self.id, |order, id| order.sessions.terminate(order.turn, id)).await
    }
}

/// What happens while a call is up.
impl Call {
    /// Holds the peer: it is asked to send nothing, and hears nothing. Waits for its answer.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.hold().await?;
    /// assert_eq!(call.state(), SessionState::OnHold);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn hold(&self) -> Result<(), SessionError> {
        self.hold_while_sending(None).await
    }

    /// Holds the peer, and lets it hear this meanwhile: music, most often, as a prompt of the program's.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.hold_with(AudioSource::Music("music".into())).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn hold_with(&self, source: AudioSource) -> Result<(), SessionError> {
        let source = self.coordinator().planned(source)?;
        self.hold_while_sending(Some(source)).await
    }

    async fn hold_while_sending(&self, source: Option<session::PlannedSource>) -> Result<(), SessionError> {
        let hold = move |order: OrderTurn<'_, '_>, id| order.sessions.hold(order.turn, id, source);
        self.coordinator().complete(self.id, Operation::Hold, hold).await
    }

    /// Takes the hold back, and waits for the peer's answer.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.hold().await?;
    /// call.resume().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resume(&self) -> Result<(), SessionError> {
        let resume = |order: OrderTurn<'_, '_>, id| order.sessions.resume(order.turn, id);
        self.coordinator().complete(self.id, Operation::Resume, resume).await
    }

    /// Replaces what the peer hears by silence. RTP goes on, and the peer is not told.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.mute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn mute(&self) -> Result<(), SessionError> {
        self.set_muted(true).await
    }

    /// Lets the peer hear again what [`Self::mute`] has silenced.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.unmute().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unmute(&self) -> Result<(), SessionError> {
        self.set_muted(false).await
    }

    pub(crate) async fn set_muted(&self, muted: bool) -> Result<(), SessionError> {
        self.coordinator().operate(self.id, move |order, id| order.sessions.mute(order.turn, id, muted)).await
    }

    /// Sends digits, `0-9`, `*`, `#`, `A-D`, at most 24: as telephone events (RFC 4733) where these were agreed on, by INFO
    /// otherwise. Returns when all of them are sent.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.send_dtmf("123#").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_dtmf(&self, digits: &str) -> Result<(), SessionError> {
        let digits = digits.to_owned();
        let send = move |order: OrderTurn<'_, '_>, id| order.sessions.send_dtmf(order.turn, id, &digits, DIGIT);
        self.coordinator().complete(self.id, Operation::SendDtmf, send).await
    }

    /// What the other side of the call gets of the digits of this peer from now on, whichever way they come: telephone events,
    /// INFO, tones. `None`: what the configuration says. Programs are told the digits in any case.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.set_digits(Some(DigitPassing::Masked('0'))).await?; // a card number is being said
    /// call.set_digits(None).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn set_digits(&self, passing: Option<DigitPassing>) -> Result<(), SessionError> {
        let passing = passing.map(DigitPassing::to_contract);
        let set = move |order: OrderTurn<'_, '_>, id| order.sessions.set_digit_passing(order.turn, id, passing);
        self.coordinator().operate(self.id, set).await
    }

    /// Asks the peer to call `target` instead (blind transfer, RFC 3515), and waits until it has done so: then our call ends.
    /// When the target does not take the call, [`SessionError::Rejected`] has its status, and our call is back where it was.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.transfer("sip:carol@example.com").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transfer(&self, target: &str) -> Result<(), SessionError> {
        let target = target.to_owned();
        let refer = move |order: OrderTurn<'_, '_>, id| order.sessions.transfer(order.turn, id, &target);
        self.coordinator().complete(self.id, Operation::Transfer, refer).await
    }

    /// Asks the peer to take over another call of ours (attended transfer, `Replaces` of RFC 3891), and waits until it has done
    /// so: then both of our calls end.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(coordinator: std::sync::Arc<SessionCoordinator>, call: Call) -> Result<()> {
    /// let consultation = coordinator.call("sip:carol@example.com").await?;
    /// consultation.answered(std::time::Duration::from_secs(30)).await?;
    /// call.transfer_to(&consultation).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn transfer_to(&self, consultation: &CallSession) -> Result<(), SessionError> {
        self.attended_transfer(consultation.id).await
    }

    pub(crate) async fn attended_transfer(&self, consultation: crate::api::SessionId) -> Result<(), SessionError> {
        self.coordinator().same_shard(self.id.shard(), consultation)?;
        let other = consultation.inner();
        let refer = move |order: OrderTurn<'_, '_>, id| order.sessions.attended_transfer(order.turn, id, other);
        self.coordinator().complete(self.id, Operation::Transfer, refer).await
    }

    /// Makes the call more or less important ([`crate::api::SessionCoordinator::set_priority`]).
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.set_priority(Priority::High)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_priority(&self, priority: Priority) -> Result<(), SessionError> {
        self.coordinator().set_priority(&self.id, priority)
    }

    /// Tells all subscribers something about the call ([`crate::api::SessionCoordinator::publish_event`]).
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// call.publish_event("agent assigned", "anna")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn publish_event(&self, name: impl Into<Arc<str>>, detail: impl Into<Arc<str>>) -> Result<(), SessionError> {
        self.coordinator().publish_event(&self.id, name, detail)
    }

    /// What happens to the call, from now on.
    ///
    /// ```no_run
    /// # use ringplane::api::*;
    /// # async fn example(call: Call) -> Result<()> {
    /// let mut events = call.events();
    /// while let Some(event) = events.recv().await {
    ///     println!("{:?}", event.kind);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Receiver<SessionEvent> {
        self.coordinator().subscribe(EventFilter::all().session(self.id))
    }
}
