//! The report as one HTML file with its pictures inside.

use super::report::CallsReport;
use hdrhistogram::Histogram;
use plotters::prelude::*;

type Problem = Box<dyn std::error::Error>;

/// The whole page.
pub fn page(report: &CallsReport, title: &str) -> Result<String, Problem> {
    let mut body = format!("<h1>{}</h1>\n<pre>{}</pre>\n", escape(title), escape(&report.to_text()));
    for (name, unit, scale, histogram) in report.histograms() {
        if !histogram.is_empty() {
            let name = if unit.is_empty() { name.into() } else { format!("{name}, {unit}") };
            body += &format!("<figure>{}</figure>\n", picture(&name, scale, histogram)?);
        }
    }
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{}</title>\n<style>body{{font:15px \
         sans-serif;margin:2em auto;max-width:1300px}}figure{{display:inline-block;margin:6px}}pre{{background:#f4f4f4;\
         padding:1em}}</style>\n{body}</html>\n",
        escape(title)
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// How many of 100 are below a value: it shows the middle and the tail at once.
fn picture(name: &str, scale: f64, histogram: &Histogram<u64>) -> Result<String, Problem> {
    let percentiles: Vec<f64> = (0..=99).map(f64::from).chain([99.5, 99.9, 99.99, 100.0]).collect();
    let points: Vec<(f64, f64)> =
        percentiles.iter().map(|p| (histogram.value_at_percentile(*p) as f64 / scale, *p)).collect();
    let low = histogram.min() as f64 / scale;
    let high = (histogram.max() as f64 / scale).max(low + 1e-3);
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (600, 300)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(name, ("sans-serif", 17))
            .margin(10)
            .x_label_area_size(32)
            .y_label_area_size(44)
            .build_cartesian_2d(low..high, 0.0..100.0)?;
        chart.configure_mesh().y_desc("percent below").light_line_style(WHITE).draw()?;
        chart.draw_series(LineSeries::new(points, RGBColor(0, 92, 175).stroke_width(2)))?;
        area.present()?;
    }
    Ok(drawing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_words_and_pictures() {
        let mut report = CallsReport::default();
        (1..100).for_each(|n| report.set_up_ns.saturating_record(n * 10_000));
        report.fail("486 <Busy>");
        let page = page(&report, "Calls & media").unwrap();
        assert!(page.contains("<svg") && page.contains("Calls &amp; media") && page.contains("486 &lt;Busy&gt;"));
    }
}
