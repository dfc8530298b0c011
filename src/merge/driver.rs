//! Which driver merges this content.

use super::MAX_TEXT;
use super::encoding::{self, Order};
use super::text::{Labels, Merged, is_text, merge_text};

/// A way to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Line by line.
    Text,
    /// Line by line, from and to UTF-16.
    Utf16,
}

/// Why no driver takes it: the two versions stay, as a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmergeable {
    /// One of the three is binary.
    #[error("not text")]
    Binary,
    /// One of the three is too large to be merged line by line.
    #[error("larger than 8 MiB")]
    TooLarge,
}

/// The driver for these three contents.
pub fn choose(base: &[u8], client: &[u8], server: &[u8]) -> Result<Driver, Unmergeable> {
    let all = [base, client, server];
    if all.iter().any(|bytes| bytes.len() > MAX_TEXT) {
        return Err(Unmergeable::TooLarge);
    }
    let orders = all.map(encoding::announced);
    if let Some(order) = orders[1]
        && orders.iter().all(|other| *other == Some(order))
        && all
            .iter()
            .all(|bytes| encoding::decode(bytes, order).is_some())
    {
        return Ok(Driver::Utf16);
    }
    if all.iter().all(|bytes| is_text(bytes)) {
        Ok(Driver::Text)
    } else {
        Err(Unmergeable::Binary)
    }
}

/// Merges three contents by the driver that fits.
pub fn merge(
    base: &[u8],
    client: &[u8],
    server: &[u8],
    labels: Labels<'_>,
) -> Result<Merged, Unmergeable> {
    match choose(base, client, server)? {
        Driver::Text => Ok(merge_text(base, client, server, labels)),
        Driver::Utf16 => {
            let order = encoding::announced(client).unwrap_or(Order::Little);
            utf16(base, client, server, labels, order).ok_or(Unmergeable::Binary)
        }
    }
}

fn utf16(
    base: &[u8],
    client: &[u8],
    server: &[u8],
    labels: Labels<'_>,
    order: Order,
) -> Option<Merged> {
    let text = |bytes| encoding::decode(bytes, order);
    let merged = merge_text(&text(base)?, &text(client)?, &text(server)?, labels);
    Some(Merged {
        bytes: encoding::encode(&merged.bytes, order)?,
        clean: merged.clean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_chooses_the_driver() {
        assert_eq!(choose(b"a", b"b", b"c"), Ok(Driver::Text));
        assert_eq!(choose(b"a", b"b\0", b"c"), Err(Unmergeable::Binary));
        let large = vec![b'x'; MAX_TEXT + 1];
        assert_eq!(choose(b"a", b"b", &large), Err(Unmergeable::TooLarge));
    }

    #[test]
    fn utf16_merges_as_text() {
        let wide = |text: &str| {
            encoding::encode(format!("\u{feff}{text}").as_bytes(), Order::Big).unwrap()
        };
        let [base, client, server] = ["1\n2\n3\n", "eins\n2\n3\n", "1\n2\ndrei\n"].map(wide);
        let merged = merge(&base, &client, &server, Labels::default()).unwrap();
        assert!(merged.clean);
        assert_eq!(merged.bytes, wide("eins\n2\ndrei\n"));
        assert_eq!(choose(&base, &client, b"1\0"), Err(Unmergeable::Binary));
    }
}
