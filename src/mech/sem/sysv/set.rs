//! The semaphores of a System V set.

use super::{SEMVMX, from_row, reference, row, small, stat};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::sem::sys;
use crate::mech::{Counter, Op, stopped, sysv};
use crate::model::ObjectRef;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;

/// A set of semaphores.
pub(super) struct Set {
    id: i32,
    reference: ObjectRef,
    count: u16,
}

impl Set {
    pub(super) fn new(id: i32, count: u16) -> Set {
        Set { id, reference: reference(id), count }
    }

    fn fail(&self, call: &'static str, errno: Errno) -> Error {
        let error = sysv::failed(call, errno, &self.reference);
        match errno {
            Errno::EACCES | Errno::EPERM => {
                let object = stat(self.id).ok().map(|set| from_row(&row(self.id, &set)));
                sysv::denied(error, object.as_ref())
            }
            Errno::ERANGE => error.because(format!("its value would be over {SEMVMX} (SEMVMX)")),
            Errno::EAGAIN => error.because("it would have to wait"),
            _ => error,
        }
    }

    fn amount(&self, amount: u16) -> Result<i16> {
        i16::try_from(amount).map_err(|_| {
            Error::new("semop", Errno::ERANGE, &self.reference).because(format!("{amount} is over {SEMVMX} (SEMVMX)"))
        })
    }
}

impl Counter for Set {
    fn len(&self) -> u16 {
        self.count
    }

    fn wait(&mut self, index: u16, amount: u16, waiter: &Waiter) -> Result<()> {
        let amount = -self.amount(amount)?;
        self.operate(&[Op { index, amount, undo: false, nowait: false }], waiter)
    }

    fn post(&mut self, index: u16, amount: u16) -> Result<()> {
        self.check(index)?;
        let op = Op { index, amount: self.amount(amount)?, undo: false, nowait: false };
        sys::operate(self.id, &[op], true, None).map_err(|errno| self.fail("semop", errno))
    }

    fn operate(&mut self, ops: &[Op], waiter: &Waiter) -> Result<()> {
        for op in ops {
            self.check(op.index)?;
        }
        let left = || if waiter.never() || waiter.forever() { None } else { waiter.left() };
        waiter.run(|| sys::operate(self.id, ops, waiter.never(), left())).map_err(|stop| match stop {
            // The kernel's own timeout is EAGAIN too.
            Stop::Errno(Errno::EAGAIN) if waiter.over() => stopped(Stop::TimedOut, "semop", &self.reference),
            Stop::Errno(Errno::E2BIG) => Error::new("semop", Errno::E2BIG, &self.reference)
                .because(format!("{} operations are too many for one call", ops.len())),
            Stop::Errno(errno) => self.fail("semop", errno),
            stop => stopped(stop, "semop", &self.reference),
        })
    }

    fn set(&mut self, values: &[(u16, u32)]) -> Result<()> {
        let mut small_values = Vec::with_capacity(values.len());
        for (index, value) in values {
            self.check(*index)?;
            small_values.push((*index, small(*value, &self.reference)?));
        }
        let whole = small_values.len() == usize::from(self.count)
            && small_values.iter().enumerate().all(|(at, (index, _))| at == usize::from(*index));
        if whole {
            let all: Vec<u16> = small_values.iter().map(|(_, value)| *value).collect();
            return sys::set_all(self.id, &all).map_err(|errno| self.fail("semctl", errno));
        }
        for (index, value) in small_values {
            sys::set_one(self.id, index, value).map_err(|errno| self.fail("semctl", errno))?;
        }
        Ok(())
    }

    fn undoes(&self) -> bool {
        true
    }

    fn check(&self, index: u16) -> Result<()> {
        if index < self.count {
            return Ok(());
        }
        let cause = format!("it has no semaphore {index}; the last one is {}", self.count.saturating_sub(1));
        Err(Error::new("semop", Errno::EFBIG, &self.reference).because(cause).with_status(Status::NoSuch))
    }
}
