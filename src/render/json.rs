//! Fields as JSON: numbers are numbers, times RFC 3339, modes octal strings, what is not known null.
//!
//! Keys are words of our own and the shape is a flat list, so the punctuation is written here, at
//! the speed of a listing of tens of thousands of rows; every string goes through serde_json.

use super::cell::{hex, octal};
use crate::model::{Field, Gap, Reason, Seen, Text, Value, is_unsafe};
use jiff::Timestamp;
use nix::errno::Errno;
use serde::Serialize as _;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

/// A document that is written while objects are found:
/// `{"version":1,"objects":[…],"gaps":[…]}`.
pub struct Document<'a, W: Write> {
    out: &'a mut W,
    first: bool,
    gaps: Vec<Gap>,
    line: Vec<u8>,
}

impl<'a, W: Write> Document<'a, W> {
    pub fn begin(out: &'a mut W) -> io::Result<Document<'a, W>> {
        out.write_all(b"{\"version\":1,\"objects\":[")?;
        Ok(Document { out, first: true, gaps: Vec::new(), line: Vec::new() })
    }

    pub fn rows<T>(&mut self, fields: &[&Field<T>], rows: &[T]) -> io::Result<()> {
        for row in rows {
            self.line.clear();
            self.line.extend_from_slice(if self.first { b"\n" } else { b",\n" });
            self.first = false;
            object(&mut self.line, fields, row, &mut self.gaps);
            self.out.write_all(&self.line)?;
        }
        Ok(())
    }

    pub fn gaps(&mut self, gaps: Vec<Gap>) {
        self.gaps.extend(gaps);
    }

    pub fn end(self) -> io::Result<()> {
        self.out.write_all(if self.first { b"],\"gaps\":[" } else { b"\n],\"gaps\":[" })?;
        for (at, each) in self.gaps.iter().enumerate() {
            let mut line = if at == 0 { b"\n".to_vec() } else { b",\n".to_vec() };
            gap(&mut line, each);
            self.out.write_all(&line)?;
        }
        self.out.write_all(if self.gaps.is_empty() { b"]}\n" } else { b"\n]}\n" })
    }
}

/// One row as one line of JSON.
pub fn line<T>(out: &mut impl Write, fields: &[&Field<T>], row: &T) -> io::Result<()> {
    let mut line = Vec::with_capacity(512);
    object(&mut line, fields, row, &mut Vec::new());
    line.push(b'\n');
    out.write_all(&line)
}

/// One record as one line of JSON.
pub fn record(out: &mut impl Write, facts: &[(&'static str, Seen<Value>)]) -> io::Result<()> {
    let mut line = Vec::with_capacity(256);
    facts_object(&mut line, facts);
    line.push(b'\n');
    out.write_all(&line)
}

/// A row as an object; every field that is there and could not be seen becomes a gap.
fn object<T>(into: &mut Vec<u8>, fields: &[&Field<T>], row: &T, gaps: &mut Vec<Gap>) {
    into.push(b'{');
    for field in fields {
        let value = field.value(row);
        if value == Seen::Skipped {
            continue;
        }
        key(into, field.key);
        seen(into, &value);
        if let Seen::Hidden(reason) = value {
            gaps.push(Gap { subject: name(fields, row), field: Some(field.key), reason: *reason, note: None });
        }
    }
    into.push(b'}');
}

fn facts_object(into: &mut Vec<u8>, facts: &[(&'static str, Seen<Value>)]) {
    into.push(b'{');
    for (name, value) in facts {
        match value {
            // The text of a message stands under `text` or, if it is not UTF-8, under `base64`.
            Seen::Is(Value::Text(text)) if text.utf8().is_none() => {
                key(into, "base64");
                string(into, &data_encoding::BASE64.encode(text.raw()));
            }
            value => {
                key(into, name);
                seen(into, value);
            }
        }
    }
    into.push(b'}');
}

/// A key, with the comma before it if it is not the first.
fn key(into: &mut Vec<u8>, key: &str) {
    if into.last() != Some(&b'{') {
        into.push(b',');
    }
    word(into, key);
    into.push(b':');
}

/// A word of our own, which holds nothing to escape.
fn word(into: &mut Vec<u8>, word: &str) {
    into.push(b'"');
    into.extend_from_slice(word.as_bytes());
    into.push(b'"');
}

fn string(into: &mut Vec<u8>, text: &str) {
    if text.is_ascii() && !text.as_bytes().contains(&0x7f) {
        // Writing a string into memory cannot fail.
        drop(serde_json::to_writer(into, text));
    } else {
        drop(text.serialize(&mut Serializer::with_formatter(into, Careful)));
    }
}

/// JSON may hold DEL, C1 and bidirectional controls as they are, but somebody looks at it on a
/// terminal. The library escapes C0 by itself.
struct Careful;

impl Formatter for Careful {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, into: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_unsafe(*c)) {
            into.write_all(&fragment.as_bytes()[plain..at])?;
            plain = at + c.len_utf8();
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(into, "\\u{unit:04x}")?;
            }
        }
        into.write_all(&fragment.as_bytes()[plain..])
    }
}

fn seen(into: &mut Vec<u8>, value: &Seen<Value>) {
    match value {
        Seen::Is(value) => known(into, value),
        Seen::Absent | Seen::Hidden(_) | Seen::Skipped => into.extend_from_slice(b"null"),
    }
}

fn known(into: &mut Vec<u8>, value: &Value) {
    let mut digits = itoa::Buffer::new();
    match value {
        Value::Count(n) | Value::Size(n) => into.extend_from_slice(digits.format(*n).as_bytes()),
        Value::Int(n) => into.extend_from_slice(digits.format(*n).as_bytes()),
        Value::Pid(pid) => into.extend_from_slice(digits.format(*pid).as_bytes()),
        Value::Percent(percent) => drop(write!(into, "{}", (percent * 100.0).round() / 100.0)),
        Value::Flag(yes) => into.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Word(text) => word(into, text),
        Value::Phrase(phrase) => string(into, phrase),
        Value::Text(text) => bytes(into, text),
        Value::Ref(kind, id) => {
            into.push(b'"');
            into.extend_from_slice(kind.noun().as_bytes());
            into.push(b'/');
            into.extend_from_slice(digits.format(*id).as_bytes());
            into.push(b'"');
        }
        Value::Key(key) => {
            let mut text = String::with_capacity(10);
            hex(&mut text, key.cast_unsigned(), 8);
            word(into, &text);
        }
        Value::Mode(mode) => {
            let mut text = String::with_capacity(4);
            octal(&mut text, *mode);
            word(into, &text);
        }
        Value::Time(at) => match Timestamp::from_second(*at) {
            Ok(time) => drop(write!(into, "\"{time}\"")),
            Err(_) => into.extend_from_slice(b"null"),
        },
        Value::List(list) => {
            into.push(b'[');
            for (at, value) in list.iter().enumerate() {
                into.extend_from_slice(if at == 0 { b"" } else { b"," });
                known(into, value);
            }
            into.push(b']');
        }
        // Seconds, to the millisecond.
        Value::Duration(time) => drop(write!(into, "{}.{:03}", time.as_secs(), time.subsec_millis())),
        Value::End(end) => facts_object(into, &end.record()),
        Value::Hold(hold) => facts_object(into, &hold.record()),
        Value::Blocked(blocked) => facts_object(into, &blocked.record()),
        Value::Record(facts) => facts_object(into, facts),
    }
}

/// Text that is valid UTF-8 is a string; other bytes are `{"base64":"…"}`, so that none is lost.
fn bytes(into: &mut Vec<u8>, text: &Text) {
    match text.utf8() {
        Some(text) => string(into, text),
        None => {
            into.extend_from_slice(b"{\"base64\":");
            word(into, &data_encoding::BASE64.encode(text.raw()));
            into.push(b'}');
        }
    }
}

/// What a row is called in a gap.
fn name<T>(fields: &[&Field<T>], row: &T) -> String {
    let first = fields.iter().find(|field| matches!(field.key, "ref" | "name")).map(|field| field.value(row));
    match first {
        Some(Seen::Is(Value::Text(text))) => text.escaped().to_string(),
        Some(Seen::Is(Value::Ref(kind, id))) => format!("{}/{id}", kind.noun()),
        Some(Seen::Is(Value::Word(word))) => word.to_owned(),
        _ => String::new(),
    }
}

fn gap(into: &mut Vec<u8>, gap: &Gap) {
    let Gap { subject, field, reason: Reason { call, errno }, note } = gap;
    let errno = Errno::from_raw(*errno);
    let field = field.map_or(Seen::Absent, |field| Seen::Is(Value::Word(field)));
    facts_object(
        into,
        &[
            ("subject", Seen::Is(Value::Phrase(subject.clone()))),
            ("field", field),
            ("call", Seen::Is(Value::Word(call))),
            ("errno", Seen::Is(Value::Phrase(format!("{errno:?}")))),
            ("reason", Seen::Is(Value::Phrase(note.clone().unwrap_or_else(|| crate::error::describe(errno))))),
        ],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(facts: &[(&'static str, Seen<Value>)]) -> String {
        let mut text = Vec::new();
        record(&mut text, facts).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn strings_are_escaped_and_other_bytes_kept_in_base64() {
        let text = |bytes: &[u8]| Seen::Is(Value::Text(bytes.into()));
        assert_eq!(shown(&[("a", text(b"\x1b\"\n"))]), "{\"a\":\"\\u001b\\\"\\n\"}\n");
        assert_eq!(shown(&[("text", text(b"\xff"))]), "{\"base64\":\"/w==\"}\n");
        let list = Seen::Is(Value::List(vec![Value::Text(b"\xff"[..].into())]));
        assert_eq!(shown(&[("l", list)]), "{\"l\":[{\"base64\":\"/w==\"}]}\n");
    }

    #[test]
    fn each_kind_of_value_has_its_own_form() {
        let facts = [
            ("n", Seen::Is(Value::Count(u64::MAX))),
            ("i", Seen::Is(Value::Int(-1))),
            ("k", Seen::Is(Value::Key(-1))),
            ("m", Seen::Is(Value::Mode(0o44))),
            ("t", Seen::Is(Value::Time(0))),
            ("p", Seen::Is(Value::Percent(12.3456))),
            ("r", Seen::Is(Value::Ref(crate::model::Kind::Sem, 3))),
            ("none", Seen::Absent),
            ("no", Seen::hidden("open", 13)),
        ];
        let expected = r#"{"n":18446744073709551615,"i":-1,"k":"0xffffffff","m":"0044","t":"1970-01-01T00:00:00Z","p":12.35,"r":"sem/3","none":null,"no":null}"#;
        assert_eq!(shown(&facts).trim_end(), expected);
    }
}
