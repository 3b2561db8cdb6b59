//! As much of the protobuf wire format as it takes to look through a file without trusting it.

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Four or eight bytes, which nothing here looks into.
    Fixed,
}

/// Where a message stops making sense, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at} of {n_bytes}")]
pub(super) struct WireError {
    problem: &'static str,
    at: usize,
    n_bytes: usize,
}

/// The fields of a message, one after another; ends after the first error.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn error(&self, problem: &'static str) -> WireError {
        WireError { problem, at: self.at, n_bytes: self.bytes.len() }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at) else { return Err(self.error("a number is cut off")) };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.error("a number of more than 64 bits"))
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8], WireError> {
        let left = &self.bytes[self.at..];
        match usize::try_from(n).ok().and_then(|n| left.get(..n)) {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(self.error("a field is longer than what follows")),
        }
    }

    fn field(&mut self) -> Result<Field<'a>, WireError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).unwrap_or(0);
        if number == 0 {
            return Err(self.error("a field without a number"));
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let n = self.varint()?;
                Value::Bytes(self.take(n)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(self.error("a field of no known kind")),
        };
        Ok(Field { number, value })
    }
}

/// Numbers that follow each other without keys, up to the first that is none.
pub(super) fn packed_numbers(bytes: &[u8]) -> Vec<u64> {
    let mut fields = Fields::of(bytes);
    std::iter::from_fn(|| if fields.at < bytes.len() { fields.varint().ok() } else { None }).collect()
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.len() <= self.at {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.at = self.bytes.len();
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        Fields::of(bytes).collect()
    }

    fn message(bytes: &[u8]) -> String {
        all(bytes).unwrap_err().to_string()
    }

    #[test]
    fn fields_of_every_kind_are_read() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8];
        let values = [Value::Varint(150), Value::Bytes(b"hi"), Value::Fixed, Value::Fixed];
        let expected: Vec<_> = (1..).zip(values).map(|(number, value)| Field { number, value }).collect();
        assert_eq!(all(&bytes).unwrap(), expected);
        assert_eq!(all(b"").unwrap(), []);
    }

    #[test]
    fn what_is_cut_off_says_where() {
        assert_eq!(message(&[0x08]), "a number is cut off at byte 1 of 1");
        assert_eq!(message(&[0x08, 0x80]), "a number is cut off at byte 2 of 2");
        assert_eq!(message(&[0x12, 3, 1, 2]), "a field is longer than what follows at byte 2 of 4");
        assert_eq!(message(&[0x1d, 1, 2, 3]), "a field is longer than what follows at byte 1 of 4");
        assert_eq!(message(&[0x21, 1]), "a field is longer than what follows at byte 1 of 2");
    }

    #[test]
    fn what_is_no_message_says_why() {
        assert_eq!(message(&[0x0b]), "a field of no known kind at byte 1 of 1");
        assert_eq!(message(&[0x00, 1]), "a field without a number at byte 1 of 2");
        let long = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(message(&long), "a number of more than 64 bits at byte 11 of 12");
        let huge = [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(message(&huge), "a field is longer than what follows at byte 11 of 11");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}
