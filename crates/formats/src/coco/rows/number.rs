//! Numbers of JSON text, exact to the last bit.
//!
//! A decimal is m / 10^k with a whole m that fits 64 bits nearly always. Three roads lead from there to the nearest f64,
//! ties to even, and each is exact or steps aside for the next:
//!
//! 1. m < 2^53 and k <= 22: both are f64 exactly, so one division rounds once (Clinger, "How to read floating point
//!    numbers accurately", PLDI 1990).
//! 2. k <= 27: m times a 64 bit reciprocal of 10^k, with an error bound of one unit in the upper word (the idea of
//!    Lemire, "Number parsing at a gigabyte per second", 2021, for few powers). One pattern of the rounding bits in
//!    about a thousand is undecided.
//! 3. The standard library, which rounds correctly.

use super::digits::{Digits, Word};

/// Powers of ten that f64 holds exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// The first of them as whole numbers.
const WHOLE_POW10: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// 2^53: whole numbers below are f64 exactly.
const EXACT: u64 = 1 << 53;

/// Finite number at a place, and the place behind it.
#[inline(always)]
pub(super) fn float(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let Some(word) = Word::at(bytes, at) else { return any_float(bytes, at) };
    let digits = word.digits();
    let shape = Shape::of(digits);
    if let Shape::LongDecimal { n_whole } = shape {
        return long_decimal(bytes, at, digits, n_whole).or_else(|| any_float(bytes, at));
    }
    short(digits, shape).map_or_else(|| any_float(bytes, at), |(value, len)| Some((value, at + len)))
}

/// A number of at most seven bytes without sign and exponent, and the place behind it; there may be others.
#[inline(always)]
pub(super) fn short_float(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let digits = Word::at(bytes, at)?.digits();
    short(digits, Shape::of(digits)).map(|(value, len)| (value, at + len))
}

#[inline(always)]
fn short(digits: Digits, shape: Shape) -> Option<(f64, usize)> {
    match shape {
        Shape::Decimal { n_whole, len } => {
            let mantissa = digits.without(n_whole).number(len - 1);
            // There are 5 decimals at most, so the mask changes nothing but that the table is seen to hold them.
            Some((mantissa as i64 as f64 / POW10[(len - 1 - n_whole) & 7], len))
        }
        Shape::Whole { n } => Some((digits.number(n) as i64 as f64, n)),
        _ => None,
    }
}

/// Whole number that fits i64 at a place, and the place behind it. What JSON would read as a fraction is none.
#[inline(always)]
pub(super) fn integer(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let digits = Word::at(bytes, at).map(Word::digits);
    match digits.map(|digits| (digits, Shape::of(digits))) {
        Some((digits, Shape::Whole { n })) => Some((digits.number(n) as i64, at + n)),
        _ => any_integer(bytes, at),
    }
}

/// The place behind a number of any size.
#[inline(always)]
pub(super) fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    match Word::at(bytes, at).map(|word| Shape::of(word.digits())) {
        Some(Shape::Decimal { len, .. }) => Some(at + len),
        Some(Shape::Whole { n }) => Some(at + n),
        _ => any_end(bytes, at),
    }
}

/// What a word of text starts with.
#[derive(Clone, Copy)]
enum Shape {
    /// Digits, a point and digits, at most 7 bytes; nothing else belongs to the number.
    Decimal { n_whole: usize, len: usize },
    /// 1 to 7 digits; nothing else belongs to the number.
    Whole { n: usize },
    /// Digits and a point; at least one digit follows, and all that follow up to the end of the word are digits.
    LongDecimal { n_whole: usize },
    /// Something else, which may be a number all the same.
    Other,
}

impl Shape {
    #[inline(always)]
    fn of(digits: Digits) -> Self {
        let n_whole = digits.count();
        if !(1..=7).contains(&n_whole) || (1 < n_whole && digits.is(0, b'0')) {
            return Self::Other;
        }
        if !digits.is(n_whole, b'.') {
            return if digits.is_exponent(n_whole) { Self::Other } else { Self::Whole { n: n_whole } };
        }
        match digits.second_other() {
            8 if n_whole < 7 => Self::LongDecimal { n_whole },
            len @ ..8 if n_whole + 1 < len && !digits.is_exponent(len) => Self::Decimal { n_whole, len },
            _ => Self::Other,
        }
    }
}

