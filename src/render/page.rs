//! One object as a page: a line for each field, and small tables for what there are several of.

use super::cell::Style;
use crate::model::{Align, Field, Record, Seen, Value};
use crate::render::table::{self, Layout};
use nix::errno::Errno;
use owo_colors::OwoColorize as _;
use std::io::{self, Write};

/// Writes every field that the row has; what could not be seen is said with its reason.
pub fn page<T>(
    out: &mut impl Write,
    title: &str,
    fields: &[&Field<T>],
    row: &T,
    style: &Style,
    layout: Layout,
) -> io::Result<()> {
    if layout.color {
        writeln!(out, "{}", title.bold())?;
    } else {
        writeln!(out, "{title}")?;
    }
    let values: Vec<_> = fields.iter().map(|field| (field, field.value(row))).collect();
    let width = values.iter().map(|(field, _)| field.key.len()).max().unwrap_or(0);
    for (field, value) in &values {
        match value {
            Seen::Absent | Seen::Skipped | Seen::Is(Value::List(_)) => {}
            Seen::Hidden(reason) => {
                let errno = Errno::from_raw(reason.errno);
                writeln!(out, "  {:<width$}  ? ({}: {errno:?})", field.key, reason.call)?;
            }
            value => writeln!(out, "  {:<width$}  {}", field.key, style.text(value))?,
        }
    }
    for (field, value) in values {
        if let Seen::Is(Value::List(list)) = value
            && !list.is_empty()
        {
            writeln!(out, "  {}", field.key)?;
            records(out, list, style, layout)?;
        }
    }
    Ok(())
}

/// A list of records of one shape as a table, indented.
fn records(out: &mut impl Write, list: Vec<Value>, style: &Style, layout: Layout) -> io::Result<()> {
    if let Some(Value::Phrase(_)) = list.first() {
        return list.into_iter().try_for_each(|phrase| writeln!(out, "    {}", style.text(&Seen::Is(phrase))));
    }
    let rows: Vec<Record> = list
        .into_iter()
        .map(|value| match value {
            Value::Record(record) => record,
            Value::End(end) => end.record(),
            Value::Hold(hold) => hold.record(),
            Value::Blocked(blocked) => blocked.record(),
            other => vec![("value", Seen::Is(other))],
        })
        .collect();
    let Some(first) = rows.first() else { return Ok(()) };
    let fields: Vec<Field<Record>> = first.iter().map(|(key, value)| column(key, value)).collect();
    let fields: Vec<&Field<Record>> = fields.iter().collect();
    let mut text = Vec::new();
    table::table(
        &mut text,
        &fields,
        &rows,
        style,
        Layout { headings: true, width: layout.width.map(|width| width.saturating_sub(4)), color: false },
    )?;
    for line in String::from_utf8_lossy(&text).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn column(key: &'static str, example: &Seen<Value>) -> Field<Record> {
    let number = matches!(example, Seen::Is(Value::Count(_) | Value::Int(_) | Value::Size(_) | Value::Pid(_)));
    Field::of_records(key, if number { Align::Right } else { Align::Left })
}
