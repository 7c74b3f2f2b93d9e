//! Numbers as people read them.

use std::time::Duration;

use serde::Deserializer;

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time of so many microseconds, in a unit that suits it.
pub(crate) fn time(us: f64) -> String {
    match us {
        ..10.0 => format!("{us:.1} µs"),
        ..1e3 => format!("{us:.0} µs"),
        ..1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// So many bytes, in a unit that suits them.
pub(crate) fn bytes(bytes: u64) -> String {
    const KIB: f64 = 1024.0;
    let bytes = bytes as f64;
    match bytes / KIB {
        ..1.0 => format!("{bytes} B"),
        kib @ ..10.0 => format!("{} KiB", trimmed(kib)),
        kib @ ..KIB => format!("{kib:.0} KiB"),
        kib @ ..10_240.0 => format!("{} MiB", trimmed(kib / KIB)),
        kib => format!("{:.0} MiB", kib / KIB),
    }
}

/// With one decimal, if it is not zero.
fn trimmed(number: f64) -> String {
    format!("{number:.1}").trim_end_matches(".0").to_owned()
}

/// How long something takes, to the second.
pub(crate) fn about(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs_f64().round() as u64)).to_string()
}

/// Times in definitions, written like `300ms` or `10s`.
pub(crate) mod humane {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        let advice = |error| format!("{text:?}: {error}; write for example 300ms or 10s");
        humantime::parse_duration(&text).map_err(advice).map_err(serde::de::Error::custom)
    }
}

/// Reads a time that need not be there.
pub(crate) fn humane_option<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    humane::deserialize(from).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_suit_the_eye() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!([3.0, 30.0, 1_500.0, 2e6].map(time), ["3.0 µs", "30 µs", "1.50 ms", "2.00 s"]);
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1_500, "1.5 KiB"),
            (100 << 10, "100 KiB"),
            (1 << 20, "1 MiB"),
            (3 << 19, "1.5 MiB"),
            (150 << 20, "150 MiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(about(Duration::from_millis(61_400)), "1m 1s");
    }
}