/// A number that starts with seven digits and a point and has 19 digits at most, zeros that lead included, and no
/// exponent; and the place behind it.
#[inline(always)]
fn long_decimal(bytes: &[u8], start: usize, digits: Digits, n_whole: usize) -> Option<(f64, usize)> {
    let (mut mantissa, mut end) = (digits.without(n_whole).number(7), start + 8);
    loop {
        let digits = Word::at(bytes, end)?.digits();
        let n = digits.count();
        if n < 8 {
            if 0 < n {
                mantissa = mantissa.wrapping_mul(WHOLE_POW10[n]).wrapping_add(digits.number(n));
            }
            end += n;
            let n_digits = end - start - 1;
            if 19 < n_digits || digits.is_exponent(n) {
                return None;
            }
            let exponent = -i64::try_from(n_digits - n_whole).ok()?;
            return Some((exact(mantissa, exponent)?, end));
        }
        mantissa = mantissa.wrapping_mul(WHOLE_POW10[8]).wrapping_add(digits.number(8));
        end += 8;
    }
}

#[cold]
fn any_integer(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let minus = bytes.get(at) == Some(&b'-');
    let number = decimal(bytes, at + usize::from(minus))?;
    let size = i64::try_from(number.mantissa?).ok()?;
    // "-0" is the fraction -0.0 to serde_json, so it is left to the careful road.
    let whole = number.is_whole && !(minus && size == 0);
    whole.then_some((if minus { -size } else { size }, number.end))
}

#[inline(never)]
fn any_float(bytes: &[u8], at: usize) -> Option<(f64, usize)> {
    let start = at + usize::from(bytes.get(at) == Some(&b'-'));
    let number = decimal(bytes, start)?;
    let size = number.mantissa.and_then(|m| exact(m, number.exponent));
    if let Some(size) = size {
        return Some((if at < start { -size } else { size }, number.end));
    }
    let text = std::str::from_utf8(bytes.get(at..number.end)?).ok()?;
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some((value, number.end))
}

#[inline(never)]
fn any_end(bytes: &[u8], at: usize) -> Option<usize> {
    decimal(bytes, at + usize::from(bytes.get(at) == Some(&b'-'))).map(|number| number.end)
}

/// m times 10^exponent, rounded once; nothing where neither of the quick roads leads there.
#[inline]
fn exact(m: u64, exponent: i64) -> Option<f64> {
    if m == 0 {
        return Some(0.0);
    }
    let power = POW10.get(usize::try_from(exponent.unsigned_abs()).ok()?);
    match power {
        Some(power) if m < EXACT && exponent < 0 => Some(m as i64 as f64 / power),
        Some(power) if m < EXACT => Some(m as i64 as f64 * power),
        _ if exponent == 0 => Some(m as f64),
        _ => by_reciprocal(m, usize::try_from(-exponent).ok()?),
    }
}

/// Largest k with 5^k < 2^63, so that all of what follows fits its words.
const MAX_RECIPROCAL: usize = 27;

/// floor(2^(63 + bits) / 5^k) and bits, the length of 5^k. For k of at least 1 the quotient lies in [2^63, 2^64).
const RECIPROCALS: [(u64, i32); MAX_RECIPROCAL + 1] = {
    let mut table = [(0, 0); MAX_RECIPROCAL + 1];
    let (mut k, mut power) = (1, 5u128);
    while k <= MAX_RECIPROCAL {
        let bits = 128 - power.leading_zeros() as i32;
        table[k] = (((1u128 << (63 + bits)) / power) as u64, bits);
        power *= 5;
        k += 1;
    }
    table
};

