//! The gaps between packets as a picture.

use super::evidence::Evidence;
use hdrhistogram::Histogram;
use plotters::prelude::*;
use std::io;
use std::path::Path;

type Problem = Box<dyn std::error::Error>;

/// Draws a histogram of the gaps between packets on a logarithmic scale, and beneath it their median and tail second by
/// second, into an SVG file at `path`.
pub fn picture(evidence: &Evidence, title: &str, path: &Path) -> io::Result<()> {
    let drawing = draw(evidence, title).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
    std::fs::write(path, drawing)
}

fn draw(evidence: &Evidence, title: &str) -> Result<String, Problem> {
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (900, 720)).into_drawing_area();
        area.fill(&WHITE)?;
        let (above, below) = area.split_vertically(380);
        lengths(&above, title, &evidence.gap_ns)?;
        over_time(&below, &evidence.gap_ns_by_second)?;
        area.present()?;
    }
    Ok(drawing)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn lengths(area: &Area<'_>, title: &str, gap_ns: &Histogram<u64>) -> Result<(), Problem> {
    const STEP_NS: u64 = 100_000;
    let ms = |ns: u64| ns as f64 / 1e6;
    let low = ms(gap_ns.min()).min(19.0);
    let high = ms(gap_ns.max()).clamp(21.0, 60.0) + 0.2;
    let bars: Vec<(f64, f64)> = gap_ns
        .iter_linear(STEP_NS)
        .filter(|step| step.count_since_last_iteration() > 0)
        .map(|step| (ms(step.value_iterated_to()), step.count_since_last_iteration() as f64))
        .collect();
    let top = bars.iter().map(|bar| bar.1).fold(10.0, f64::max) * 2.0;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(low..high, (0.5..top).log_scale())?;
    chart.configure_mesh().x_desc("time between two packets, ms").y_desc("packets").light_line_style(WHITE).draw()?;
    let colour = RGBColor(0, 92, 175);
    chart.draw_series(
        bars.into_iter().map(|(at, count)| Rectangle::new([(at - ms(STEP_NS), 0.5), (at, count)], colour.filled())),
    )?;
    Ok(())
}

fn over_time(area: &Area<'_>, seconds: &[Histogram<u64>]) -> Result<(), Problem> {
    let at = |percentile: f64| -> Vec<(f64, f64)> {
        let heard = seconds.iter().enumerate().filter(|(_, histogram)| !histogram.is_empty());
        heard.map(|(second, h)| (second as f64, h.value_at_percentile(percentile) as f64 / 1e6)).collect()
    };
    let lines = [
        ("p50", at(50.0), RGBColor(0, 92, 175)),
        ("p99", at(99.0), RGBColor(20, 130, 70)),
        ("longest", at(100.0), RGBColor(214, 96, 20)),
    ];
    let top = lines[2].1.iter().map(|point| point.1).fold(24.0, f64::max).min(100.0) * 1.05;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..seconds.len().max(1) as f64, 18.0..top)?;
    chart.configure_mesh().x_desc("second of the capture").y_desc("gap, ms").light_line_style(WHITE).draw()?;
    for (name, points, colour) in lines {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.9)).border_style(BLACK.mix(0.3)).draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{RtpStreams, SeenCalls};

    #[test]
    fn a_picture_has_its_words_and_bears_emptiness() {
        let mut evidence = Evidence {
            calls: SeenCalls::to("127.0.0.1:5060".parse().unwrap()),
            streams: RtpStreams::default(),
            gap_ns: crate::media::histogram(),
            gap_ns_by_second: Vec::new(),
            after_bye: 0,
            after_bye_max_ns: 0,
        };
        assert!(draw(&evidence, "nothing").unwrap().contains("<svg"));
        (0..100).for_each(|n| evidence.gap_ns.saturating_record(20_000_000 + n * 10_000));
        evidence.gap_ns_by_second.push(evidence.gap_ns.clone());
        let drawing = draw(&evidence, "gaps of a tone").unwrap();
        assert!(drawing.contains("gaps of a tone") && drawing.contains("longest"));
    }
}
