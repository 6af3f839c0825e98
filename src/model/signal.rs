//! Signals by number and by name, sets of them, and how one came to be sent.

use std::fmt::Write as _;

/// A signal by its number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Signal(pub i32);

/// The first and the last real-time signal. The C library keeps some for itself, so they are known
/// only at run time: 34 to 64 with glibc, 35 to 64 with musl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RealTime {
    pub min: i32,
    pub max: i32,
}

/// What a signal does to a process that has not said what to do; signal(7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    Terminate,
    /// Terminate and leave a core dump.
    Core,
    Ignore,
    Stop,
    Continue,
}

impl Action {
    pub fn word(self) -> &'static str {
        match self {
            Action::Terminate => "terminate",
            Action::Core => "core",
            Action::Ignore => "ignore",
            Action::Stop => "stop",
            Action::Continue => "continue",
        }
    }
}

/// The standard signals: number, name, default action, meaning. The numbers are those of x86, ARM and
/// most other architectures (signal(7)).
const STANDARD: [(i32, &str, Action, &str); 31] = [
    (1, "HUP", Action::Terminate, "hangup of the terminal, or death of the controlling process"),
    (2, "INT", Action::Terminate, "interrupt from the keyboard (^C)"),
    (3, "QUIT", Action::Core, "quit from the keyboard (^\\)"),
    (4, "ILL", Action::Core, "illegal instruction"),
    (5, "TRAP", Action::Core, "trap of a debugger"),
    (6, "ABRT", Action::Core, "abort(3)"),
    (7, "BUS", Action::Core, "bus error: memory that is not there"),
    (8, "FPE", Action::Core, "erroneous arithmetic"),
    (9, "KILL", Action::Terminate, "kill; cannot be caught, blocked or ignored"),
    (10, "USR1", Action::Terminate, "free for programs"),
    (11, "SEGV", Action::Core, "invalid memory reference"),
    (12, "USR2", Action::Terminate, "free for programs"),
    (13, "PIPE", Action::Terminate, "write to a pipe without readers"),
    (14, "ALRM", Action::Terminate, "timer of alarm(2)"),
    (15, "TERM", Action::Terminate, "termination"),
    (16, "STKFLT", Action::Terminate, "stack fault of a coprocessor; unused"),
    (17, "CHLD", Action::Ignore, "a child stopped, went on or ended"),
    (18, "CONT", Action::Continue, "go on if stopped"),
    (19, "STOP", Action::Stop, "stop; cannot be caught, blocked or ignored"),
    (20, "TSTP", Action::Stop, "stop from the keyboard (^Z)"),
    (21, "TTIN", Action::Stop, "terminal input of a background process"),
    (22, "TTOU", Action::Stop, "terminal output of a background process"),
    (23, "URG", Action::Ignore, "urgent data on a socket"),
    (24, "XCPU", Action::Core, "processor time over RLIMIT_CPU"),
    (25, "XFSZ", Action::Core, "file size over RLIMIT_FSIZE"),
    (26, "VTALRM", Action::Terminate, "timer of the processor time in user mode"),
    (27, "PROF", Action::Terminate, "timer of the processor time"),
    (28, "WINCH", Action::Ignore, "the terminal has another size"),
    (29, "IO", Action::Terminate, "input or output is possible"),
    (30, "PWR", Action::Terminate, "power failure"),
    (31, "SYS", Action::Core, "bad system call"),
];

/// Other names for some of them.
const ALIASES: [(&str, i32); 3] = [("POLL", 29), ("IOT", 6), ("CLD", 17)];

/// The highest number that the kernel knows.
pub const LAST: i32 = 64;

impl Signal {
    pub const INT: Signal = Signal(2);
    pub const KILL: Signal = Signal(9);
    pub const CHLD: Signal = Signal(17);
    pub const STOP: Signal = Signal(19);

    /// All that the kernel knows.
    pub fn all() -> impl Iterator<Item = Signal> {
        (1..=LAST).map(Signal)
    }

    pub fn is_real_time(self, rt: RealTime) -> bool {
        (rt.min..=rt.max).contains(&self.0)
    }

    /// Whether a process may do anything about it; KILL and STOP are above that.
    pub fn can_be_caught(self) -> bool {
        self != Signal::KILL && self != Signal::STOP
    }