/// m / 10^k for m of at least 1.
///
/// With w = m shifted up to 64 bits and T the table's reciprocal, the true w / 5^k lies between w T and w (T + 1),
/// both excluded, in units of 2^-(63 + bits). So where h is the upper word of w T, the upper part of the truth lies
/// between h and h + 2, both excluded. Rounding h to 53 bits is right for all of that span unless the bits below are
/// one less than a half.
fn by_reciprocal(m: u64, k: usize) -> Option<f64> {
    let (reciprocal, bits) = *RECIPROCALS.get(k).filter(|_| 0 < k)?;
    let shift = m.leading_zeros();
    let high = ((u128::from(m << shift) * u128::from(reciprocal)) >> 64) as u64;
    let n_below = 11 - high.leading_zeros();
    let (below, half) = (high & ((1 << n_below) - 1), 1u64 << (n_below - 1));
    if below + 1 == half {
        return None;
    }
    let mantissa = (high >> n_below) + u64::from(half <= below);
    let exponent = n_below as i32 + 1 - bits - shift as i32 - k as i32;
    // The exponent lies between -153 and 11, so the power of two is a normal number and the product exact.
    let power = f64::from_bits(((1023 + exponent) as u64) << 52);
    Some(mantissa as i64 as f64 * power)
}

/// A number as JSON writes it: `0|[1-9][0-9]*`, then maybe `.[0-9]+`, then maybe `[eE][+-]?[0-9]+`.
struct Decimal {
    /// All digits as one whole number; nothing where they do not fit.
    mantissa: Option<u64>,
    /// Power of ten that the mantissa is to be multiplied with.
    exponent: i64,
    /// Neither decimals nor an exponent.
    is_whole: bool,
    end: usize,
}

fn decimal(bytes: &[u8], start: usize) -> Option<Decimal> {
    let (whole, mut end) = digits(bytes, start, 0);
    let n_whole = end - start;
    let leads_with_zero = bytes.get(start) == Some(&b'0');
    if n_whole == 0 || (leads_with_zero && 1 < n_whole) {
        return None;
    }
    let (mut mantissa, mut exponent, mut n_digits) = (whole, 0, n_whole);
    if bytes.get(end) == Some(&b'.') {
        let first = end + 1;
        // Zeros that lead are no digits of the mantissa.
        let counted = if leads_with_zero { first + zeros(bytes, first) } else { first };
        (mantissa, end) = digits(bytes, counted, whole);
        if end == first {
            return None;
        }
        exponent = -i64::try_from(end - first).ok()?;
        n_digits += end - counted;
    }
    let is_whole = exponent == 0;
    let written = written_exponent(bytes, end)?;
    let (is_whole, exponent) = (is_whole && written.1 == end, exponent.saturating_add(written.0));
    // The zero before the point is counted although it is none; 19 digits fit in any case.
    let fits = n_digits - usize::from(leads_with_zero) <= 19;
    Some(Decimal { mantissa: fits.then_some(mantissa), exponent, is_whole, end: written.1 })
}

/// Appends digits to a whole number, wrapping; gives the place behind them.
fn digits(bytes: &[u8], mut at: usize, mut value: u64) -> (u64, usize) {
    while let Some(word) = Word::at(bytes, at) {
        let digits = word.digits();
        let n = digits.count();
        if n < 8 {
            if 0 < n {
                value = value.wrapping_mul(WHOLE_POW10[n]).wrapping_add(digits.number(n));
            }
            return (value, at + n);
        }
        value = value.wrapping_mul(WHOLE_POW10[8]).wrapping_add(digits.number(8));
        at += 8;
    }
    while let Some(digit) = bytes.get(at).filter(|b| b.is_ascii_digit()) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        at += 1;
    }
    (value, at)
}

fn zeros(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| **b == b'0').count()
}

