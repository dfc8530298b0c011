//! Text for people, one JSON object for programs.

use std::io::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::exit::Failure;
use crate::control::PathReason;

/// Where results go.
pub(super) struct Out {
    json: bool,
}

impl Out {
    pub(super) fn new(json: bool) -> Out {
        Out { json }
    }

    /// Prints `value` as the command's object, or what `text` makes of it.
    pub(super) fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            self.object(value);
        } else {
            print(&text(value));
        }
    }

    fn object<T: Serialize>(&self, value: &T) {
        let mut object = Map::from_iter([("schema".to_owned(), json!(1))]);
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => object.extend(fields),
            Ok(other) => drop(object.insert("value".into(), other)),
            Err(error) => {
                drop(object.insert("error".into(), json!({"message": error.to_string()})))
            }
        }
        print(&Value::Object(object).to_string());
    }

    /// Says why a command failed: on standard error, and with `--json` as the command's object too.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.json {
            let error = json!({"code": failure.exit as u8, "message": failure.what});
            self.object(&json!({ "error": error }));
        }
        let mut lines = failure.what.lines();
        eprintln!("driftfs: {}", lines.next().unwrap_or_default());
        lines.for_each(|line| eprintln!("{line}"));
    }
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away (`| head`) is no failure of the command.
    let _ = out.write_all(text.as_bytes());
    if !text.is_empty() && !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A time of the protocol as people read it: on this host's clock, to the second.
pub(super) fn short(time: &str) -> String {
    on_clock(time, &jiff::tz::TimeZone::system())
}

fn on_clock(time: &str, zone: &jiff::tz::TimeZone) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => at
            .to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        // A year outside the calendar: as it came.
        Err(_) => time.to_owned(),
    }
}

/// `1 change`, `2 changes`.
pub(super) fn count(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// A list of paths with their sentences.
pub(super) fn reasons(title: &str, items: &[PathReason]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let lines = items.iter().map(|item| {
        format!(
            "  {}: {}\n",
            item.path.path,
            item.reason.replace('\n', "\n    ")
        )
    });
    format!("{title}:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_to_the_second() {
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
        for time in ["2026-11-21T13:29:23.8Z", "2026-11-21T13:29:23Z"] {
            assert_eq!(on_clock(time, &zone), "2026-11-21 14:29:23");
        }
        assert_eq!(on_clock("never", &zone), "never");
    }

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
