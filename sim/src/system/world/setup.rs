//! What is drawn once for a seed: the configuration of the switch, the phones, and the network.

use crate::rng::Rng;
use crate::system::phone::{Model, Phone};
use crate::system::signaling::Surroundings;
use clock::Duration;
use config::{Config, Mode};
use sip_core::{Flow, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

pub(super) const FIRST_PORT: u16 = 10_000;
pub(super) const SWITCH: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 100));

/// What does not change in a seed.
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) shard_count: usize,
    pub(super) around: Surroundings,
    /// How long legs are kept after the death of signaling.
    pub(super) grace: Option<Duration>,
    /// Calls last for minutes, so that session timers come into play.
    pub(super) is_long: bool,
}

impl Setup {
    pub(super) fn draw(rng: &mut Rng, last_port: u16, models: &[Model]) -> Self {
        let reverse = |model: &Model| Flow { local: model.flow.remote, remote: model.flow.local, ..model.flow };
        let around =
            Surroundings { switch: SocketAddr::new(SWITCH, 5060), phones: models.iter().map(reverse).collect() };
        let grace = rng.chance(50).then(|| rng.between_ms(3_000, 12_000));
        let (config, shard_count) = (config(rng, last_port), 1 + rng.below(3) as usize);
        Self { config, shard_count, around, grace, is_long: rng.chance(15) }
    }

    /// Whether calls end at the switch, so that it has their media.
    pub(super) fn has_media(&self) -> bool {
        self.config.sip.mode.has_media()
    }
}

fn config(rng: &mut Rng, last_port: u16) -> Config {
    let mut config = Config::default();
    let calls = &mut config.sip.calls;
    calls.ring_timeout = Duration::from_secs(30);
    calls.max_call = Some(Duration::from_secs(300));
    calls.session_expires = *rng.pick(&[None, Some(Duration::from_secs(90))]);
    match rng.below(8) {
        0 => config.sip.mode = Mode::Proxy,
        draw => {
            config.sip.mode = Mode::B2bua;
            if draw < 4 {
                config.sip.proxy.methods = ["MESSAGE", "PUBLISH"].map(str::to_owned).into();
            }
        }
    }
    config.media.media_timeout = Some(Duration::from_secs(20));
    (config.media.ports.first, config.media.ports.last) = (FIRST_PORT, last_port);
    config
}

/// The kinds of phones that there are.
pub(super) fn models(rng: &mut Rng) -> Vec<Model> {
    let switch = SocketAddr::new(SWITCH, 5060);
    let count = 2 + rng.below(4) as u8;
    let model = |number: u8| {
        let address = SocketAddr::new(IpAddr::from([10, 0, 0, number]), 5060);
        let flow = match rng.chance(25) {
            true => Flow { transport: Transport::Tcp, connection: number.into(), ..Flow::udp(address, switch) },
            false => Flow::udp(address, switch),
        };
        Model {
            flow,
            has_events: rng.chance(60),
            has_update: rng.chance(80),
            session_timer: Duration::from_secs(*rng.pick(&[0, 0, 90])),
        }
    };
    (1..=count).map(model).collect()
}

pub(super) fn phones(rng: &mut Rng, models: &[Model]) -> Vec<Phone> {
    models.iter().enumerate().map(|(index, model)| Phone::new(rng.next(), index as u64, *model)).collect()
}