/// The number behind `e`, 0 where there is no `e`, and the place behind it.
fn written_exponent(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    if !matches!(bytes.get(at), Some(b'e' | b'E')) {
        return Some((0, at));
    }
    let minus = bytes.get(at + 1) == Some(&b'-');
    let start = at + 1 + usize::from(minus || bytes.get(at + 1) == Some(&b'+'));
    let (value, end) = digits(bytes, start, 0);
    let n = end - start;
    // An exponent of more digits than that is left to the standard library by way of one that no table holds.
    let value = if n <= 9 { i64::try_from(value).ok()? } else { i64::from(i32::MAX) };
    (0 < n).then_some((if minus { -value } else { value }, end))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each text alone, and with room behind it, where whole words are read at once.
    fn floats(text: &str) -> [Option<(f64, usize)>; 2] {
        [float(text.as_bytes(), 0), float(format!("{text}, 1234567890123456").as_bytes(), 0)]
    }

    fn agrees(text: &str) {
        let expected: f64 = text.parse().unwrap();
        for found in floats(text) {
            let (value, end) = found.unwrap();
            assert_eq!((value.to_bits(), end), (expected.to_bits(), text.len()), "{text}");
        }
        assert_eq!(skip(text.as_bytes(), 0), Some(text.len()));
        assert_eq!(skip(format!("{text}]        ").as_bytes(), 0), Some(text.len()));
    }

    #[test]
    fn floats_are_those_of_the_standard_library() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1",
            "12.5",
            "640",
            "1234.56",
            "12345.678",
            "0.1",
            "0.3",
            "1e-05",
            "5e-324",
            "2.5e-324",
            "2.2250738585072014e-308",
            "2.2250738585072011e-308",
            "1.7976931348623157e308",
            "9007199254740993",
            "9007199254740992.5",
            "9007199254740993.0",
            "0.23796462709189137",
            "0.99999999999999994",
            "1E5",
            "1e+2",
            "0e999",
            "0.000e-999",
            "123456789012345678",
            "12345678901234567890",
            "123456789012345678901234567890",
            "1e22",
            "1e23",
            "0.000012345678901234567",
            "8.5e-27",
            "18446744073709551615",
            "1844674407370955161.5",
            "7.2057594037927933e16",
            "0.1000000000000000055511151231257827021181583404541015625",
            "1e-400",
            "99999999",
            "9999999.9",
            "100.0000001",
        ] {
            agrees(text);
        }
    }

    #[test]
    fn halves_between_two_floats_go_to_the_even_one() {
        for m in [(1u64 << 54) + 2, (1 << 54) + 6, (1 << 60) + (1 << 7), (1 << 60) + (3 << 7)] {
            for text in
                [format!("{m}"), format!("{m}.0"), format!("{m}0e-1"), format!("{}e-1", u128::from(m) * 10)]
            {
                agrees(&text);
            }
        }
    }

    #[test]
    fn texts_that_are_no_numbers_are_refused() {
        for text in [
            "", "-", "+1", "01", "00", "-01", ".5", "1.", "1.e5", "1e", "1e+", "e5", "NaN", "Infinity",
            "- 1", "a",
        ] {
            assert_eq!(floats(text), [None, None], "{text}");
            assert_eq!(skip(text.as_bytes(), 0), None, "{text}");
            assert_eq!(integer(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn numbers_too_large_for_a_float_are_skipped_and_never_read() {
        for text in ["1e400", "-1e309", "1e99999999999999999999"] {
            assert_eq!(floats(text), [None, None], "{text}");
            assert_eq!(skip(text.as_bytes(), 0), Some(text.len()), "{text}");
        }
    }

    #[test]
    fn whole_numbers_fit_or_are_none() {
        for value in [0, 7, -7, 1_234_567, 12_345_678, 900_100_581_904, i64::MAX, -i64::MAX] {
            let text = value.to_string();
            assert_eq!(integer(text.as_bytes(), 0), Some((value, text.len())));
            assert_eq!(integer(format!("{text}, \"a\": 12345678").as_bytes(), 0), Some((value, text.len())));
        }
        for text in
            ["-0", "1.0", "1e3", "9223372036854775808", "-9223372036854775808", "99999999999999999999"]
        {
            assert_eq!(integer(text.as_bytes(), 0), None, "{text}");
            assert_eq!(integer(format!("{text}           ").as_bytes(), 0), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_float_comes_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            agrees(&format!("{value:e}"));
        }

        #[test]
        fn any_share_comes_back(value in 0.0..1.0f64, scale in 0..12) {
            agrees(&format!("{}", value / 10f64.powi(scale)));
        }

        #[test]
        fn any_decimal_is_exact(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,22})?([eE][+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().unwrap();
            if expected.is_finite() {
                agrees(&text);
            }
        }

        #[test]
        fn reciprocals_are_exact_or_step_aside(m in 1..=u64::MAX, k in 1..=MAX_RECIPROCAL) {
            if let Some(found) = by_reciprocal(m, k) {
                let expected: f64 = format!("{m}e-{k}").parse().unwrap();
                prop_assert_eq!(found.to_bits(), expected.to_bits());
            }
        }
    }
}
