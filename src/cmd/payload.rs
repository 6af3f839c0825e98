//! How a message is written, for every noun that has messages.

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

    /// One JSON object a line: what is known of the message, its size, and text or base64
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

/// What is known of a message besides its bytes.
pub type Known = Vec<(&'static str, Seen<Value>)>;

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

    /// Appends a message in this form; JSON begins with what is `known` of it, which is asked for then
    /// alone.
    pub fn write(self, into: &mut Vec<u8>, known: impl FnOnce() -> Known, message: &[u8]) -> io::Result<()> {
        match self {
            Format::Hex => {
                into.extend_from_slice(data_encoding::HEXLOWER.encode(message).as_bytes());
                into.push(b'\n');
            }
            Format::Json => {
                let mut record = known();
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
