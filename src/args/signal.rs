//! Signals, processes and values as users write them.

use crate::model::{Escaped, LAST_SIGNAL, Signal, SignalSet};
use crate::proc::{find, process, processes};
use crate::sys::signal::real_time;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use std::ffi::OsStr;

fn shown(text: &str) -> String {
    Escaped(text.as_bytes()).to_string()
}

/// A signal by name, with or without SIG, or by number.
fn signal(text: &str) -> Result<Signal, String> {
    if text.starts_with('-') {
        return Err(format!("a signal is written without a dash: {}", shown(text.trim_start_matches('-'))));
    }
    Signal::parse(text, real_time())
}

/// A signal to send; 0 only asks whether it could be sent.
pub fn signal_or_zero(text: &str) -> Result<Signal, String> {
    if text == "0" { Ok(Signal(0)) } else { signal(text) }
}

/// A signal that a process can block.
pub fn blockable(text: &str) -> Result<Signal, String> {
    let signal = signal(text)?;
    if signal.can_be_caught() {
        Ok(signal)
    } else {
        Err(format!("no process can catch, block or ignore {}", signal.label(real_time())))
    }
}

/// Signals to look up: one of them, the exit status 128+N of a command that it ended, or a mask as
/// /proc shows it.
pub fn signals(text: &str) -> Result<SignalSet, String> {
    let mask = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    // The 16 digits of /proc/PID/status.
    let mask = mask.or_else(|| Some(text).filter(|text| text.len() == 16));
    if let Some(digits) = mask.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
        let mask = u64::from_str_radix(digits, 16);
        return mask.map(SignalSet).map_err(|_| "a mask is 0x and up to 16 hexadecimal digits".to_owned());
    }
    let died = text.parse().ok().map(|status: i32| status.saturating_sub(128));
    let signal = match died.filter(|number| (1..=LAST_SIGNAL).contains(number)) {
        Some(number) => Signal(number),
        None => signal(text)?,
    };
    Ok([signal].into_iter().collect())
}

/// A process: its pid, and its inode where the pid alone may name another one by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    pub pid: i32,
    /// The inode of its pidfd, unique until the next boot.
    pub inode: Option<u64>,
}

/// `PID` or `PID:INODE`.
pub fn target(text: &str) -> Result<Target, String> {
    let (pid, inode) = text.split_once(':').map_or((text, None), |(pid, inode)| (pid, Some(inode)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if pid.strip_prefix('-').is_some_and(digits) {
        return Err("a negative number means a process group, or every process; name the processes".to_owned());
    }
    let number: Option<i32> = pid.parse().ok().filter(|_| digits(pid));
    match number {
        Some(0) => return Err("0 means our own process group; name the processes".to_owned()),
        None if digits(pid) => return Err(format!("a pid is 1 to {}", i32::MAX)),
        _ => {}
    }
    let inode = match inode {
        None => Ok(None),
        Some(inode) => inode.parse().map(Some).map_err(drop).and_then(|n| if digits(inode) { Ok(n) } else { Err(()) }),
    };
    match (number, inode) {
        (Some(pid), Ok(inode)) => Ok(Target { pid, inode }),
        _ => Err("a process is written PID or PID:INODE".to_owned()),
    }
}

/// Completes a signal by its name, with SIG if that was typed.
pub fn names() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let typed = current.to_str().unwrap_or_default().to_ascii_uppercase();
        let front = if typed.starts_with("SIG") { "SIG" } else { "" };
        let named = Signal::all().filter_map(|signal| Some((signal, signal.name(real_time())?)));
        named
            .map(|(signal, name)| (signal, format!("{front}{name}")))
            .filter(|(_, name)| name.starts_with(&typed))
            .map(|(signal, name)| CompletionCandidate::new(name).help(Some(signal.description(real_time()).into())))
            .collect()
    })
}

/// Completes a pid with the processes that there are now.
pub fn processes() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let typed = current.to_str().unwrap_or_default();
        let pids = processes::pids().unwrap_or_default().into_iter().filter(|pid| pid.to_string().starts_with(typed));
        pids.filter_map(|pid| Some((pid, process::command(pid, find::comm(pid)?.raw()))))
            .map(|(pid, command)| {
                CompletionCandidate::new(pid.to_string()).help(Some(command.escaped().to_string().into()))
            })
            .collect()
    })
}

/// A value that a signal carries.
pub fn value(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("`{}` is no value; values are {} to {}", shown(text), i32::MIN, i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_a_pid_with_or_without_its_inode() {
        assert_eq!(target("1"), Ok(Target { pid: 1, inode: None }));
        assert_eq!(target("12:345"), Ok(Target { pid: 12, inode: Some(345) }));
        for text in ["", "0", "-1", "-12", "x", "1:", ":1", "1:x", "1:2:3", "+1", "2147483648", "4294967297", "1:-2"] {
            assert!(target(text).is_err(), "{text}");
        }
        assert!(target("-5").is_err_and(|cause| cause.contains("process group")));
    }

    #[test]
    fn signals_are_looked_up_by_name_status_and_mask() {
        let of = |numbers: &[i32]| Ok(numbers.iter().map(|number| Signal(*number)).collect());
        assert_eq!(signals("TERM"), of(&[15]));
        assert_eq!(signals("143"), of(&[15]));
        assert_eq!(signals("192"), of(&[64]));
        assert_eq!(signals("0x4002"), of(&[2, 15]));
        assert_eq!(signals("0000000000004002"), of(&[2, 15]));
        assert_eq!(signals("0x8000000000000000"), of(&[64]));
        for text in ["0", "65", "128", "193", "0x", "0x10000000000000000", "0xg", "-9", "99999999999"] {
            assert!(signals(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_have_32_bits_and_a_sign() {
        assert_eq!(value("-2147483648"), Ok(i32::MIN));
        for text in ["2147483648", "-2147483649", "", "1.5", "0x10", "1 "] {
            assert!(value(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_blocked_is_refused_and_a_dash_is_explained() {
        assert!(blockable("KILL").is_err_and(|cause| cause.contains("KILL")));
        assert!(blockable("19").is_err());
        assert_eq!(signal_or_zero("0"), Ok(Signal(0)));
        assert!(signal("0").is_err());
        assert!(signal("-9").is_err_and(|cause| cause.contains("without a dash: 9")));
    }
}
