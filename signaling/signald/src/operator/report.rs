//! What operators are told, as JSON.

use contract::{Codec, LegRow, PeerReport, StreamQuality};
use serde_json::{Value, json};
use shard_core::call_row::CallRow;
use shard_core::log::StatusCounts;
use shm::{Region, WorkerIndex};
use stats::{CounterSet, Counts, MediaCounter, SignalCounter, Unit};
use std::sync::mpsc::Sender;
use transport::StreamCounter;

/// A question to a shard; the answer goes where it says.
pub(crate) struct Question {
    pub(crate) answer_to: Sender<Snapshot>,
    /// Whether the calls themselves are wanted.
    pub(crate) with_calls: bool,
}

/// What a shard knows, at one moment.
pub(crate) struct Snapshot {
    pub(crate) shard: usize,
    pub(crate) calls: Vec<CallRow>,
    pub(crate) counts: Vec<u64>,
    /// INVITEs that were refused, by status.
    pub(crate) refused: StatusCounts,
    pub(crate) sizes: sip_core::Sizes,
    pub(crate) region: Option<Region>,
}

/// A call as JSON.
trait CallJson {
    fn json(&self, row: Option<LegRow>) -> Value;
}

impl CallJson for CallRow {
    /// With what the media plane says of its leg.
    fn json(&self, row: Option<LegRow>) -> Value {
        let row = row.filter(|row| Some(row.leg) == self.leg);
        let codec = row.and_then(|row| Codec::from_number(row.codec)).or(self.codec);
        let remote = row.and_then(|row| row.remote.get()).or(self.remote);
        let number = |read: fn(&LegRow) -> Value| row.as_ref().map_or(Value::Null, read);
        json!({
            "id": self.id,
            "call": self.number,
            "direction": if self.is_outgoing { "out" } else { "in" },
            "linked_to": self.linked,
            "route": self.route,
            "state": self.state,
            "from": self.from,
            "to": self.to,
            "call_id": self.call_id,
            "age_s": self.age_s,
            "codec": codec.map(Codec::name),
            "local": self.local.map(|address| address.to_string()),
            "remote": remote.map(|address| address.to_string()),
            "signaling": self.signaling.to_string(),
            "worker": number(|row| row.worker.into()),
            "received_packets": number(|row| row.received.packets.into()),
            "sent_packets": number(|row| row.sent.packets.into()),
            "dropped_packets": number(|row| row.received.dropped_packets.into()),
            "lost_packets": number(|row| row.received.lost_packets.into()),
            "jitter_us": number(|row| row.received.jitter_us.into()),
            "round_trip_us": number(|row| if row.reported.round_trip_us == 0 { Value::Null } else { row.reported.round_trip_us.into() }),
            "mos": number(|row| score(row.quality.received.mos_x100)),
            "mos_sent": number(|row| score(row.quality.sent.mos_x100)),
            "quality": row.as_ref().map_or(Value::Null, quality_json),
        })
    }
}

/// A mean opinion score of the leg table.
fn score(mos_x100: u16) -> Value {
    if mos_x100 == 0 { Value::Null } else { (f64::from(mos_x100) / 100.0).into() }
}

/// How both streams of a leg sound.
fn quality_json(row: &LegRow) -> Value {
    let part = |of_256: u8| f64::from(of_256) * 100.0 / 256.0;
    let stream = |quality: &StreamQuality| {
        json!({
            "mos": score(quality.mos_x100),
            "recent_mos": score(quality.recent_mos_x100),
            "r": if quality.mos_x100 == 0 { Value::Null } else { (f64::from(quality.r_x10) / 10.0).into() },
            "degraded": quality.degraded == 1,
            "loss_percent": part(quality.loss_rate),
            "discard_percent": part(quality.discard_rate),
            "burst_ms": quality.burst_ms,
            "burst_loss_percent": part(quality.burst_density),
            "gap_ms": quality.gap_ms,
            "gap_loss_percent": part(quality.gap_density),
            "delay_ms": quality.delay_ms,
        })
    };
    let PeerReport { r_factor, mos_lq_x10, mos_cq_x10, has_metrics, jitter_us, .. } = row.reported;
    let known = |value: u8, most: u8, unit: f64| match has_metrics == 1 && value <= most {
        true => (f64::from(value) / unit).into(),
        false => Value::Null,
    };
    let mut sent = stream(&row.quality.sent);
    sent["jitter_us"] = jitter_us.into();
    sent["peer_r"] = known(r_factor, 100, 1.0);
    sent["peer_mos_lq"] = known(mos_lq_x10, 50, 10.0);
    sent["peer_mos_cq"] = known(mos_cq_x10, 50, 10.0);
    let mut received = stream(&row.quality.received);
    received["jitter_us"] = row.received.jitter_us.into();
    json!({ "received": received, "sent": sent })
}

/// `calls`: every live call.
pub(crate) fn calls_json(snapshots: &[Snapshot]) -> Value {
    let calls = snapshots.iter().flat_map(|snapshot| {
        let legs = snapshot.region.as_ref().map(Region::legs);
        snapshot.calls.iter().map(move |call| {
            let row = call.leg.and_then(|leg| legs.as_ref()?.read(leg));
            call.json(row)
        })
    });
    Value::Array(calls.collect())
}

