//! Bytes in hexadecimal and as text, sixteen to a line, as hexdump -C shows them.

use owo_colors::OwoColorize as _;
use std::fmt::Write as _;

pub const WIDTH: usize = 16;

/// Appends one line. Bytes that `changed` marks stand out, by colour where there is colour.
pub fn line(into: &mut String, offset: u64, bytes: &[u8], changed: &[bool], color: bool) {
    let _ = write!(into, "{offset:08x} ");
    for at in 0..WIDTH {
        into.push_str(if at == WIDTH / 2 { "  " } else { " " });
        match bytes.get(at) {
            Some(byte) if color && changed.get(at) == Some(&true) => {
                let hex = format!("{byte:02x}");
                let _ = write!(into, "{}", hex.reversed());
            }
            Some(byte) => drop(write!(into, "{byte:02x}")),
            None => into.push_str("  "),
        }
    }
    into.push_str("  |");
    into.extend(bytes.iter().map(|byte| if matches!(byte, 0x20..0x7f) { *byte as char } else { '.' }));
    into.push_str("|\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_hexdump_shows() {
        let mut text = String::new();
        line(&mut text, 16, b"hello\x1b[2J\n", &[], true);
        assert_eq!(text, "00000010  68 65 6c 6c 6f 1b 5b 32  4a 0a                    |hello.[2J.|\n");
    }

    #[test]
    fn changed_bytes_stand_out_only_with_colour() {
        let (mut plain, mut colored) = (String::new(), String::new());
        line(&mut plain, 0, b"ab", &[false, true], false);
        line(&mut colored, 0, b"ab", &[false, true], true);
        assert!(!plain.contains('\x1b'));
        assert!(colored.contains("\x1b[7m62"));
    }
}
