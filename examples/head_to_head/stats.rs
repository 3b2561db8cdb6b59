//! What a handful of paired differences says.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Mean with an interval, and how surprising the mean would be if the truth were zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Two-sided, by Student's t.
    pub(crate) p_value: f64,
}

/// Student's interval (1908) at 95% for the mean of values that are about normal. Values that are all equal have an
/// interval without width, and a p-value of 1 where they are zero and of 0 where they are not. Nothing for fewer than
/// two values or one that is not finite.
pub(crate) fn estimate(values: &[f64]) -> Option<Estimate> {
    let n = values.len() as f64;
    if n < 2.0 || values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let error = (variance / n).sqrt();
    // Equal values may differ from their mean by its rounding.
    if error <= 1e-12 * mean.abs() {
        return Some(Estimate { mean, low: mean, high: mean, p_value: f64::from(u8::from(mean == 0.0)) });
    }
    let student = StudentsT::new(0.0, 1.0, n - 1.0).ok()?;
    let half = student.inverse_cdf(0.975) * error;
    let p_value = (2.0 * student.cdf(-(mean / error).abs())).clamp(0.0, 1.0);
    Some(Estimate { mean, low: mean - half, high: mean + half, p_value })
}

/// Ranks from 1 for the largest value; equal values share the mean of their ranks.
pub(crate) fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |v: &f64| {
        let above = values.iter().filter(|w| v < *w).count() as f64;
        let level = values.iter().filter(|w| v == *w).count() as f64;
        above + (level + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_table() {
        // R: t.test(c(0.7,-1.6,-0.2,-1.2,-0.1,3.4,3.7,0.8,0,2)): the sleep data, extra hours of group 1;
        // t = 1.3257, df = 9, p-value = 0.2176, interval -0.5297804 to 2.0297804, mean 0.75.
        let e = estimate(&[0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]).unwrap();
        assert!((e.mean - 0.75).abs() < 1e-12);
        assert!((e.low + 0.529_780_4).abs() < 1e-6 && (e.high - 2.029_780_4).abs() < 1e-6, "{e:?}");
        assert!((e.p_value - 0.2176).abs() < 5e-5, "{e:?}");
    }

    #[test]
    fn equal_values_leave_no_doubt() {
        let one = estimate(&[0.1; 7]).unwrap();
        assert_eq!((one.low, one.high, one.p_value), (one.mean, one.mean, 0.0));
        assert_eq!(estimate(&[0.0; 3]).unwrap().p_value, 1.0);
    }

    #[test]
    fn too_little_is_nothing() {
        assert_eq!(estimate(&[1.0]), None);
        assert_eq!(estimate(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn signs_turn_the_interval_around() {
        let values = [0.3, 0.1, -0.2, 0.6];
        let (e, turned) = (estimate(&values).unwrap(), estimate(&values.map(|v| -v)).unwrap());
        assert!((e.low + turned.high).abs() < 1e-12 && (e.p_value - turned.p_value).abs() < 1e-12);
    }

    #[test]
    fn equal_values_share_a_rank() {
        assert_eq!(ranks(&[5.0, 9.0, 5.0, 1.0]), [2.5, 1.0, 2.5, 4.0]);
    }
}
