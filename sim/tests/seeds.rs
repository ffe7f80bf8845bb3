//! Some hundred seeds in every test run; `make sim` plays ten thousand. Of the whole system, which takes longer, some dozen.

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

/// Calls of the whole system: both planes, phones that speak, deaths of processes and workers.
#[test]
fn the_whole_system_keeps_every_rule() {
    let seeds_count =
        if std::env::var_os("RINGPLANE_TEST_ALL").is_some_and(|value| value == "1") { 2_000 } else { 100 };
    let (mut talked_count, mut checked_count, mut deaths_count) = (0, 0, 0);
    let (mut transferred_count, mut recorded_count, mut adopted_count, mut held_count) = (0, 0, 0, 0);
    for seed in 0..seeds_count {
        match sim::run_system(seed, None) {
            Ok(report) => {
                talked_count += report.talked_count;
                checked_count += report.checked_count;
                deaths_count += report.deaths_count;
                transferred_count += report.transferred_count;
                recorded_count += report.recorded_count;
                adopted_count += report.adopted_count;
                held_count += report.held_count;
            }
            Err(broken) => {
                let command = "cargo run --profile ci -p ringplane-sim -- --system 1";
                panic!("seed {seed}: {} (SIM_SEED={seed} {command})", broken.0)
            }
        }
    }
    let enough = talked_count > 200 && checked_count > 50_000 && deaths_count > 50;
    assert!(enough, "{talked_count} calls, {checked_count} packets checked, {deaths_count} deaths");
    let enough = transferred_count > 10 && recorded_count > 5 && adopted_count > 3 && held_count > 20;
    assert!(
        enough,
        "{transferred_count} transfers, {recorded_count} recordings, {adopted_count} legs adopted, {held_count} looks at holds"
    );
}

#[test]
fn the_same_seed_of_the_system_gives_the_same_trace() {
    let (mut once, mut again) = (Vec::new(), Vec::new());
    assert_eq!(sim::run_system(7, Some(&mut once)), sim::run_system(7, Some(&mut again)));
    assert!(once == again && once.len() > 1_000);
    assert_ne!(sim::run_system(8, None), sim::run_system(9, None));
}
