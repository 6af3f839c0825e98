//! Rows and columns: a table that fits a terminal, aligned columns for a pipe, tab-separated lines
//! for a machine.
//!
//! comfy-table passes escape sequences through and turns a newline into a second line, so it is
//! used here alone and its cells are built from escaped values. It is for terminals and up to about
//! a thousand rows; beyond that and in pipes, an aligned writer of our own is many times faster.

use super::cell::{Style, TimeFormat, raw_cell};
use crate::model::{Align, Field, Seen, Value};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};
use owo_colors::OwoColorize as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr as _;

/// More rows than this are not laid out to fit.
const FITTED_ROWS: usize = 1000;
const GAP: &str = "  ";

/// How a table is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub headings: bool,
    /// Columns of the terminal; without one nothing is cut.
    pub width: Option<u16>,
    pub color: bool,
}

/// A table for people.
pub fn table<T>(
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
    for row in rows {
        let values: Vec<Seen<Value>> = fields.iter().map(|field| field.value(row)).collect();
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

/// Two passes over one buffer: every cell is written once, then padded to its column.
fn aligned<T>(out: &mut impl Write, fields: &[&Field<T>], rows: &[T], style: &Style, layout: Layout) -> io::Result<()> {
    let mut cells = String::with_capacity(rows.len() * fields.len() * 6);
    let mut ends = Vec::with_capacity((rows.len() + 1) * fields.len());
    let mut widths = vec![0; fields.len()];
    let mut end_cell = |cells: &String, at: usize, start: usize| {
        let cell = &cells[start..];
        let width = if cell.is_ascii() { cell.len() } else { cell.width() };
        widths[at] = widths[at].max(width);
        ends.push((cells.len(), width));
    };
    if layout.headings {
        for (at, field) in fields.iter().enumerate() {
            let start = cells.len();
            cells.push_str(&field.title());
            end_cell(&cells, at, start);
        }
    }
    for row in rows {
        for (at, field) in fields.iter().enumerate() {
            let start = cells.len();
            style.write(&mut cells, &field.value(row));
            end_cell(&cells, at, start);
        }
    }
    let mut line = String::new();
    let mut start = 0;
    for (nth, row) in ends.chunks(fields.len().max(1)).enumerate() {
        line.clear();
        for (at, (end, width)) in row.iter().enumerate() {
            let (pad, last) = (widths[at] - width, at + 1 == fields.len());
            let cell = &cells[start..*end];
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