    fn standard(self) -> Option<&'static (i32, &'static str, Action, &'static str)> {
        STANDARD.iter().find(|(number, ..)| *number == self.0)
    }

    /// Its name without SIG: `TERM`, `RTMIN+1`, `RTMAX-1`, counted from the nearer end as the shells do.
    /// None for those that the C library keeps for itself.
    pub fn name(self, rt: RealTime) -> Option<String> {
        if let Some((_, name, ..)) = self.standard() {
            return Some((*name).to_owned());
        }
        if !self.is_real_time(rt) {
            return None;
        }
        let (up, down) = (self.0 - rt.min, rt.max - self.0);
        let mut name = String::from(if up <= down { "RTMIN" } else { "RTMAX" });
        if up.min(down) > 0 {
            let _ = if up <= down { write!(name, "+{up}") } else { write!(name, "-{down}") };
        }
        Some(name)
    }

    /// Its name, or its number where it has none.
    pub fn label(self, rt: RealTime) -> String {
        self.name(rt).unwrap_or_else(|| self.0.to_string())
    }

    pub fn action(self) -> Action {
        self.standard().map_or(Action::Terminate, |(_, _, action, _)| *action)
    }

    pub fn description(self, rt: RealTime) -> &'static str {
        match self.standard() {
            Some((.., description)) => description,
            None if self.is_real_time(rt) => "real-time: each one is queued, with its value, in order",
            None => "the C library keeps it for its threads",
        }
    }

    /// Reads a name with or without SIG in any case, a number, `RTMIN+N` or `RTMAX-N`.
    pub fn parse(text: &str, rt: RealTime) -> Result<Signal, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let number: Option<i32> = text.parse().ok();
            let signal = number.filter(|number| (1..=LAST).contains(number)).map(Signal);
            return signal.ok_or_else(|| format!("signals are 1 to {LAST}"));
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((number, ..)) = STANDARD.iter().find(|(_, known, ..)| *known == name) {
            return Ok(Signal(*number));
        }
        if let Some((_, number)) = ALIASES.iter().find(|(known, _)| *known == name) {
            return Ok(Signal(*number));
        }
        let (from, sign, rest) = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
            (Some(rest), _) => (rt.min, 1, rest),
            (_, Some(rest)) => (rt.max, -1, rest),
            _ => return Err("there is no signal of this name; `ipcx signal list` shows those there are".to_owned()),
        };
        if rest.is_empty() {
            return Ok(Signal(from));
        }
        let digits = rest.strip_prefix(if sign > 0 { '+' } else { '-' }).unwrap_or_default();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("real-time signals are written RTMIN, RTMIN+N, RTMAX-N or RTMAX".to_owned());
        }
        let by: Option<i32> = digits.parse().ok();
        let number = by.and_then(|by| from.checked_add(sign * by)).map(Signal);
        number
            .filter(|signal| signal.is_real_time(rt))
            .ok_or_else(|| format!("real-time signals are RTMIN to RTMIN+{} here", rt.max - rt.min))
    }
}

/// A set of signals, as /proc shows it: bit N-1 stands for signal N.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SignalSet(pub u64);

impl SignalSet {
    pub fn contains(self, signal: Signal) -> bool {
        (1..=LAST).contains(&signal.0) && self.0 >> (signal.0 - 1) & 1 == 1
    }

    pub fn insert(&mut self, signal: Signal) {
        if (1..=LAST).contains(&signal.0) {
            self.0 |= 1 << (signal.0 - 1);
        }
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Signal> {
        Signal::all().filter(move |signal| self.contains(*signal))
    }
}

impl FromIterator<Signal> for SignalSet {
    fn from_iter<I: IntoIterator<Item = Signal>>(signals: I) -> SignalSet {
        let mut set = SignalSet::default();
        signals.into_iter().for_each(|signal| set.insert(signal));
        set
    }
}

/// How a signal came to be sent, from the si_code that came with it; sigaction(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// kill(2), or the kernel had no room to note more.
    Kill,
    /// sigqueue(3): it carries a value.
    Sigqueue,
    /// tkill(2), tgkill(2), pthread_kill(3) or raise(3).
    Tkill,
    /// A timer of timer_create(2).
    Timer,
    /// mq_notify(3): a message has come into an empty queue.
    Mqueue,
    /// Asynchronous input or output has ended, or is possible.
    Io,
    /// The kernel itself, such as for ^C on a terminal.
    Kernel,
    /// A child has stopped, gone on or ended.
    Child,
    /// A fault of the process itself.
    Fault,
    /// A code of the sender's own choice.
    Code(i32),
}

impl Origin {
    pub fn of(signal: Signal, code: i32) -> Origin {
        match (code, signal.0) {
            (0, _) => Origin::Kill,
            (-1, _) => Origin::Sigqueue,
            (-2, _) => Origin::Timer,
            (-3, _) => Origin::Mqueue,
            (-4 | -5, _) => Origin::Io,
            (-6, _) => Origin::Tkill,
            (0x80, _) => Origin::Kernel,
            (1.., 17) => Origin::Child,
            (1.., 29) => Origin::Io,
            (1.., 4 | 5 | 7 | 8 | 11 | 31) => Origin::Fault,
            (code, _) => Origin::Code(code),
        }
    }

