//! Some hundred seeds in every test run; `make sim` plays ten thousand.

#[test]
fn seeds_keep_every_rule() {
    let (mut answered_count, mut lost_count, mut seconds) = (0, 0, 0);
    for seed in 0..300 {
        match sim::run(seed, None) {
            Ok(report) => {
                answered_count += report.answered_count;
                lost_count += report.lost_count;
                seconds += report.lasted.as_secs();
            }
            Err(broken) => {
                panic!("seed {seed}: {} (SIM_SEED={seed} cargo run --profile ci -p ringplane-sim)", broken.0)
            }
        }
    }
    assert!(answered_count > 1000 && lost_count > 1000 && seconds > 100_000, "{answered_count} {lost_count} {seconds}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1000..1020 {
        let (mut once, mut again) = (Vec::new(), Vec::new());
        assert_eq!(sim::run(seed, Some(&mut once)), sim::run(seed, Some(&mut again)));
        assert!(once == again && once.len() > 10, "seed {seed}");
    }
    assert_ne!(sim::run(1, None), sim::run(2, None));
}

#[test]
fn damaged_messages_hurt_nobody() {
    for seed in 0..200 {
        if let Err(broken) = sim::run_noisy(seed, None) {
            panic!("seed {seed}: {} (SIM_SEED={seed} cargo run --profile ci -p ringplane-sim -- --noisy 1)", broken.0);
        }
    }
}
