//! What is said of a thread, in words.

use super::{Answer, thread_name};
use crate::inspect::facts::process_name;
use crate::inspect::wakers::{Need, Waker};
use crate::model::{Awaits, Blocked, SignalSet};
use std::fmt::Write as _;
use std::time::Duration;

/// So many of those who could wake a thread are named.
const MOST: usize = 4;

/// What a thread waits for, as in "waits in …".
pub(super) fn waits(blocked: &Blocked, needs: &[Need]) -> String {
    let call = blocked.call;
    let what: Vec<&str> = needs.iter().map(|need| &need.what[..]).collect();
    match &blocked.awaits {
        _ if !what.is_empty() => format!("in {call} for {}", what.join(" and ")),
        Awaits::Sleep => format!("in {call} for time to pass"),
        Awaits::Signal { set } => format!("in {call} for {}", signals(*set)),
        Awaits::Futex { .. } => format!("in {call} for another thread of its own process"),
        Awaits::Any { .. } => format!("in {call} for no descriptor at all"),
        Awaits::Other { nr } => format!("in system call {nr}"),
        _ => format!("in {call}"),
    }
}

fn signals(set: Option<SignalSet>) -> String {
    let rt = crate::sys::signal::real_time();
    match set {
        None => "a signal".to_owned(),
        Some(set) => {
            let labels: Vec<String> = set.iter().map(|signal| signal.label(rt)).collect();
            match labels.len() {
                0 => "a signal".to_owned(),
                1..=MOST => labels.join(" or "),
                n => format!("any of {n} signals"),
            }
        }
    }
}

/// One paragraph for each thread, or for threads of a process of which the same is to be said.
pub fn paragraphs(answers: &[Answer]) -> Vec<String> {
    let mut groups: Vec<Vec<&Answer>> = Vec::new();
    for answer in answers {
        match groups.iter_mut().find(|group| alike(group[0], answer)) {
            Some(group) => group.push(answer),
            None => groups.push(vec![answer]),
        }
    }
    groups.iter().map(|group| paragraph(group)).collect()
}

fn alike(one: &Answer, other: &Answer) -> bool {
    (one.pid, &one.does, &one.needs, &one.odd) == (other.pid, &other.does, &other.needs, &other.odd)
        && one.left.is_some() == other.left.is_some()
}

impl Answer {
    /// All that is to be said of this thread.
    pub fn text(&self) -> String {
        paragraph(&[self])
    }
}

fn paragraph(group: &[&Answer]) -> String {
    let first = group[0];
    let mut text = match group.len() {
        1 => capital(&thread_name(first.pid, first.tid, &first.command)),
        n => format!("{n} threads of {}", process_name(first.pid, &first.command)),
    };
    let several = group.len() > 1;
    if first.call.is_none() {
        let _ = write!(text, "{} {}.", if several { ", each of them," } else { "" }, first.does);
        return text;
    }
    let since = group.iter().filter_map(|answer| answer.since).max();
    match since.map(span) {
        None => text.push_str(if several { " wait " } else { " waits " }),
        Some(time) if several => {
            let _ = write!(text, " have waited, the longest for {time}, ");
        }
        Some(time) => {
            let _ = write!(text, " has waited for {time} ");
        }
    }
    text.push_str(&first.does);
    text.push('.');
    let single = first.needs.len() == 1;
    for need in &first.needs {
        let mut say = |sentence: &str| {
            text.push(' ');
            if single {
                text.push_str(sentence);
            } else {
                let _ = write!(text, "For {}: {sentence}", need.what);
            }
        };
        if !need.state.is_empty() {
            say(&need.state);
        }
        if let Some(wakers) = wakers(need) {
            say(&wakers);
        }
    }
    for others in first.needs.iter().filter_map(|need| need.others) {
        let others = capital(others);
        if !text.contains(&others) {
            let _ = write!(text, " {others}.");
        }
    }
    for beside in first.needs.iter().flat_map(|need| &need.besides) {
        let beside = capital(beside);
        if !text.contains(&beside) {
            let _ = write!(text, " {beside}.");
        }
    }
    for sentence in &first.chain {
        let _ = write!(text, " {}.", capital(sentence));
    }
    match group.iter().filter_map(|answer| answer.left).min() {
        Some(Duration::ZERO) => text.push_str(" Its time is over; it gives up at any moment."),
        Some(left) => {
            let _ = write!(text, " It gives up after another {}.", span(left));
        }
        None if first.needs.is_empty() => {}
        None => text.push_str(" It has no timeout."),
    }
    let odd: Vec<&str> = first.needs.iter().flat_map(|need| &need.odd).chain(&first.odd).map(|odd| &odd[..]).collect();
    if !odd.is_empty() {
        let _ = write!(text, " Odd: {}.", odd.join("; "));
    }
    text
}