/// `stats`: every number with its unit and meaning.
pub(crate) fn stats_json(snapshots: &[Snapshot], streams: Option<Counts<StreamCounter>>) -> Value {
    let mut list = Vec::new();
    for snapshot in snapshots {
        let place = format!("signal {}", snapshot.shard);
        add_counters::<SignalCounter>(&mut list, &place, &snapshot.counts);
        for (status, count) in snapshot.refused.iter() {
            let words = sip_wire::StatusCode::new(status).map_or("", sip_wire::StatusCode::reason_phrase);
            let meaning = format!("INVITEs that were refused with {status} {words}");
            add(
                &mut list,
                &place,
                &format!("invites_refused_{status}"),
                count,
                "events",
                &format!("{}.", meaning.trim_end()),
            );
        }
    }
    if let Some(counts) = streams {
        add_counters::<StreamCounter>(&mut list, "connections", counts.values());
    }
    if let Some(region) = snapshots.iter().find_map(|snapshot| snapshot.region.as_ref()) {
        for worker in region.plan().workers() {
            let place = format!("media {}", worker.0);
            add_counters::<MediaCounter>(&mut list, &place, region.media_counters(worker).read().values());
            add_levels(&mut list, &place, region, worker);
            add_latencies(&mut list, &place, region, worker);
        }
    }
    Value::Array(list)
}

fn add_counters<C: CounterSet>(list: &mut Vec<Value>, place: &str, values: &[u64]) {
    for (counter, value) in C::ALL.iter().zip(values) {
        add(list, place, counter.name(), *value, unit(counter.unit()), counter.meaning());
    }
}

fn add_levels(list: &mut Vec<Value>, place: &str, region: &Region, worker: WorkerIndex) {
    let levels = region.ports().levels(worker);
    let mut level = |name, value: usize, meaning| add(list, place, name, value as u64, "level", meaning);
    level("ports_free", levels.free, "Port pairs of this worker that a call can have.");
    level("ports_in_use", levels.owned, "Port pairs of this worker that calls have.");
    level("ports_unavailable", levels.unavailable, "Port pairs of this worker that other programs have.");
}

fn add_latencies(list: &mut Vec<Value>, place: &str, region: &Region, worker: WorkerIndex) {
    let kinds = [
        (
            "relay_latency",
            region.relay_latency(worker).read(),
            "From a packet's arrival to the send of what came of it",
        ),
        ("pacing_lateness", region.pacing_lateness(worker).read(), "How late a frame of our own went out"),
    ];
    for (name, latency, meaning) in kinds {
        for (suffix, percent, words) in [("p50", 50.0, "half of all are below"), ("p99", 99.0, "99 of 100 are below")] {
            let value = latency.percentile(percent).map_or(0, |value| value.as_micros() as u64);
            let name = format!("{name}_{suffix}_us");
            add(list, place, &name, value, unit(Unit::Microseconds), &format!("{meaning}; {words}."));
        }
    }
}

fn add(list: &mut Vec<Value>, place: &str, name: &str, value: u64, unit: &str, meaning: &str) {
    list.push(json!({ "where": place, "name": name, "value": value, "unit": unit, "meaning": meaning }));
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Packets => "packets",
        Unit::Bytes => "bytes",
        Unit::Events => "events",
        Unit::Level => "level",
        Unit::Microseconds => "us",
    }
}

/// What is known of the switch beside what its shards say.
#[derive(Clone, Copy)]
pub(crate) struct SwitchFacts<'a> {
    pub(crate) shard_count: usize,
    /// Its mode needs a media process.
    pub(crate) has_media: bool,
    pub(crate) uptime_s: u64,
    pub(crate) listening: &'a [String],
}

/// `health`: whether calls can be taken now.
pub(crate) fn health_json(snapshots: &[Snapshot], switch: &SwitchFacts<'_>) -> Value {
    let SwitchFacts { shard_count, has_media, uptime_s, listening } = *switch;
    let attached = snapshots.iter().filter(|snapshot| snapshot.region.is_some()).count();
    let is_well = attached == shard_count || !has_media;
    let calls: u64 = snapshots.iter().filter_map(|snapshot| snapshot.counts.first()).sum();
    let sum = |size: fn(&sip_core::Sizes) -> usize| -> usize { snapshots.iter().map(|one| size(&one.sizes)).sum() };
    json!({
        "status": if is_well { "ok" } else { "no media plane" },
        "shards": shard_count,
        "shards_answering": snapshots.len(),
        "shards_with_media_plane": attached,
        "media_process": snapshots.iter().find_map(|snapshot| Some(snapshot.region.as_ref()?.creator_pid())),
        "calls": calls,
        "transactions": sum(|sizes| sizes.server_transactions),
        "client_transactions": sum(|sizes| sizes.client_transactions),
        "dialogs": sum(|sizes| sizes.dialogs),
        "invitations": sum(|sizes| sizes.calls),
        "subscriptions": sum(|sizes| sizes.subscriptions),
        "uptime_s": uptime_s,
        "listening": listening,
    })
}
