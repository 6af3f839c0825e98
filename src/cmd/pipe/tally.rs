//! What a stage does, and how often it was seen so.

/// What a stage does, with all processes of it taken together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Now {
    #[default]
    Unknown,
    Runs,
    /// It sleeps until there is something in its input.
    Starved,
    /// It sleeps until there is room in its output.
    Blocked,
    Stopped,
    /// It sleeps for another reason.
    Waits,
    Ended,
}

/// How often a stage was seen how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    pub seen: u32,
    pub starved: u32,
    pub blocked: u32,
    /// How often it could not be seen.
    hidden: u32,
}

impl Tally {
    pub fn add(&mut self, now: Now) {
        if now == Now::Unknown {
            self.hidden += 1;
            return;
        }
        self.seen += 1;
        self.starved += u32::from(now == Now::Starved);
        self.blocked += u32::from(now == Now::Blocked);
    }

    /// A command that runs as another user was seen only before it began to.
    fn is_known(&self) -> bool {
        self.seen > self.hidden
    }

    /// Percent of the time that it was starved.
    pub fn starved(&self) -> Option<f64> {
        self.is_known().then(|| f64::from(self.starved) * 100.0 / f64::from(self.seen))
    }

    /// Percent of the time that it was blocked.
    pub fn blocked(&self) -> Option<f64> {
        self.is_known().then(|| f64::from(self.blocked) * 100.0 / f64::from(self.seen))
    }
}

/// The mean and the largest of some numbers.
#[derive(Clone, Copy, Default)]
pub struct Range {
    sum: u64,
    count: u64,
    pub max: Option<u64>,
}

impl Range {
    pub fn add(&mut self, number: usize) {
        let number = number as u64;
        self.sum += number;
        self.count += 1;
        self.max = self.max.max(Some(number));
    }

    pub fn mean(&self) -> Option<u64> {
        (self.count > 0).then(|| (self.sum + self.count / 2) / self.count)
    }
}

/// What several tasks do together: who runs keeps the stage going, and who waits for its own reasons says
/// nothing about it.
pub fn louder(a: Now, b: Now) -> Now {
    let rank = |now| match now {
        Now::Unknown | Now::Ended => 0,
        Now::Waits => 1,
        Now::Stopped => 2,
        Now::Starved => 3,
        Now::Blocked => 4,
        Now::Runs => 5,
    };
    if rank(b) > rank(a) { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_that_runs_keeps_a_stage_going() {
        for other in [Now::Starved, Now::Blocked, Now::Waits, Now::Stopped, Now::Unknown] {
            assert_eq!(louder(Now::Runs, other), Now::Runs);
            assert_eq!(louder(other, Now::Runs), Now::Runs);
        }
        assert_eq!(louder(Now::Waits, Now::Starved), Now::Starved);
        assert_eq!(louder(Now::Unknown, Now::Unknown), Now::Unknown);
    }

    #[test]
    fn shares_are_of_the_samples_and_none_is_no_share() {
        let mut tally = Tally::default();
        assert_eq!(tally.starved(), None);
        for now in [Now::Starved, Now::Blocked, Now::Starved, Now::Runs] {
            tally.add(now);
        }
        assert_eq!((tally.starved(), tally.blocked()), (Some(50.0), Some(25.0)));
        (0..4).for_each(|_| tally.add(Now::Unknown));
        assert_eq!((tally.starved(), tally.blocked()), (None, None));
        let mut range = Range::default();
        assert_eq!((range.mean(), range.max), (None, None));
        [1, 2, 6].into_iter().for_each(|n| range.add(n));
        assert_eq!((range.mean(), range.max), (Some(3), Some(6)));
    }
}