/// A sentence about those who could meet a need.
fn wakers(need: &Need) -> Option<String> {
    let said: Vec<String> = need.by.iter().take(MOST).map(waker).collect();
    if said.is_empty() {
        let known = need.others.is_some() || !need.odd.is_empty();
        return (!known).then(|| "Nobody is seen who could bring it.".to_owned());
    }
    let more = match need.by.len().saturating_sub(MOST) {
        0 => String::new(),
        n => format!("; and {n} more"),
    };
    Some(format!("{}{more}.", capital(&said.join("; "))))
}

fn waker(waker: &Waker) -> String {
    let Waker { grade, does, because, .. } = waker;
    let name = waker.name();
    if does.is_empty() {
        format!("it is up to {name} ({})", grade.word())
    } else {
        format!("{name} {does} it ({}: {because})", grade.word())
    }
}

/// A sentence begins with a capital letter.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// A length of time in a sentence.
pub(super) fn span(time: Duration) -> String {
    let (seconds, millis) = (time.as_secs(), time.subsec_millis());
    match seconds {
        0 => format!("{millis} ms"),
        1..=59 => format!("{seconds}.{} s", millis / 100),
        60..=3599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::wakers::Nature;
    use crate::model::{Grade, Text};

    fn answer(tid: i32, since: u64) -> Answer {
        let by = Waker {
            pid: 9,
            tid: None,
            command: Text::from("b\x1b"),
            grade: Grade::Exact,
            does: "holds",
            because: "took 1 with SEM_UNDO".to_owned(),
        };
        let need = Need {
            what: "semaphore 0 of sem/5".to_owned(),
            nature: Nature::Held,
            by: vec![by],
            closed: true,
            others: Some("anybody who may alter the set can post to it"),
            besides: Vec::new(),
            state: "Its value is 0, and it wants to take 1.".to_owned(),
            odd: vec!["the sky is green".to_owned()],
        };
        Answer {
            pid: 5,
            tid,
            command: Text::from("a"),
            state: "blocked",
            call: Some("semop"),
            waits_for: Some("semaphore"),
            reference: None,
            since: Some(Duration::from_millis(since)),
            left: None,
            does: "in semop for semaphore 0 of sem/5".to_owned(),
            needs: vec![need],
            chain: Vec::new(),
            odd: Vec::new(),
        }
    }

    #[test]
    fn a_paragraph_says_what_for_how_long_who_and_what_is_odd() {
        assert_eq!(
            answer(5, 3200).text(),
            "Process 5 (a) has waited for 3.2 s in semop for semaphore 0 of sem/5. Its value is 0, and it wants to take \
             1. Process 9 (b\\x1b) holds it (exact: took 1 with SEM_UNDO). Anybody who may alter the set can post to it. \
             It has no timeout. Odd: the sky is green."
        );
        let mut timed = answer(7, 10);
        timed.left = Some(Duration::from_millis(1500));
        assert!(
            timed.text().starts_with("Thread 7 of process 5 (a) has waited for 10 ms in semop"),
            "{}",
            timed.text()
        );
        assert!(timed.text().contains(" It gives up after another 1.5 s."));
    }

    #[test]
    fn threads_of_which_the_same_is_to_be_said_share_a_paragraph() {
        let mut other = answer(8, 1);
        other.does = "in futex for another thread of its own process".to_owned();
        let said = paragraphs(&[answer(5, 1000), other, answer(6, 2000), answer(7, 500)]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with("3 threads of process 5 (a) have waited, the longest for 2.0 s, in semop"),
            "{said:?}"
        );
    }

    #[test]
    fn a_span_is_as_exact_as_it_is_short() {
        let said = |millis| span(Duration::from_millis(millis));
        assert_eq!(
            [said(5), said(61_000), said(3_700_000), said(90_000_000)],
            ["5 ms", "1 min 1 s", "1 h 1 min", "1 d 1 h"]
        );
    }
}
