//! Rows and columns: a table that fits a terminal, aligned columns for a pipe, tab-separated lines
//! for a machine.
//!
//! comfy-table passes escape sequences through and turns a newline into a second line, so it is
//! used here alone and its cells are built from escaped values. It is for terminals and up to about
//! a thousand rows; beyond that and in pipes, an aligned writer of our own is many times faster.

use super::cell::{Style, TimeFormat, raw_cell};
use crate::model::{Align, Field, Seen, Value};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width, presets};
use owo_colors::OwoColorize as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr as _;

/// More rows than this are not laid out to fit.
const FITTED_ROWS: usize = 1000;
const GAP: &str = "  ";
/// References are not cut to less than this part of the width.
const REFERENCE_SHARE: u16 = 4;

/// How a table is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub headings: bool,
    /// Columns of the terminal; without one nothing is cut.
    pub width: Option<u16>,
    pub color: bool,
}

/// A table for people.
pub fn table<T: Sync>(
    out: &mut impl Write,
    fields: &[&Field<T>],
    rows: &[T],
    style: &Style,
    layout: Layout,
) -> io::Result<()> {
    match layout.width {
        Some(width) if rows.len() <= FITTED_ROWS => fitted(out, fields, rows, style, layout, width),
        _ => aligned(out, fields, rows, style, layout),
    }
}

fn fitted<T>(
    out: &mut impl Write,
    fields: &[&Field<T>],
    rows: &[T],
    style: &Style,
    layout: Layout,
    width: u16,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if layout.headings {
        let mut titles = Row::from(fields.iter().map(|field| field.title()));
        titles.max_height(1);
        table.set_header(titles);
    }
    // Only text that others chose, and help, gives way; half a number or half a setting is none.
    let mut gives_way: Vec<bool> = fields.iter().map(|field| field.key == "help").collect();
    let mut longest = vec![0; fields.len()];
    for row in rows {
        let values: Vec<Seen<Value>> = fields.iter().map(|field| field.value(row)).collect();
        for (longest, value) in longest.iter_mut().zip(&values) {
            *longest = style.text(value).width().max(*longest);
        }
        for (gives, value) in gives_way.iter_mut().zip(&values) {
            *gives |= matches!(value, Seen::Is(Value::Text(_) | Value::List(_) | Value::Record(_)));
        }
        let mut cells = Row::from(values.iter().map(|value| style.text(value)));
        cells.max_height(1);
        table.add_row(cells);
    }
    let last = fields.len().saturating_sub(1);
    for (at, field) in fields.iter().enumerate() {
        let Some(column) = table.column_mut(at) else { continue };
        column.set_padding((0, if at == last { 0 } else { 2 }));
        if field.align == Align::Right {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if !gives_way[at] {
            column.set_constraint(ColumnConstraint::ContentWidth);
        } else if field.key == "ref" {
            // Without its reference a row is of no use, so it gives way last.
            let least = u16::try_from(longest[at]).unwrap_or(u16::MAX).min(width / REFERENCE_SHARE) + 2;
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        }
    }
    let text = table.to_string();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if at == 0 && layout.headings && layout.color {
            writeln!(out, "{}", line.bold())?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Cells of several rows, one behind the other.
struct Cells {
    text: String,
    /// Where each cell ends, and its width on a terminal.
    ends: Vec<(usize, usize)>,
    /// Of each column the widest cell.
    widths: Vec<usize>,
}

impl Cells {
    fn new(columns: usize, rows: usize) -> Cells {
        let cells = columns * rows;
        Cells { text: String::with_capacity(cells * 6), ends: Vec::with_capacity(cells), widths: vec![0; columns] }
    }

    fn of<T>(fields: &[&Field<T>], rows: &[T], style: &Style) -> Cells {
        let mut cells = Cells::new(fields.len(), rows.len());
        for row in rows {
            for (at, field) in fields.iter().enumerate() {
                cells.put(at, |text| style.write(text, &field.value(row)));
            }
        }
        cells
    }

    fn put(&mut self, column: usize, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        let cell = &self.text[start..];
        let width = if cell.is_ascii() { cell.len() } else { cell.width() };
        self.widths[column] = self.widths[column].max(width);
        self.ends.push((self.text.len(), width));
    }
}

/// From this many rows on, several threads write the cells.
const WORTH_THREADS: usize = 4000;
const MOST_THREADS: usize = 4;

/// The cells of all rows, in parts.
fn cells<T: Sync>(fields: &[&Field<T>], rows: &[T], style: &Style) -> Vec<Cells> {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if rows.len() < WORTH_THREADS { 1 } else { processors.min(MOST_THREADS) };
    let mut parts = rows.chunks(rows.len().div_ceil(threads).max(1));
    let first = parts.next().unwrap_or_default();
    std::thread::scope(|scope| {
        let write = |part| std::thread::Builder::new().spawn_scoped(scope, move || Cells::of(fields, part, style));
        let others: Vec<_> = parts.map(|part| (part, write(part))).collect();
        let mut all = vec![Cells::of(fields, first, style)];
        all.extend(others.into_iter().map(|(part, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // Where no thread can be made, it is done here.
            Err(_) => Cells::of(fields, part, style),
        }));
        all
    })
}

/// Two passes: every cell is written once, then padded to its column.
fn aligned<T: Sync>(
    out: &mut impl Write,
    fields: &[&Field<T>],
    rows: &[T],
    style: &Style,
    layout: Layout,
) -> io::Result<()> {
    let mut parts = cells(fields, rows, style);
    if layout.headings {
        let mut titles = Cells::new(fields.len(), 1);
        for (at, field) in fields.iter().enumerate() {
            titles.put(at, |text| text.push_str(&field.title()));
        }
        parts.insert(0, titles);
    }
    let widest = |at: usize| parts.iter().map(|part| part.widths[at]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..fields.len()).map(widest).collect();
    let mut line = String::new();
    for (nth, part) in parts.iter().enumerate() {
        let mut start = 0;
        for row in part.ends.chunks(fields.len().max(1)) {
            line.clear();
            for (at, (end, width)) in row.iter().enumerate() {
                let (pad, last) = (widths[at] - width, at + 1 == fields.len());
                let cell = &part.text[start..*end];
                if fields[at].align == Align::Right {
                    push_spaces(&mut line, pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    push_spaces(&mut line, if last { 0 } else { pad });
                }
                line.push_str(if last { "" } else { GAP });
                start = *end;
            }
            if nth == 0 && layout.headings && layout.color {
                line = line.bold().to_string();
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

fn push_spaces(line: &mut String, n: usize) {
    line.extend(std::iter::repeat_n(' ', n));
}

/// Tab-separated lines with exact values; tabs and newlines inside a value are escaped.
pub fn raw<T>(
    out: &mut impl Write,
    fields: &[&Field<T>],
    rows: &[T],
    headings: bool,
    times: TimeFormat,
    now: i64,
) -> io::Result<()> {
    let mut line = String::new();
    if headings {
        let titles: Vec<String> = fields.iter().map(|field| field.title()).collect();
        writeln!(out, "{}", titles.join("\t"))?;
    }
    for row in rows {
        line.clear();
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                line.push('\t');
            }
            raw_cell(&mut line, &field.value(row), times, now);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}
