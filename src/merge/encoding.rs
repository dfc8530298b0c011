//! UTF-16 with a byte order mark: merged as text, and written back the same way.

/// A UTF-16 byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

/// The byte order a text announces.
pub(super) fn announced(bytes: &[u8]) -> Option<Order> {
    match bytes {
        [0xff, 0xfe, ..] => Some(Order::Little),
        [0xfe, 0xff, ..] => Some(Order::Big),
        _ => None,
    }
}

/// The text as UTF-8, the mark included, when it is valid and would come back the same.
pub(super) fn decode(bytes: &[u8], order: Order) -> Option<Vec<u8>> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let unit = |pair: &[u8; 2]| match order {
        Order::Little => u16::from_le_bytes(*pair),
        Order::Big => u16::from_be_bytes(*pair),
    };
    let units: Vec<u16> = units.iter().map(unit).collect();
    String::from_utf16(&units).ok().map(String::into_bytes)
}

/// UTF-8 as UTF-16; `None` when it is not UTF-8.
pub(super) fn encode(bytes: &[u8], order: Order) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let pair = |unit: u16| match order {
        Order::Little => unit.to_le_bytes(),
        Order::Big => unit.to_be_bytes(),
    };
    Some(text.encode_utf16().flat_map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_the_same() {
        for order in [Order::Little, Order::Big] {
            let bytes = encode("\u{feff}grüße 🦀\n".as_bytes(), order).unwrap();
            assert_eq!(announced(&bytes), Some(order));
            let text = decode(&bytes, order).unwrap();
            assert_eq!(encode(&text, order).unwrap(), bytes);
        }
    }

    #[test]
    fn broken_utf16_is_not_text() {
        assert_eq!(decode(&[0xff, 0xfe, 0x00], Order::Little), None);
        assert_eq!(decode(&[0xff, 0xfe, 0x00, 0xd8], Order::Little), None);
    }
}
