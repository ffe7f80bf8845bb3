//! Quality as a number (ITU-T G.107, the E-model, reduced to what a load test can know).

/// Mean opinion score of G.711 with packet loss concealment, after `delay_ms` from mouth to ear and a random `loss` of 0
/// to 1.
pub fn mos(delay_ms: f64, loss: f64) -> f64 {
    /// Robustness of G.711 with concealment against random loss (G.113 appendix I).
    const BPL: f64 = 25.1;
    let late = (delay_ms - 177.3).max(0.0);
    let delay_impairment = 0.024 * delay_ms + 0.11 * late;
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let loss_impairment = 95.0 * percent / (percent + BPL);
    let r = (93.2 - delay_impairment - loss_impairment).clamp(0.0, 100.0);
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_is_good_and_worse_is_worse() {
        assert!((4.38..4.42).contains(&mos(20.0, 0.0)), "{}", mos(20.0, 0.0));
        assert!(mos(20.0, 0.02) < 4.3 && mos(20.0, 0.2) < 2.7);
        assert!(mos(400.0, 0.0) < mos(150.0, 0.0));
        assert_eq!(mos(10_000.0, 1.0), 1.0);
    }
}
