//! Fields as JSON: numbers are numbers, times RFC 3339, modes octal strings, what is not known null.

use super::cell::{hex, octal};
use crate::model::{Field, Gap, Reason, Seen, Text, Value};
use jiff::Timestamp;
use nix::errno::Errno;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};
use std::io::{self, Write};

/// A document that is written while objects are found:
/// `{"version":1,"objects":[…],"gaps":[…]}`.
pub struct Document<'a, W: Write> {
    out: &'a mut W,
    first: bool,
    gaps: Vec<Gap>,
}

impl<'a, W: Write> Document<'a, W> {
    /// `list` is the key of the objects, so that a document of limits can call them that.
    pub fn begin(out: &'a mut W, list: &str) -> io::Result<Document<'a, W>> {
        write!(out, "{{\"version\":1,\"{list}\":[")?;
        Ok(Document { out, first: true, gaps: Vec::new() })
    }

    pub fn rows<T>(&mut self, fields: &[&Field<T>], rows: &[T]) -> io::Result<()> {
        for row in rows {
            self.out.write_all(if self.first { b"\n" } else { b",\n" })?;
            self.first = false;
            serde_json::to_writer(&mut *self.out, &Row { fields, row })?;
            self.gaps.extend(hidden(fields, row));
        }
        Ok(())
    }

    pub fn gaps(&mut self, gaps: Vec<Gap>) {
        self.gaps.extend(gaps);
    }

    pub fn end(self) -> io::Result<()> {
        self.out.write_all(if self.first { b"],\"gaps\":[" } else { b"\n],\"gaps\":[" })?;
        for (at, gap) in self.gaps.iter().enumerate() {
            self.out.write_all(if at == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *self.out, &GapRow(gap))?;
        }
        self.out.write_all(if self.gaps.is_empty() { b"]}\n" } else { b"\n]}\n" })
    }
}

/// One row as one line of JSON.
pub fn line<T>(out: &mut impl Write, fields: &[&Field<T>], row: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Row { fields, row })?;
    out.write_all(b"\n")
}

/// One record as one line of JSON.
pub fn record(out: &mut impl Write, record: &[(&'static str, Seen<Value>)]) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Record(record))?;
    out.write_all(b"\n")
}

struct Row<'a, T: 'static> {
    fields: &'a [&'a Field<T>],
    row: &'a T,
}

impl<T> Serialize for Row<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for field in self.fields {
            match field.value(self.row) {
                Seen::Skipped => {}
                value => map.serialize_entry(field.key, &Known(&value))?,
            }
        }
        map.end()
    }
}

/// A gap for each field of a row that is there and could not be seen.
fn hidden<T>(fields: &[&Field<T>], row: &T) -> Vec<Gap> {
    let reasons = fields.iter().filter_map(|field| match field.value(row) {
        Seen::Hidden(reason) => Some((field.key, reason)),
        _ => None,
    });
    let mut subject = None;
    reasons
        .map(|(key, reason)| Gap {
            subject: subject.get_or_insert_with(|| name(fields, row)).clone(),
            field: Some(key),
            reason,
            note: None,
        })
        .collect()
}

fn name<T>(fields: &[&Field<T>], row: &T) -> String {
    let first = fields.iter().find(|field| matches!(field.key, "ref" | "name")).map(|field| field.value(row));
    match first {
        Some(Seen::Is(Value::Text(text))) => text.escaped().to_string(),
        Some(Seen::Is(Value::Word(word))) => word.to_owned(),
        _ => String::new(),
    }
}

struct Known<'a>(&'a Seen<Value>);

impl Serialize for Known<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Seen::Is(value) => Plain(value).serialize(serializer),
            Seen::Absent | Seen::Hidden(_) | Seen::Skipped => serializer.serialize_none(),
        }
    }
}

struct Plain<'a>(&'a Value);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Count(n) | Value::Size(n) => serializer.serialize_u64(*n),
            Value::Int(n) => serializer.serialize_i64(*n),
            Value::Pid(pid) => serializer.serialize_i32(*pid),
            Value::Percent(percent) => serializer.serialize_f64((percent * 100.0).round() / 100.0),
            Value::Flag(yes) => serializer.serialize_bool(*yes),
            Value::Word(word) => serializer.serialize_str(word),
            Value::Phrase(phrase) => serializer.serialize_str(phrase),
            Value::Text(text) => bytes(text, serializer),
            Value::Key(key) => {
                let mut text = String::with_capacity(10);
                hex(&mut text, key.cast_unsigned(), 8);
                serializer.serialize_str(&text)
            }
            Value::Mode(mode) => {
                let mut text = String::with_capacity(4);
                octal(&mut text, *mode);
                serializer.serialize_str(&text)
            }
            Value::Time(at) => match Timestamp::from_second(*at) {
                Ok(time) => serializer.collect_str(&time),
                Err(_) => serializer.serialize_none(),
            },
            Value::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for value in list {
                    seq.serialize_element(&Plain(value))?;
                }
                seq.end()
            }
            Value::Record(record) => Record(record).serialize(serializer),
        }
    }
}

/// Text that is valid UTF-8 is a string; other bytes are `{"base64":"…"}`, so that none is lost.
fn bytes<S: Serializer>(text: &Text, serializer: S) -> Result<S::Ok, S::Error> {
    if let Some(text) = text.utf8() {
        return serializer.serialize_str(text);
    }
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("base64", &data_encoding::BASE64.encode(text.raw()))?;
    map.end()
}

struct Record<'a>(&'a [(&'static str, Seen<Value>)]);

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in self.0 {
            match value {
                // The text of a message stands under `text` or, if it is not UTF-8, under `base64`.
                Seen::Is(Value::Text(text)) if text.utf8().is_none() => {
                    map.serialize_entry("base64", &data_encoding::BASE64.encode(text.raw()))?;
                }
                value => map.serialize_entry(key, &Known(value))?,
            }
        }
        map.end()
    }
}

struct GapRow<'a>(&'a Gap);

impl Serialize for GapRow<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Gap { subject, field, reason: Reason { call, errno }, note } = self.0;
        let errno = Errno::from_raw(*errno);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("subject", subject)?;
        map.serialize_entry("field", field)?;
        map.serialize_entry("call", call)?;
        map.serialize_entry("errno", &format!("{errno:?}"))?;
        map.serialize_entry("reason", note.as_deref().unwrap_or(errno.desc()))?;
        map.end()
    }
}
