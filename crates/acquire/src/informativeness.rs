use crate::{AcquireError, Result};

/// Area at which an object counts half for its size: 32 x 32 pixels, COCO's limit of small objects.
const HALF_AREA: f64 = 1024.0;
/// Weights of size, contrast, position and aspect.
const WEIGHTS: [f64; 4] = [0.4, 0.3, 0.15, 0.15];

/// How much a missed object has to teach, from 0 (large, clear, central, square) to 1.
///
/// The weighted mean of four parts, each from 0 to 1:
///
/// | part | weight | formula |
/// |---|---|---|
/// | size | 0.40 | `1024 / (1024 + size_px2)`: falls with the area, one half at 32 x 32 pixels |
/// | contrast | 0.30 | `1 - contrast`: falls with contrast; left out of the mean where it is not known |
/// | position | 0.15 | `max(abs(2x - 1), abs(2y - 1))`: 0 in the centre of the image, 1 at its edge |
/// | aspect | 0.15 | `1 - min(a, 1/a)`: 0 for a square, towards 1 for long and narrow shapes |
///
/// `position` is the centre of the object in parts of the image's width and height, `aspect` is width by height.
///
/// ```
/// use labelloop_acquire::informativeness;
///
/// let faint_at_the_edge = informativeness(200.0, Some(0.23), (0.97, 0.5), 1.0)?;
/// let clear_in_the_middle = informativeness(9000.0, Some(0.8), (0.5, 0.5), 1.0)?;
/// assert!(faint_at_the_edge > 0.6 && clear_in_the_middle < 0.2);
/// # Ok::<(), labelloop_acquire::AcquireError>(())
/// ```
///
/// # Errors
/// [`AcquireError::InvalidFeature`] for a negative or non-finite size, a contrast or position outside 0 to 1 and an
/// aspect that is not positive.
pub fn informativeness(
    size_px2: f64,
    contrast: Option<f64>,
    position: (f64, f64),
    aspect: f64,
) -> Result<f64> {
    let unit = "a number from 0 to 1";
    check("size_px2", size_px2, 0.0 <= size_px2 && size_px2.is_finite(), "a finite number of at least 0")?;
    let known = contrast.unwrap_or(0.0);
    check("contrast", known, (0.0..=1.0).contains(&known), unit)?;
    check("position x", position.0, (0.0..=1.0).contains(&position.0), unit)?;
    check("position y", position.1, (0.0..=1.0).contains(&position.1), unit)?;
    check("aspect", aspect, 0.0 < aspect && aspect.is_finite(), "a finite number above 0")?;
    let parts = [
        Some(HALF_AREA / (HALF_AREA + size_px2)),
        contrast.map(|c| 1.0 - c),
        Some((2.0 * position.0 - 1.0).abs().max((2.0 * position.1 - 1.0).abs())),
        Some(1.0 - aspect.min(1.0 / aspect)),
    ];
    let known = parts.into_iter().zip(WEIGHTS).filter_map(|(part, weight)| Some((part?, weight)));
    let (sum, weight) = known.fold((0.0, 0.0), |(s, w), (part, weight)| (s + part * weight, w + weight));
    Ok((sum / weight).clamp(0.0, 1.0))
}

fn check(name: &'static str, found: f64, fine: bool, expected: &'static str) -> Result<()> {
    if fine { Ok(()) } else { Err(AcquireError::InvalidFeature { name, found, expected }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_wrong_feature_is_refused() {
        let centre = (0.5, 0.5);
        for (result, name) in [
            (informativeness(-1.0, None, centre, 1.0), "size_px2"),
            (informativeness(f64::NAN, None, centre, 1.0), "size_px2"),
            (informativeness(1.0, Some(1.2), centre, 1.0), "contrast"),
            (informativeness(1.0, None, (-0.1, 0.5), 1.0), "position x"),
            (informativeness(1.0, None, (0.5, f64::NAN), 1.0), "position y"),
            (informativeness(1.0, None, centre, 0.0), "aspect"),
        ] {
            assert!(result.unwrap_err().to_string().starts_with(name), "{name}");
        }
    }

    #[test]
    fn the_ends_of_the_scale_are_reached() {
        assert!(informativeness(0.0, Some(0.0), (1.0, 0.3), 1e-12).unwrap() > 1.0 - 1e-9);
        assert!(informativeness(1e12, Some(1.0), (0.5, 0.5), 1.0).unwrap() < 1e-8);
        assert!((informativeness(1024.0, None, (0.5, 0.5), 1.0).unwrap() - 0.4 * 0.5 / 0.7).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn in_range_and_monotone_in_every_part(
            size in 0.0f64..1e5, contrast in 0.0f64..=0.9, x in 0.5f64..=0.9, y in 0.0f64..=1.0, aspect in 1.0f64..8.0,
            known: bool,
        ) {
            let score = |size, c, x, aspect| informativeness(size, known.then_some(c), (x, y), aspect).unwrap();
            let base = score(size, contrast, x, aspect);
            prop_assert!((0.0..=1.0).contains(&base));
            prop_assert!(score(size + 10.0, contrast, x, aspect) < base);
            prop_assert!(score(size, contrast + 0.1, x, aspect) <= base);
            prop_assert!(score(size, contrast, x + 0.1, aspect) >= base);
            prop_assert!(score(size, contrast, x, aspect + 1.0) > base);
            // A tall box is as unusual as the wide one that it becomes when turned; so is the mirrored position.
            prop_assert!((score(size, contrast, x, 1.0 / aspect) - base).abs() < 1e-12);
            prop_assert!((score(size, contrast, 1.0 - x, aspect) - base).abs() < 1e-12);
        }
    }
}
