//! `loadtest heard`: calls held with a tone, judged from a capture.

use clap::Args;
use clock::Duration;
use indicatif::{ProgressBar, ProgressStyle};
use loadtest::heard::{HeardPlan, HeardRun, checks, hear, picture, to_text};
use loadtest::relay::Percentiles;
use loadtest::usage;
use std::fs;
use std::io;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Heard {
    /// A `ringplane` executable, started for this on free ports
    #[arg(long)]
    switch: PathBuf,
    /// Calls held at once
    #[arg(long, default_value_t = 500)]
    calls: usize,
    /// New calls a second
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Seconds from answer to BYE
    #[arg(long, default_value_t = 30.0)]
    hold: f64,
    /// Who is called
    #[arg(long, default_value = "tone")]
    user: String,
    /// Folder for the report (JSON, SVG)
    #[arg(long, default_value = "reports")]
    report: PathBuf,
}

/// Whether all was as wanted.
pub(crate) fn heard(arguments: &Heard) -> io::Result<bool> {
    let folder = tempfile::tempdir()?;
    let plan = HeardPlan {
        program: arguments.switch.clone(),
        calls: arguments.calls,
        rate: arguments.rate,
        hold: Duration::from_secs_f64(arguments.hold),
        user: arguments.user.clone(),
    };
    let load_average = usage::load_average();
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
        bar.set_style(style);
    }
    let run = hear(&plan, folder.path(), &mut |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    let found = checks(&run);
    print!("{}", to_text(&found));
    let gaps = Percentiles::from(&run.evidence.gap_ns);
    println!(
        "gaps of all streams: p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms; load average before: {load_average:.1}",
        gaps.p50_us / 1e3,
        gaps.p99_us / 1e3,
        gaps.p999_us / 1e3,
        gaps.max_us / 1e3
    );
    println!("{}", memory_line(&run));
    fs::create_dir_all(&arguments.report)?;
    let (json, svg) = (arguments.report.join("heard.json"), arguments.report.join("heard.svg"));
    let report = serde_json::json!({
        "calls": plan.calls, "hold_s": arguments.hold, "rate": plan.rate, "load_average": load_average,
        "checks": found, "gap_us": gaps, "set_up_us": run.report.set_up(),
    });
    fs::write(&json, serde_json::to_vec_pretty(&report)?)?;
    let title = format!("Time between two packets: {} calls, each held {:.0} s", plan.calls, arguments.hold);
    picture(&run.evidence, &title, &svg)?;
    println!("{} {}", json.display(), svg.display());
    Ok(found.iter().all(|check| check.good))
}

fn memory_line(run: &HeardRun) -> String {
    let kb = |bytes: u64| bytes / 1_024;
    let Some(during) = run.during else { return "all calls were never up at the same moment".into() };
    format!(
        "resident: signaling {} KB before, {} KB with {} calls up, {} KB after; media {} KB, {} KB, {} KB",
        kb(run.before.signal.resident_bytes),
        kb(during.signal.resident_bytes),
        run.plan.calls,
        kb(run.after.signal.resident_bytes),
        kb(run.before.media.resident_bytes),
        kb(during.media.resident_bytes),
        kb(run.after.media.resident_bytes),
    )
}
