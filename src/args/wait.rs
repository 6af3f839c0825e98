//! How long a verb may block.

use super::units;
use crate::model::Wait;
use clap::Args;
use std::time::Duration;

#[derive(Args, Clone, Copy, Debug)]
pub struct WaitArgs {
    /// Do not wait: status 6 if it would block
    #[arg(long, conflicts_with = "timeout")]
    nowait: bool,

    /// Give up after this time with status 124: 500ms, 2s, 1m30s
    ///
    /// It bounds the whole command, not each of its steps. A plain number is seconds.
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    timeout: Option<Duration>,
}

impl WaitArgs {
    /// The deadline, counted from now.
    pub fn wait(self) -> Wait {
        if self.nowait { Wait::Never } else { Wait::within(self.timeout) }
    }
}
