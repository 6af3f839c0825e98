//! Sizes, durations, modes and numbers as users write them. A number that does not fit is an error
//! and never another number.

use bytesize::ByteSize;
use jiff::SignedDuration;
use std::time::Duration;

/// `4096`, `4K`, `1.5M`, `4KiB` (1024) and `4KB` (1000).
pub fn size(text: &str) -> Result<u64, String> {
    let bad = |why: &str| format!("{why}; a size is written 4096, 4K, 1.5M, 4KiB (1024) or 4KB (1000)");
    if text.starts_with(['-', '+']) {
        return Err(bad("it must not have a sign"));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map_err(|_| bad("it is over 18446744073709551615"));
    }
    // A letter alone counts in 1024, which the library reads as 1000.
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let unit = match unit.to_ascii_uppercase().as_str() {
        "" => return Err(bad("it is no size")),
        "B" => "B".to_owned(),
        one @ ("K" | "M" | "G" | "T" | "P" | "E") => format!("{one}iB"),
        other => other.to_owned(),
    };
    let size: ByteSize = format!("{}{unit}", number.trim()).parse().map_err(|_| bad("it is no size"))?;
    // The library stops at the largest number instead of failing.
    if size.as_u64() == u64::MAX {
        return Err(bad("it is over 18446744073709551615"));
    }
    Ok(size.as_u64())
}

/// `500ms`, `2s`, `1m30s`, and a plain number of seconds as for sleep(1).
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || "a duration is written 500ms, 2s, 1m30s or 0.5 (seconds)".to_owned();
    if text.starts_with('-') {
        return Err(bad());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !text.is_empty() {
        let seconds: f64 = text.parse().map_err(|_| bad())?;
        return Duration::try_from_secs_f64(seconds).map_err(|_| bad());
    }
    let duration: SignedDuration = text.parse().map_err(|_| bad())?;
    Duration::try_from(duration).map_err(|_| bad())
}

/// Permission bits in octal, 0 to 777.
pub fn mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let bad = || format!("`{text}` is no mode; permissions are octal, such as 600 or 0644");
    if digits.is_empty() || !digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return Err(bad());
    }
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(bad)
}

/// A type of a System V message: 1 to 2⁶³−1.
pub fn message_type(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|kind| *kind > 0)
        .ok_or_else(|| format!("`{text}` is no message type; types are 1 to {}", i64::MAX))
}

/// A number of things to do, at least 1.
pub fn count(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| format!("`{text}` is no count; it is 1 or more"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_alone_and_kib_count_in_1024_and_kb_in_1000() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("4K"), Ok(4096));
        assert_eq!(size("4k"), Ok(4096));
        assert_eq!(size("4KiB"), Ok(4096));
        assert_eq!(size("4KB"), Ok(4000));
        assert_eq!(size("1.5M"), Ok(3 << 19));
        assert_eq!(size("2G"), Ok(2 << 30));
        assert_eq!(size("7B"), Ok(7));
        assert_eq!(size("18446744073709551615"), Ok(u64::MAX));
    }

    #[test]
    fn a_size_out_of_range_is_an_error_and_not_another_size() {
        for text in [
            "18446744073709551616",
            "16E",
            "99999999999999999999K",
            "-1",
            "",
            "K",
            "1.2.3K",
            "4X",
            "0x10",
            "1 2",
            "nan",
            "infK",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for text in ["", "-1s", "s", "1x", "1e400", "99999999999999999999s", "."] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal_permission_bits() {
        assert_eq!(mode("600"), Ok(0o600));
        assert_eq!(mode("0644"), Ok(0o644));
        for text in ["", "8", "rw", "1777", "-600", "0x1ff", "77777777777777777777"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn message_types_are_positive() {
        assert_eq!(message_type("1"), Ok(1));
        for text in ["0", "-1", "9223372036854775808", "x"] {
            assert!(message_type(text).is_err(), "{text}");
        }
    }
}
