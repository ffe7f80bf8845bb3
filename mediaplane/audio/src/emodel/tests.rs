use super::*;

fn after(codec_ie: f32, delay_ms: u64, echo_loss_db: f32) -> f32 {
    let connection = Connection { delay: Duration::from_millis(delay_ms), echo_loss_db, ..Connection::default() };
    r_factor(CodecImpairment { ie: codec_ie, bpl: 4.3 }, &connection)
}

fn lossy(codec: CodecImpairment, percent: f32, burst_ratio: f32) -> f32 {
    r_factor(codec, &Connection { lost: percent / 100.0, burst_ratio, ..Connection::default() })
}

#[test]
fn the_default_connection_is_rated_93_2() {
    let r = r_factor(CodecImpairment::G711, &Connection::default());
    assert!((r - 93.2).abs() < 0.06, "G.107 §7.7 says 93.2: {r}");
    assert!((mos(r) - 4.41).abs() < 0.005, "{}", mos(r));
}

#[test]
fn the_wide_band_scale_ends_at_129() {
    let perfect = CodecImpairment { ie: 0.0, bpl: 4.3 };
    assert_eq!(r_factor_wide(perfect, &Connection::default()), 129.0);
    assert_eq!((mos_wide(129.0), mos_wide(0.0), mos_wide(f32::NAN)), (4.5, 1.0, 1.0));
    // R of 116 is 89.9 on the narrow-band scale.
    let g722 = r_factor_wide(CodecImpairment::G722_WIDE, &Connection::default());
    assert!((g722 - 116.0).abs() < 0.01 && (mos_wide(g722) - 4.34).abs() < 0.01, "{g722}, {}", mos_wide(g722));
    let lossy = Connection { lost: 0.05, delay: Duration::from_millis(400), ..Connection::default() };
    let r = r_factor_wide(CodecImpairment::G722_WIDE, &lossy);
    let narrow = r_factor(CodecImpairment::G711, &Connection { lost: 0.0, ..lossy });
    let cost_of_delay = 93.2 - narrow;
    assert!((r - (116.0 - 82.0 * 5.0 / 30.1 - cost_of_delay)).abs() < 1.5, "{r}, {cost_of_delay}");
    let senseless = Connection { lost: f32::NAN, delay: Duration::MAX, burst_ratio: f32::INFINITY, ..lossy };
    assert!((0.0..=129.0).contains(&r_factor_wide(perfect, &senseless)));
}

#[test]
fn opinions_are_those_of_annex_b() {
    for (r, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
        assert!((mos(r) - expected).abs() < 0.01, "{r}: {}", mos(r));
    }
    assert_eq!((mos(-5.0), mos(0.0), mos(100.0), mos(120.0), mos(f32::NAN)), (1.0, 1.0, 4.5, 4.5, 1.0));
    assert!((1..=1_000).all(|tenth| mos(tenth as f32 / 10.0) >= mos((tenth - 1) as f32 / 10.0)));
}

/// Delays at which a connection is rated 70, published by others (Janssen et al., "Delay and distortion bounds for
/// packetized voice calls", Telektronikk 2001, table 3): without an echo, and with one that is damped by 50 dB, to which
/// the loudness ratings of the telephone add 10 dB.
#[test]
fn tolerable_delays_are_those_that_others_computed() {
    for (ie, without_echo_ms, with_echo_ms) in
        [(0.0, 400, 291), (5.0, 342, 256), (7.0, 322, 243), (10.0, 294, 223), (15.0, 251, 187), (19.0, 219, 131)]
    {
        let (without, with) = (after(ie, without_echo_ms, 200.0), after(ie, with_echo_ms, 60.0));
        assert!((without - 70.0).abs() < 2.0, "Ie {ie}, {without_echo_ms} ms: {without}");
        assert!((with - 70.0).abs() < 2.0, "Ie {ie}, {with_echo_ms} ms and an echo: {with}");
    }
}

#[test]
fn loss_costs_what_g113_says() {
    // Ie,eff = 95 * Ppl / (Ppl + Bpl).
    let perfect = lossy(CodecImpairment::G711, 0.0, 1.0);
    for (codec, percent, cost) in [
        (CodecImpairment::G711, 1.0, 95.0 / 5.3),
        (CodecImpairment::G711, 5.0, 475.0 / 9.3),
        (CodecImpairment::G711_CONCEALED, 5.0, 475.0 / 30.1),
        (CodecImpairment::G729A, 0.0, 11.0),
        (CodecImpairment::G729A, 3.0, 11.0 + 84.0 * 3.0 / 22.0),
    ] {
        let r = lossy(codec, percent, 1.0);
        assert!((perfect - r - cost).abs() < 0.01, "{codec:?} with {percent} %: {r}");
    }
    let bursts = lossy(CodecImpairment::G711, 5.0, 2.0);
    assert!((perfect - bursts - 475.0 / 6.8).abs() < 0.01, "losses in bursts cost more: {bursts}");
    let discarded = Connection { lost: 0.02, discarded: 0.05, ..Connection::default() };
    let together = lossy(CodecImpairment::G711_CONCEALED, 6.9, 1.0);
    assert!((r_factor(CodecImpairment::G711_CONCEALED, &discarded) - together).abs() < 0.01);
}

#[test]
fn runs_of_losses_make_the_burst_ratio() {
    let mut independent = LossRuns::default();
    let lost = crate::testing::loss_pattern(5, 0.1, 100_000);
    lost.iter().for_each(|is_lost| independent.count(*is_lost));
    assert!((independent.burst_ratio() - 1.0).abs() < 0.03, "{}", independent.burst_ratio());
    assert!((independent.lost() - 0.1).abs() < 0.01);
    let mut bursts = LossRuns::default();
    (0..1_000).for_each(|index| bursts.count(index % 20 < 4));
    assert!((bursts.burst_ratio() - 4.0 * 0.8).abs() < 0.01, "{}", bursts.burst_ratio());
    assert_eq!((LossRuns::default().burst_ratio(), LossRuns::default().lost()), (1.0, 0.0));
    let mut all = LossRuns::default();
    all.count(true);
    assert_eq!((all.burst_ratio(), all.lost()), (1.0, 1.0));
}

#[test]
fn senseless_values_do_no_harm() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0, 1e30] {
        let connection = Connection {
            delay: Duration::MAX,
            lost: value,
            discarded: value,
            burst_ratio: value,
            echo_loss_db: value,
            advantage: value,
        };
        let r = r_factor(CodecImpairment::G711, &connection);
        assert!((0.0..=100.0).contains(&r), "{value}: {r}");
    }
}
