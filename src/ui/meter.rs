//! A few lines at the foot of a terminal that are painted again and again.
//!
//! Commands may write to the same terminal meanwhile, and what they write must stay. So the cursor always
//! stays where their output goes on, and the lines are painted below it: room is made by moving down line by
//! line, which scrolls where there is none, and the cursor goes back up by as many. Whatever is written next
//! goes over the meter, and the next painting begins with erasing what is below the cursor.

use crate::sys::{stdio, terminal};
use std::io;
use std::time::{Duration, Instant};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A line of text at a time that is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(1);
/// What a terminal shows when its size is not known.
const USUAL: (u16, u16) = (80, 24);

pub struct Meter {
    terminal: bool,
    /// Whether something of ours is on the terminal.
    painted: bool,
    /// When plain lines were written last.
    plain: Instant,
    /// Whether characters beyond ASCII are shown.
    pub unicode: bool,
}

impl Meter {
    pub(super) fn new(terminal: bool) -> Meter {
        Meter { terminal, painted: false, plain: Instant::now(), unicode: locale_is_utf8() }
    }

    /// Whether it is on a terminal.
    pub fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// Columns that a line may take. The last one stays free: after it the terminal would begin a new line.
    pub fn width(&self) -> usize {
        if self.terminal { usize::from(size().0).saturating_sub(1) } else { usize::MAX }
    }

    /// Shows these lines instead of the last ones. They hold nothing that acts on a terminal. What does not
    /// fit is cut, and nothing is painted while the terminal is not ours.
    pub fn paint(&mut self, lines: &[String]) {
        if !self.terminal {
            if self.plain.elapsed() >= PLAIN_EVERY {
                self.plain = Instant::now();
                write(&lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>());
            }
            return;
        }
        if !terminal::is_ours(io::stderr()) {
            return;
        }
        let (width, height) = (self.width(), usize::from(size().1));
        let lines = &lines[..lines.len().min(height.saturating_sub(2))];
        if lines.is_empty() {
            return;
        }
        let mut text = String::from("\x1b[J");
        text.push_str(&"\x1bD".repeat(lines.len()));
        text.push_str(&format!("\x1b[{}A\x1b7", lines.len()));
        for line in lines {
            text.push_str("\x1b[B\r");
            text.push_str(cut(line, width));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b8");
        write(&text);
        self.painted = true;
    }

    /// Takes the lines away.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.painted) {
            write("\x1b[J");
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A failure to show how something gets on is no failure of it.
fn write(text: &str) {
    let _ = stdio::write_all(io::stderr(), text.as_bytes());
}

/// Columns and rows. They are asked for each time, so that a change needs no signal.
fn size() -> (u16, u16) {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map(|(width, height)| (width.0, height.0)).filter(|(width, height)| *width > 0 && *height > 0).unwrap_or(USUAL)
}

fn cut(line: &str, width: usize) -> &str {
    if line.width() <= width {
        return line;
    }
    let mut used = 0;
    let end = line.char_indices().find(|(_, c)| {
        used += c.width().unwrap_or(0);
        used > width
    });
    &line[..end.map_or(line.len(), |(at, _)| at)]
}

/// The first of the variables that is set names the character set, setlocale(3).
fn locale_is_utf8() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_columns_and_not_inside_of_a_character() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "abc");
        assert_eq!(cut("日本", 3), "日");
        assert_eq!(cut("▸x", 1), "▸");
        assert_eq!(cut("abc", 0), "");
    }
}
