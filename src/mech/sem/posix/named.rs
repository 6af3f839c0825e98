//! An open POSIX semaphore.

use super::sys::Semaphore;
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::mech::{Counter, Op, stopped, unsupported};
use crate::model::ObjectRef;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;

/// An open named semaphore.
pub(super) struct Named {
    semaphore: Semaphore,
    reference: ObjectRef,
}

impl Named {
    pub(super) fn new(semaphore: Semaphore, reference: ObjectRef) -> Named {
        Named { semaphore, reference }
    }

    fn fail(&self, stop: Stop, call: &'static str) -> Error {
        match stop {
            Stop::Errno(Errno::EAGAIN) => {
                Error::new(call, Errno::EAGAIN, &self.reference).because("it would have to wait")
            }
            Stop::Errno(Errno::EOVERFLOW) => Error::new(call, Errno::EOVERFLOW, &self.reference)
                .because("its value would be over 2147483647 (SEM_VALUE_MAX)"),
            stop => stopped(stop, call, &self.reference),
        }
    }

    /// Gives `amount` or, where the value would be too high, nothing.
    fn posts(&self, amount: u16) -> Result<()> {
        for given in 0..amount {
            if let Err(errno) = self.semaphore.post() {
                // Whoever took one of them meanwhile keeps it.
                for _ in 0..given {
                    let _ = self.semaphore.try_wait(1);
                }
                return Err(self.fail(Stop::Errno(errno), "sem_post"));
            }
        }
        Ok(())
    }
}

impl Counter for Named {
    fn len(&self) -> u16 {
        1
    }

    fn wait(&mut self, index: u16, amount: u16, waiter: &Waiter) -> Result<()> {
        self.check(index)?;
        let wait = || {
            if waiter.never() {
                self.semaphore.try_wait(amount)
            } else {
                self.semaphore.wait(amount, if waiter.forever() { None } else { waiter.left() })
            }
        };
        waiter.run(wait).map_err(|stop| self.fail(stop, "sem_wait"))
    }

    fn post(&mut self, index: u16, amount: u16) -> Result<()> {
        self.check(index)?;
        self.posts(amount)
    }

    fn operate(&mut self, _: &[Op], _: &Waiter) -> Result<()> {
        Err(unsupported(
            &self.reference,
            "a POSIX semaphore has no arrays of operations and cannot be waited on to become zero",
            "use `sem wait` and `sem post`, or a System V set",
        ))
    }

    fn set(&mut self, values: &[(u16, u32)]) -> Result<()> {
        for (index, target) in values {
            self.check(*index)?;
            if *target > 0x7fff_ffff {
                let cause = format!("value {target} is over {} (SEM_VALUE_MAX)", 0x7fff_ffff);
                return Err(Error::new("sem_post", Errno::ERANGE, &self.reference).because(cause));
            }
            let failed = |errno| self.fail(Stop::Errno(errno), "sem_post");
            // There is no call that sets it: step towards the value, as long as others do not undo it.
            loop {
                let value = self.semaphore.value();
                match value.cmp(target) {
                    std::cmp::Ordering::Less => self.semaphore.post().map_err(failed)?,
                    std::cmp::Ordering::Greater => match self.semaphore.try_wait(1) {
                        Ok(()) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                        Err(errno) => return Err(failed(errno)),
                    },
                    std::cmp::Ordering::Equal => break,
                }
            }
        }
        Ok(())
    }

    fn undoes(&self) -> bool {
        false
    }

    fn check(&self, index: u16) -> Result<()> {
        if index == 0 {
            return Ok(());
        }
        Err(Error::refused(
            &self.reference,
            Status::NoSuch,
            format!("it has no semaphore {index}; a POSIX semaphore is one"),
        ))
    }
}
