//! Small phrases.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// "1 message", "3 messages".
pub fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// "shm", "shm and sem", "shm, msgq and sem".
pub fn list(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// A point in time to the millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Timestamp);

impl Moment {
    pub fn now() -> Moment {
        Moment(Timestamp::now())
    }

    /// The local time of day.
    pub fn clock(self) -> String {
        self.0.to_zoned(TimeZone::system()).strftime("%H:%M:%S%.3f").to_string()
    }

    /// Date and time, RFC 3339.
    pub fn rfc3339(self) -> String {
        self.0.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_as_one_says_them() {
        assert_eq!(list(&["shm"]), "shm");
        assert_eq!(list(&["shm", "sem"]), "shm and sem");
        assert_eq!(list(&["shm", "msgq", "sem"]), "shm, msgq and sem");
        assert_eq!(list(&[]), "");
    }

    #[test]
    fn a_moment_has_milliseconds() {
        let moment = Moment(Timestamp::from_millisecond(1_000_042).unwrap());
        assert_eq!(moment.rfc3339(), "1970-01-01T00:16:40.042Z");
        assert!(moment.clock().ends_with(":40.042"), "{}", moment.clock());
    }
}
