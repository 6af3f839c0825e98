//! Bytes that somebody else chose: names, command lines, paths, message text.
//!
//! They may hold escape sequences, newlines, right-to-left overrides or no valid UTF-8 at all, so
//! the type offers no `Display` and no `Deref`: a place that shows them must say `.escaped()`, a
//! place that hands them to the kernel or to a machine must say `.raw()`.

use std::fmt::{self, Write as _};
use std::sync::Arc;

/// Untrusted bytes. Cheap to clone: all clones share one allocation.
///
/// ```compile_fail
/// let name = ipcx::model::Text::from(&b"\x1b[2J"[..]);
/// println!("{name}"); // no Display: an escape sequence cannot slip through
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(Arc<[u8]>);

impl Text {
    /// The bytes as they are, for system calls and payload.
    pub fn raw(&self) -> &[u8] {
        &self.0
    }

    /// A form that is safe on a terminal and in a table; see [`Escaped`].
    pub fn escaped(&self) -> Escaped<'_> {
        Escaped(&self.0)
    }

    /// The text, when the bytes are valid UTF-8 (for JSON, which escapes by itself).
    pub fn utf8(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        Text(Arc::from(bytes))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        Text(Arc::from(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Arc::from(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped())
    }
}

/// Displays bytes with every control byte, bidirectional or zero-width control, line break and
/// invalid UTF-8 byte as `\xNN`, and the backslash as `\\`: `printf %b` gives the bytes back.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let text = chunk.valid();
            let mut plain = 0;
            for (at, c) in text.char_indices() {
                if c == '\\' || is_unsafe(c) {
                    f.write_str(&text[plain..at])?;
                    plain = at + c.len_utf8();
                    if c == '\\' {
                        f.write_str("\\\\")?;
                    } else {
                        escape(f, &text.as_bytes()[at..plain])?;
                    }
                }
            }
            f.write_str(&text[plain..])?;
            escape(f, chunk.invalid())?;
        }
        Ok(())
    }
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        f.write_str("\\x")?;
        f.write_char(HEX[usize::from(byte >> 4)] as char)?;
        f.write_char(HEX[usize::from(byte & 15)] as char)?;
    }
    Ok(())
}

/// Text of our own that may quote what nobody has escaped: as [`Escaped`], but for the backslash, which
/// stands in front of what was escaped before.
pub fn harmless(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut safe, c| {
        if is_unsafe(c) {
            safe.push_str(&Escaped(c.encode_utf8(&mut [0; 4]).as_bytes()).to_string());
        } else {
            safe.push(c);
        }
        safe
    })
}

/// Characters that move the cursor, change the direction of text, or show nothing at all.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        Text::from(bytes).escaped().to_string()
    }

    #[test]
    fn escape_sequences_and_line_breaks_are_shown_not_sent() {
        assert_eq!(shown(b"a\x1b[2Jb\r\n\t\x7f"), "a\\x1b[2Jb\\x0d\\x0a\\x09\\x7f");
    }

    #[test]
    fn c1_bidi_and_zero_width_controls_are_escaped_byte_by_byte() {
        assert_eq!(shown("x\u{9b}31m".as_bytes()), "x\\xc2\\x9b31m");
        assert_eq!(shown("a\u{202e}b\u{200b}c".as_bytes()), "a\\xe2\\x80\\xaeb\\xe2\\x80\\x8bc");
    }

    #[test]
    fn invalid_utf8_keeps_every_byte() {
        assert_eq!(shown(b"\xff\xc3(ok"), "\\xff\\xc3(ok");
    }

    #[test]
    fn ordinary_text_is_left_alone_and_the_backslash_is_unambiguous() {
        assert_eq!(shown("größe 日本".as_bytes()), "größe 日本");
        assert_eq!(shown(b"\\x1b"), "\\\\x1b");
    }
}
