//! Varints (LEB128, at most ten bytes) and zigzag, for the columns of hits and the lists of cells.

/// Appends `n`, seven bits a byte, low bits first.
pub(crate) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes one varint off the front. `None` when the bytes end or do not fit 64 bits.
pub(crate) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut n = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        n |= bits << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

/// Takes one varint that must fit 32 bits.
pub(crate) fn take_u32(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(bytes)?).ok()
}

/// Small numbers for small differences of either sign.
pub(crate) const fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// A column of differences from one value to the next, the first from 0.
pub(crate) fn deltas(values: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0i64;
    for value in values {
        let value = i64::from(value);
        put(&mut out, zigzag(value - last));
        last = value;
    }
    out
}

/// Reads a column of exactly `count` values written by [`deltas`].
pub(crate) fn undeltas(mut bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    if count > bytes.len() {
        return None;
    }
    let mut out = Vec::with_capacity(count);
    let mut last = 0i64;
    for _ in 0..count {
        last = last.checked_add(unzigzag(take(&mut bytes)?))?;
        out.push(u32::try_from(last).ok()?);
    }
    bytes.is_empty().then_some(out)
}

/// A column of plain values; no bytes at all when every value is 0.
pub(crate) fn column(values: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    if values.iter().any(|&v| v != 0) {
        values.iter().for_each(|&v| put(&mut out, u64::from(v)));
    }
    out
}

/// Reads a column of exactly `count` values written by [`column`].
pub(crate) fn uncolumn(mut bytes: &[u8], count: usize) -> Option<Vec<u32>> {
    if bytes.is_empty() {
        return Some(vec![0; count]);
    }
    if count > bytes.len() {
        return None;
    }
    let values: Option<Vec<u32>> = (0..count).map(|_| take_u32(&mut bytes)).collect();
    values.filter(|_| bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(n in any::<u64>(), small in 0u64..300, z in any::<i64>()) {
            let mut out = Vec::new();
            put(&mut out, n);
            put(&mut out, small);
            let mut bytes = &out[..];
            prop_assert_eq!(take(&mut bytes), Some(n));
            prop_assert_eq!(take(&mut bytes), Some(small));
            prop_assert!(bytes.is_empty());
            prop_assert_eq!(unzigzag(zigzag(z)), z);
        }

        #[test]
        fn columns_come_back(values in proptest::collection::vec(any::<u32>(), 0..50)) {
            let n = values.len();
            prop_assert_eq!(undeltas(&deltas(values.iter().copied()), n), Some(values.clone()));
            prop_assert_eq!(uncolumn(&column(&values), n), Some(values));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            n in 0usize..60,
        ) {
            let _ = (undeltas(&bytes, n), uncolumn(&bytes, n), take(&mut &bytes[..]));
        }
    }

    #[test]
    fn a_number_wider_than_64_bits_is_refused() {
        assert_eq!(take(&mut &[0xff; 10][..]), None);
        assert_eq!(take(&mut &[0x80, 0x80][..]), None);
    }
}
