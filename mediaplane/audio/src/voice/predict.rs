//! Linear prediction: what a sound's spectrum looks like, in a few coefficients.

use super::dot;

/// Most coefficients.
pub(super) const MOST_ORDER: usize = 12;

/// Powers of a sound with itself, shifted by 0 to [`MOST_ORDER`] samples.
pub(super) type Autocorrelation = [f32; MOST_ORDER + 1];

/// The sums of products of the samples with those that come 0 to [`MOST_ORDER`] later.
pub(super) fn autocorrelation(samples: &[f32]) -> Autocorrelation {
    std::array::from_fn(|lag| {
        let later = samples.get(lag..).unwrap_or(&[]);
        dot(&samples[..later.len()], later)
    })
}

/// An all-pole filter that makes a spectrum out of white noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prediction {
    /// Reflection coefficients, between -1 and 1; the first is the negative correlation of neighbouring samples.
    pub(super) reflection: [f32; MOST_ORDER],
    /// The part of the power that cannot be predicted, 0 to 1: 1 for white noise. It measures the flatness of the
    /// spectrum.
    pub(super) residual: f32,
}

/// By Levinson's and Durbin's recursion. Silence is white.
pub(super) fn predict(autocorrelation: &Autocorrelation) -> Prediction {
    // A little white noise keeps the recursion stable.
    let power = f64::from(autocorrelation[0]) * 1.000_1;
    let mut prediction = Prediction { reflection: [0.0; MOST_ORDER], residual: 1.0 };
    if power <= 0.0 {
        return prediction;
    }
    let mut error = power;
    let mut coefficients = [0.0; MOST_ORDER];
    for order in 0..MOST_ORDER {
        let known = (0..order).map(|index| coefficients[index] * f64::from(autocorrelation[order - index]));
        let reflection = -(f64::from(autocorrelation[order + 1]) + known.sum::<f64>()) / error;
        if reflection.is_nan() || reflection.abs() >= 1.0 {
            break;
        }
        let old = coefficients;
        for index in 0..order {
            coefficients[index] += reflection * old[order - 1 - index];
        }
        coefficients[order] = reflection;
        prediction.reflection[order] = reflection as f32;
        error *= 1.0 - reflection * reflection;
    }
    prediction.residual = (error / power) as f32;
    prediction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Noise;

    #[test]
    fn the_poles_of_coloured_noise_are_found() {
        let mut noise = Noise::new(3);
        let mut last = 0.0;
        let coloured: Vec<f32> = (0..8_000)
            .map(|_| {
                last = 0.8 * last + noise.next() as f32;
                last
            })
            .collect();
        let found = predict(&autocorrelation(&coloured));
        assert!((found.reflection[0] + 0.8).abs() < 0.03, "{found:?}");
        assert!(found.reflection[1..].iter().all(|reflection| reflection.abs() < 0.05), "{found:?}");
        assert!((found.residual - 0.36).abs() < 0.03, "{found:?}");
    }

    #[test]
    fn white_noise_and_silence_are_flat() {
        let mut noise = Noise::new(4);
        let white: Vec<f32> = (0..8_000).map(|_| noise.next() as f32).collect();
        assert!(predict(&autocorrelation(&white)).residual > 0.98);
        assert_eq!(predict(&autocorrelation(&[0.0; 80])).residual, 1.0);
        assert_eq!(predict(&autocorrelation(&[])).residual, 1.0);
    }
}
