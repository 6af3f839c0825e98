//! `I[-J]=…` and `all=…`: which semaphores of a set, and what about them.

use crate::mech::Op;
use clap::Args;

// How much of one semaphore. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Copy, Debug)]
pub struct Part {
    /// Which semaphore of the set
    #[arg(short, long, value_name = "INDEX", default_value_t = 0)]
    pub index: u16,

    /// How much
    #[arg(short = 'n', long = "count", value_name = "AMOUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub amount: u16,
}

/// Some semaphores of a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Range {
    All,
    /// From the first to the second, both included.
    Some(u16, u16),
}

impl Range {
    /// The indices in a set of `count`. They may lie outside of it; the set says so.
    pub fn indices(self, count: u16) -> std::ops::RangeInclusive<u16> {
        match self {
            Range::All => 0..=count.saturating_sub(1),
            Range::Some(first, last) => first..=last,
        }
    }
}

/// An operation on some semaphores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpSpec {
    pub range: Range,
    /// Its index is replaced by each of the range.
    pub op: Op,
}

fn range(text: &str) -> Option<Range> {
    if text == "all" {
        return Some(Range::All);
    }
    let index = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match text.split_once('-') {
        None => index(text).map(|at| Range::Some(at, at)),
        Some((first, last)) => {
            Some(Range::Some(index(first)?, index(last)?)).filter(|range| matches!(range, Range::Some(a, b) if a <= b))
        }
    }
}

/// `0=-1`, `1=+2u`, `2-4=0n`, `all=-1`.
pub fn op(text: &str) -> Result<OpSpec, String> {
    let bad = || {
        format!(
            "`{text}` is no operation; write INDEX=OP, FIRST-LAST=OP or all=OP, with OP such as -1, +2 or 0 and u (undo) or n (nowait) behind it"
        )
    };
    let (front, back) = text.split_once('=').ok_or_else(bad)?;
    let digits = back.trim_end_matches(['u', 'n']);
    let flags = &back[digits.len()..];
    if flags.len() > 2 || flags == "uu" || flags == "nn" {
        return Err(bad());
    }
    let amount: i64 = digits.parse().map_err(|_| bad())?;
    let amount =
        i16::try_from(amount).map_err(|_| format!("{amount} is out of range; an operation is -32768 to 32767"))?;
    let op = Op { index: 0, amount, undo: flags.contains('u'), nowait: flags.contains('n') };
    Ok(OpSpec { range: range(front).ok_or_else(bad)?, op })
}

/// `0=5`, `2-4=0`, `all=1`.
pub fn value(text: &str) -> Result<(Range, u32), String> {
    let bad = || format!("`{text}` is no value; write INDEX=VALUE, FIRST-LAST=VALUE or all=VALUE");
    let (front, back) = text.split_once('=').ok_or_else(bad)?;
    let value = back.parse().map_err(|_| bad())?;
    Ok((range(front).ok_or_else(bad)?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_a_range_an_amount_and_flags() {
        let parsed = op("2-4=+3un").unwrap();
        assert_eq!(parsed.range, Range::Some(2, 4));
        assert_eq!((parsed.op.amount, parsed.op.undo, parsed.op.nowait), (3, true, true));
        assert_eq!(op("0=-1").unwrap().op.amount, -1);
        assert_eq!(op("all=0").unwrap().range, Range::All);
    }

    #[test]
    fn what_is_out_of_range_or_malformed_is_an_error() {
        for text in [
            "", "0", "0=", "=1", "0=x", "0=40000", "0=-40000", "4-2=1", "65536=1", "-1=1", "0=1uu", "0=1x", "al=1",
            "0-=1", "+0=1",
        ] {
            assert!(op(text).is_err(), "{text}");
        }
        for text in ["0", "0=-1", "0=4294967296", "1-0=1", "0=1u"] {
            assert!(value(text).is_err(), "{text}");
        }
        assert_eq!(value("1-3=7"), Ok((Range::Some(1, 3), 7)));
    }
}
