use labelloop_core::ImageSize;
use labelloop_media::{
    DecodeLimits, MediaError, PictureTurn, RgbImage, decode_named, decode_reduced as reduced_of, phash64,
    phash64_turned, phash256_turned,
};

/// Sizes that a picture may have here: larger ones are the limits' business.
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1 << 18, max_bytes: 1 << 20 };

/// A picture file: an answer or an error of a kind, the same twice, and a picture within the limits.
pub fn decode(data: &[u8]) {
    let found = decode_named(data, LIMITS, "a.jpg");
    match &found {
        Ok(picture) => check(picture),
        Err(error) => assert!(error.to_string().starts_with("a.jpg: "), "{error} does not name its file"),
    }
    assert_eq!(found.ok(), decode_named(data, LIMITS, "a.jpg").ok());
}

/// The same at a part of the size, which the first two bytes ask for: refused before pixels where the whole is, and never
/// smaller than asked where the whole is not.
pub fn decode_reduced(data: &[u8]) {
    let Some((asked, data)) = data.split_at_checked(2) else { return };
    let at_least = ImageSize::new(u32::from(asked[0]) + 1, u32::from(asked[1]) + 1).expect("sides above 0");
    let (whole, reduced) = (decode_named(data, LIMITS, "a"), reduced_of(data, LIMITS, "a", at_least));
    match (&whole, &reduced) {
        (Ok(whole), Ok(reduced)) => {
            check(reduced);
            assert!(at_least.width().min(whole.size().width()) <= reduced.size().width());
            assert!(at_least.height().min(whole.size().height()) <= reduced.size().height());
        }
        // Damage among the pixels may be noticed by one and not by the other.
        (Err(MediaError::Decode { .. }), _) | (_, Err(MediaError::Decode { .. })) => {}
        (whole, reduced) => {
            let kind =
                |outcome: &labelloop_media::Result<RgbImage>| outcome.as_ref().err().map(MediaError::kind);
            assert_eq!(kind(whole), kind(reduced), "refused by only one of two decoders");
        }
    }
}

/// Pixels of any picture, whose sides are the first two bytes: no hash has more than half of its bits set, however the
/// picture is laid.
pub fn phash(data: &[u8]) {
    let Some((sides, pixels)) = data.split_at_checked(2) else { return };
    let (width, height) = (u32::from(sides[0] % 80) + 1, u32::from(sides[1] % 80) + 1);
    let size = ImageSize::new(width, height).expect("sides above 0");
    let n_bytes = 3 * width as usize * height as usize;
    let pixels: Vec<u8> = pixels.iter().copied().chain(std::iter::repeat(7)).take(n_bytes).collect();
    let picture = RgbImage::new(size, pixels).expect("as many bytes as there are");
    let turned = phash64_turned(&picture).expect("a small picture");
    assert_eq!(turned[0], phash64(&picture).expect("a small picture"));
    assert!(turned.iter().all(|hash| hash.0.count_ones() <= 32), "more than half are above the median");
    assert!(turned.iter().all(|hash| hash.distance(turned[0]) == turned[0].distance(*hash)));
    let words = phash256_turned(&picture).expect("a small picture").map(|hash| hash.0);
    assert!(words.iter().all(|words| words.iter().map(|w| w.count_ones()).sum::<u32>() <= 128));
    assert_eq!(words.len(), PictureTurn::ALL.len());
}

fn check(picture: &RgbImage) {
    let n_pixels = u64::from(picture.size().width()) * u64::from(picture.size().height());
    assert!(0 < n_pixels && n_pixels <= LIMITS.max_pixels);
    assert_eq!(picture.pixels().len() as u64, 3 * n_pixels);
    let hash = phash64(picture).expect("a picture within the limits");
    assert!(hash.0.count_ones() <= 32);
}
