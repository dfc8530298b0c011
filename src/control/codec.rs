//! Lines of bounded length.

use std::io::{self, BufRead, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest request.
pub(super) const REQUEST_MAX: u64 = 1 << 20;
/// Longest answer (a diff of a large tree).
pub(super) const ANSWER_MAX: u64 = 256 << 20;

/// Writes a value as one line.
pub(super) fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads one line as a value. `None`: the other side closed without a line.
pub(super) fn receive<T: DeserializeOwned>(
    from: &mut impl BufRead,
    longest: u64,
) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    from.take(longest).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') {
        let what = if line.len() as u64 >= longest {
            "the line is too long"
        } else {
            "the line ended early"
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    serde_json::from_slice(&line)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_end_is_refused_at_the_limit() {
        let endless = vec![b'['; 100];
        let got = receive::<u32>(&mut &endless[..], 10);
        assert_eq!(got.unwrap_err().to_string(), "the line is too long");
        let cut = receive::<u32>(&mut &b"12"[..], 10);
        assert_eq!(cut.unwrap_err().to_string(), "the line ended early");
        assert_eq!(receive::<u32>(&mut &b""[..], 10).unwrap(), None);
        assert_eq!(receive::<u32>(&mut &b"12\n"[..], 10).unwrap(), Some(12));
    }
}
