//! Line endings: a program that writes all lines anew with CRLF has not changed them.

/// How the lines of a text end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// No line ends at all.
    None,
    Lf,
    Crlf,
    Mixed,
}

fn style(bytes: &[u8]) -> Style {
    let (crlf, lf) = count(bytes);
    match (crlf > 0, lf > 0) {
        (false, false) => Style::None,
        (true, false) => Style::Crlf,
        (false, true) => Style::Lf,
        (true, true) => Style::Mixed,
    }
}

/// Lines ending with CRLF, and with LF alone.
fn count(bytes: &[u8]) -> (usize, usize) {
    let all = bytes.iter().filter(|b| **b == b'\n').count();
    let crlf = bytes.windows(2).filter(|pair| pair == b"\r\n").count();
    (crlf, all - crlf)
}

/// When three texts end their lines in different pure styles: whether the result shall have CRLF, as `chosen` mostly
/// has. `None` when they do not differ, or when a text mixes styles, where an ending may be meant.
pub(super) fn differ(texts: [&[u8]; 3], chosen: &[u8]) -> Option<bool> {
    let styles = texts.map(style);
    let has = |wanted| styles.contains(&wanted);
    if has(Style::Mixed) || !(has(Style::Lf) && has(Style::Crlf)) {
        return None;
    }
    let (crlf, lf) = count(chosen);
    Some(crlf > lf)
}

/// Every CRLF as LF.
pub(super) fn to_lf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if !(*byte == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            out.push(*byte);
        }
    }
    out
}

/// Every LF as CRLF.
pub(super) fn to_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 16);
    for byte in bytes {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixed_text_is_left_alone() {
        assert_eq!(differ([b"a\n", b"a\r\n", b"a\nb\r\n"], b"a\r\n"), None);
        assert_eq!(differ([b"a\n", b"a\r\n", b"a\n"], b"a\r\n"), Some(true));
        assert_eq!(differ([b"a\n", b"a\r\n", b"a\n"], b"a\n"), Some(false));
        assert_eq!(differ([b"a\r\n", b"a\r\n", b""], b""), None);
    }

    #[test]
    fn endings_go_there_and_back() {
        assert_eq!(to_lf(b"a\r\nb\rc\r\n"), b"a\nb\rc\n");
        assert_eq!(to_crlf(b"a\nb\n"), b"a\r\nb\r\n");
    }
}
