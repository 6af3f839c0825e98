//! A terminal as far as the meter and plain text use one.

/// Rows of characters, the cursor, and what was saved of it.
pub struct Screen {
    pub rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    saved: (usize, usize),
    columns: usize,
    height: usize,
    /// Rows that have left at the top.
    scrolled: usize,
}

impl Screen {
    pub fn new(height: usize, columns: usize) -> Screen {
        let rows = vec![Vec::new(); height];
        Screen { rows, row: 0, column: 0, saved: (0, 0), columns, height, scrolled: 0 }
    }

    /// Everything that was ever shown, without what was erased or overwritten.
    pub fn text(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
        let mut lines: Vec<String> = lines.collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.index(),
                '\x1b' => match chars.next() {
                    Some('D') => self.index(),
                    Some('7') => self.saved = (self.row, self.column),
                    Some('8') => (self.row, self.column) = self.saved,
                    Some('[') => {
                        let mut number = String::new();
                        while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                            number.push(digit);
                        }
                        let n = number.parse().unwrap_or(1);
                        match chars.next() {
                            Some('A') => self.row = self.row.saturating_sub(n).max(self.scrolled),
                            Some('B') => self.row = (self.row + n).min(self.scrolled + self.height - 1),
                            Some('J') => {
                                self.rows[self.row].truncate(self.column);
                                self.rows[self.row + 1..].iter_mut().for_each(Vec::clear);
                            }
                            Some('K') => self.rows[self.row].truncate(self.column),
                            other => panic!("the meter has no use for {other:?}"),
                        }
                    }
                    other => panic!("the meter has no use for {other:?}"),
                },
                c => {
                    assert!(!c.is_control(), "{c:?}");
                    assert!(self.column < self.columns, "a line is wider than the terminal");
                    let row = &mut self.rows[self.row];
                    row.resize(row.len().max(self.column + 1), ' ');
                    row[self.column] = c;
                    self.column += 1;
                }
            }
        }
    }

    /// One row down; at the foot of the screen everything moves up.
    fn index(&mut self) {
        self.row += 1;
        if self.row == self.scrolled + self.height {
            self.scrolled += 1;
            self.rows.push(Vec::new());
        }
    }
}
