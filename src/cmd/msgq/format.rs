//! How a message is written.

use crate::mech::Tag;
use crate::model::{Seen, Text, Value};
use crate::render;
use clap::Args;
use std::io;

#[derive(Args, Clone, Copy, Debug)]
pub struct FormatArgs {
    /// The bytes alone, without a newline
    #[arg(long, group = "format")]
    raw: bool,

    /// A NUL after each message instead of a newline
    #[arg(short = '0', long, group = "format")]
    null: bool,

    /// Hexadecimal digits
    #[arg(long, group = "format")]
    hex: bool,

    /// One JSON object a line: type or priority, size, and text or base64
    #[arg(long, group = "format")]
    json: bool,
}

/// The form of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// The payload and a newline.
    Line,
    Raw,
    Null,
    Hex,
    Json,
}

impl FormatArgs {
    pub fn format(self) -> Format {
        match self {
            FormatArgs { raw: true, .. } => Format::Raw,
            FormatArgs { null: true, .. } => Format::Null,
            FormatArgs { hex: true, .. } => Format::Hex,
            FormatArgs { json: true, .. } => Format::Json,
            _ => Format::Line,
        }
    }
}

impl Format {
    /// What follows the payload, for the forms that are the payload itself.
    pub fn tail(self) -> Option<&'static [u8]> {
        match self {
            Format::Line => Some(b"\n"),
            Format::Raw => Some(b""),
            Format::Null => Some(b"\0"),
            Format::Hex | Format::Json => None,
        }
    }

    /// Appends a message in this form; JSON has its position too where there is one.
    pub fn write(self, into: &mut Vec<u8>, position: Option<u64>, tag: Tag, message: &[u8]) -> io::Result<()> {
        match self {
            Format::Hex => {
                into.extend_from_slice(data_encoding::HEXLOWER.encode(message).as_bytes());
                into.push(b'\n');
            }
            Format::Json => {
                let mut record = Vec::with_capacity(4);
                record.extend(position.map(|position| ("position", Seen::Is(Value::Count(position)))));
                record.push(match tag {
                    Tag::Type(kind) => ("type", Seen::Is(Value::Int(kind))),
                    Tag::Priority(priority) => ("priority", Seen::Is(Value::Count(priority.into()))),
                });
                record.push(("size", Seen::Is(Value::Count(message.len() as u64))));
                record.push(("text", Seen::Is(Value::Text(Text::from(message)))));
                render::json_record(into, &record)?;
            }
            Format::Line | Format::Raw | Format::Null => {
                into.extend_from_slice(message);
                into.extend_from_slice(self.tail().unwrap_or_default());
            }
        }
        Ok(())
    }
}