    pub fn word(self) -> Option<&'static str> {
        Some(match self {
            Origin::Kill => "kill",
            Origin::Sigqueue => "sigqueue",
            Origin::Tkill => "tkill",
            Origin::Timer => "timer",
            Origin::Mqueue => "mq_notify",
            Origin::Io => "io",
            Origin::Kernel => "kernel",
            Origin::Child => "child",
            Origin::Fault => "fault",
            Origin::Code(_) => return None,
        })
    }

    /// Whether pid and uid of a sender, or of a child, came with it.
    pub fn has_sender(self) -> bool {
        match self {
            Origin::Kill | Origin::Sigqueue | Origin::Tkill | Origin::Mqueue | Origin::Child => true,
            // The kernel takes negative codes from senders, with the same fields as for sigqueue.
            Origin::Code(code) => code < 0,
            Origin::Timer | Origin::Io | Origin::Kernel | Origin::Fault => false,
        }
    }

    /// Whether a value came with it.
    pub fn has_value(self) -> bool {
        match self {
            Origin::Sigqueue | Origin::Timer | Origin::Mqueue => true,
            Origin::Code(code) => code < 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLIBC: RealTime = RealTime { min: 34, max: 64 };
    const MUSL: RealTime = RealTime { min: 35, max: 64 };

    #[test]
    fn names_are_read_with_and_without_sig_in_any_case_and_as_numbers() {
        for text in ["TERM", "SIGTERM", "term", "sigTerm", "15", "015"] {
            assert_eq!(Signal::parse(text, GLIBC), Ok(Signal(15)), "{text}");
        }
        assert_eq!(Signal::parse("POLL", GLIBC), Ok(Signal(29)));
        assert_eq!(Signal::parse("64", GLIBC), Ok(Signal(64)));
        for text in ["", "0", "65", "-1", "4294967297", "99999999999999999999", "SIG", "SIGSIGTERM", "TERM ", "15x"] {
            assert!(Signal::parse(text, GLIBC).is_err(), "{text}");
        }
    }

    #[test]
    fn real_time_signals_are_counted_from_the_bounds_of_the_c_library() {
        assert_eq!(Signal::parse("RTMIN", GLIBC), Ok(Signal(34)));
        assert_eq!(Signal::parse("rtmin+3", GLIBC), Ok(Signal(37)));
        assert_eq!(Signal::parse("SIGRTMIN+3", MUSL), Ok(Signal(38)));
        assert_eq!(Signal::parse("RTMAX-2", MUSL), Ok(Signal(62)));
        assert_eq!(Signal::parse("RTMIN+30", GLIBC), Ok(Signal(64)));
        for text in
            ["RTMIN+31", "RTMIN+40", "RTMAX-31", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN++1", "RTMIN+99999999999"]
        {
            assert!(Signal::parse(text, GLIBC).is_err(), "{text}");
        }
    }

    #[test]
    fn every_name_is_read_back_as_its_number() {
        for rt in [GLIBC, MUSL] {
            for signal in Signal::all() {
                match signal.name(rt) {
                    Some(name) => assert_eq!(Signal::parse(&name, rt), Ok(signal), "{name}"),
                    None => assert!((32..rt.min).contains(&signal.0)),
                }
                assert_eq!(Signal::parse(&signal.label(rt), rt), Ok(signal));
            }
        }
        assert_eq!(Signal(49).label(GLIBC), "RTMIN+15");
        assert_eq!(Signal(50).label(GLIBC), "RTMAX-14");
    }

    #[test]
    fn a_set_holds_the_first_and_the_last() {
        let set: SignalSet = [Signal(1), Signal(64), Signal(1), Signal(0), Signal(65)].into_iter().collect();
        assert_eq!(set, SignalSet(1 << 63 | 1));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Signal(1), Signal(64)]);
        assert!(!set.contains(Signal(0)) && !set.contains(Signal(65)));
    }

    #[test]
    fn one_code_means_different_things_for_different_signals() {
        assert_eq!(Origin::of(Signal(17), 1), Origin::Child);
        assert_eq!(Origin::of(Signal(11), 1), Origin::Fault);
        assert_eq!(Origin::of(Signal(10), 1), Origin::Code(1));
        assert_eq!(Origin::of(Signal(17), 0), Origin::Kill);
        assert!(Origin::of(Signal(10), -60).has_value() && !Origin::of(Signal(10), 1).has_sender());
    }
}
