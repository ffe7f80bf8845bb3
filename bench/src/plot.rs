//! Plots as SVG.

use plotters::prelude::*;
use std::io;
use std::path::Path;

/// One line of a plot: its name, and points of x and y.
pub type Line = (String, Vec<(f64, f64)>);

/// Draws lines with points over a common x axis, y from 0.
pub fn lines(path: &Path, title: &str, x_name: &str, y_name: &str, lines: &[Line]) -> io::Result<()> {
    draw(path, title, x_name, y_name, lines).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}

fn draw(
    path: &Path,
    title: &str,
    x_name: &str,
    y_name: &str,
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    const COLOURS: [RGBColor; 5] =
        [RGBColor(0, 92, 175), RGBColor(214, 96, 20), RGBColor(20, 130, 70), RGBColor(120, 60, 160), BLACK];
    let points = || lines.iter().flat_map(|(_, points)| points.iter());
    let top = |value: f64| if value > 0.0 { value * 1.1 } else { 1.0 };
    let x_top = top(points().map(|point| point.0).fold(0.0, f64::max));
    let y_top = top(points().map(|point| point.1).fold(0.0, f64::max));
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (860, 480)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..x_top, 0.0..y_top)?;
        chart.configure_mesh().x_desc(x_name).y_desc(y_name).light_line_style(WHITE).draw()?;
        for (at, (name, points)) in lines.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
            chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(BLACK.mix(0.3))
            .draw()?;
        area.present()?;
    }
    std::fs::write(path, drawing)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_holds_its_words_and_bears_emptiness() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        lines(&path, "title", "calls", "us", &[("one".into(), vec![(1.0, 2.0), (2.0, 3.0)])]).unwrap();
        let drawing = std::fs::read_to_string(&path).unwrap();
        assert!(drawing.contains("<svg") && drawing.contains("calls") && drawing.contains("one"));
        lines(&path, "empty", "x", "y", &[]).unwrap();
    }
}
