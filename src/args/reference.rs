//! References: how an object is named on the command line.

use super::live::live;
use crate::model::{Ident, Kind, Naming, ObjectRef, Text};
use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::fmt::Debug;
use std::os::unix::ffi::OsStrExt as _;

const FORMS: &str = "a reference is an identifier (65536), a key (0x4d2, key/1234, ftok/PATH), a POSIX name (/name)";

/// The longest file name; named semaphores lose four bytes of it to glibc's prefix.
const NAME_MAX: usize = 255;

/// Reads a reference. Under a noun the kind is known and may still be written in front.
pub fn parse(text: &[u8], noun: Option<Kind>) -> Result<ObjectRef, String> {
    let shown = Text::from(text);
    if text.contains(&0) {
        return Err("a reference cannot hold a NUL byte".to_owned());
    }
    let slash = text.iter().position(|byte| *byte == b'/').filter(|at| *at > 0);
    let front = slash.and_then(|at| Some((Kind::from_noun(&text[..at])?, &text[at + 1..])));
    match (noun, front) {
        (None, None) => {
            if let Some(word) = slash.map(|at| &text[..at]).filter(|word| word.iter().all(u8::is_ascii_alphabetic)) {
                let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.noun()).collect();
                let word = Text::from(word);
                return Err(format!("there is no kind `{}`; kinds are {}", word.escaped(), kinds.join(", ")));
            }
            let shown = shown.escaped();
            let kinds: &[&str] = match text {
                [b'@', ..] => &["sock"],
                [b'/', name @ ..] if !name.contains(&b'/') => &["shm", "msgq", "sem"],
                _ if text.contains(&b'/') => &["fifo", "sock", "shm"],
                _ => &["shm", "msgq", "sem"],
            };
            let written: Vec<String> = kinds.iter().map(|kind| format!("{kind}/{shown}")).collect();
            Err(format!("`{shown}` does not say its kind; write it in front: {}", written.join(" or ")))
        }
        (None, Some((kind, rest))) => ident(rest, kind).map(|id| ObjectRef { kind, id }),
        (Some(noun), Some((kind, rest))) if kind == noun => match ident(rest, noun) {
            // A path such as shm/data.bin may begin with the word.
            Err(_) => ident(text, noun).map(|id| ObjectRef { kind: noun, id }),
            Ok(id) => Ok(ObjectRef { kind: noun, id }),
        },
        (Some(noun), Some((kind, _))) => {
            Err(format!("`{}` names {}, and this command is about {}", shown.escaped(), kind.title(), noun.title()))
        }
        (Some(noun), None) => ident(text, noun).map(|id| ObjectRef { kind: noun, id }),
    }
}

fn ident(text: &[u8], kind: Kind) -> Result<Ident, String> {
    let shown = Text::from(text);
    let naming = kind.naming();
    let forms = match naming {
        Naming::Key => FORMS.to_owned(),
        Naming::KeyOrPath => format!("{FORMS} or a path with another slash (./data.bin)"),
        Naming::Path => return path(text).map(Ident::Path),
        Naming::Socket => return socket(text),
        Naming::Inode => {
            let what = kind.title();
            return number(text).ok_or_else(|| {
                format!(
                    "`{}` is no number; {what} have no names but numbers: `ipcx ls {}`",
                    shown.escaped(),
                    kind.noun()
                )
            });
        }
    };
    let utf8 = std::str::from_utf8(text).unwrap_or("");
    if !utf8.is_empty() && utf8.bytes().all(|byte| byte.is_ascii_digit()) {
        return utf8.parse().map(Ident::Id).map_err(|_| format!("{utf8} is no identifier; they are 0 to {}", i32::MAX));
    }
    if utf8.starts_with("0x") || utf8.starts_with("0X") {
        return key(utf8);
    }
    if let Some(number) = utf8.strip_prefix("key/") {
        return key(number);
    }
    if let Some(rest) = text.strip_prefix(b"ftok/") {
        return ftok(rest);
    }
    match text.strip_prefix(b"/") {
        Some(name) if !name.contains(&b'/') => posix(name, kind).map(|()| Ident::Name(shown)),
        _ if text.contains(&b'/') && naming == Naming::KeyOrPath => Ok(Ident::Path(shown)),
        _ => Err(format!("`{}` is no reference; {forms}", shown.escaped())),
    }
}

fn path(text: &[u8]) -> Result<Text, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(text.into()) }
}

fn number(text: &[u8]) -> Option<Ident> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().map(Ident::Inode)
}

/// A path, the name of an abstract socket or the inode number of one without a name.
fn socket(text: &[u8]) -> Result<Ident, String> {
    match text {
        b"@" => Err("an abstract name has something after its `@`".to_owned()),
        [b'@', ..] => Ok(Ident::Abstract(text.into())),
        _ => number(text).map_or_else(|| path(text).map(Ident::Path), Ok),
    }
}

/// A key in decimal (also signed, as /proc/sysvipc prints it), hexadecimal or octal.
fn key(text: &str) -> Result<Ident, String> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let lower = digits.to_ascii_lowercase();
    let number = if let Some(hex) = lower.strip_prefix("0x") {
        (!hex.starts_with(['+', '-'])).then(|| i64::from_str_radix(hex, 16).ok()).flatten()
    } else if lower.len() > 1 && lower.starts_with('0') {
        i64::from_str_radix(&lower, 8).ok()
    } else if lower.bytes().all(|byte| byte.is_ascii_digit()) {
        lower.parse().ok()
    } else {
        None
    };
    let number = number.map(|number| if negative { -number } else { number });
    match number {
        Some(0) => {
            Err("key 0 is IPC_PRIVATE and names no object; `create` without a reference makes a private one".to_owned())
        }
        Some(number @ -0x8000_0000..=0xffff_ffff) => {
            // A key is 32 bits; 0xffffffff and -1 are the same one.
            #[allow(clippy::cast_possible_truncation)]
            Ok(Ident::Key(number as i32))
        }
        _ => Err(format!("`{}` is no key; keys are 32 bits: 0x1 to 0xffffffff", Text::from(text).escaped())),
    }
}

/// `PATH[,PROJ]`: the project is one character or a number from 1 to 255.
pub fn ftok(text: &[u8]) -> Result<Ident, String> {
    let comma = text.iter().rposition(|byte| *byte == b',');
    let suffix = comma.map_or(&b"x"[..], |at| &text[at + 1..]);
    if suffix.iter().all(u8::is_ascii_digit) && project(suffix).is_none() {
        return Err("a project is one character or a number from 1 to 255: ftok/PATH,PROJ".to_owned());
    }
    let split = comma.and_then(|at| project(&text[at + 1..]).map(|project| (&text[..at], project)));
    let (path, project) = split.unwrap_or((text, 1));
    if path.is_empty() {
        return Err("ftok/ wants a path: ftok/PATH or ftok/PATH,PROJ".to_owned());
    }
    Ok(Ident::Ftok(path.into(), project))
}

/// A project of ftok(3): a number from 1 to 255 or one character.
pub fn project(text: &[u8]) -> Option<u8> {
    match text {
        [digit @ b'1'..=b'9'] => Some(digit - b'0'),
        [one] if !one.is_ascii_digit() => Some(*one),
        _ => std::str::from_utf8(text)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?
            .parse()
            .ok()
            .filter(|n| *n > 0),
    }
}

fn posix(name: &[u8], kind: Kind) -> Result<(), String> {
    let longest = if kind == Kind::Sem { NAME_MAX - 4 } else { NAME_MAX };
    match name {
        b"" => Err("a POSIX name has something after its slash".to_owned()),
        b"." | b".." => Err("`/.` and `/..` are no POSIX names".to_owned()),
        name if name.len() > longest => {
            Err(format!("a name of {} bytes is too long; the longest has {longest}", name.len()))
        }
        _ => Ok(()),
    }
}

/// A value parser for references under a noun, or across all kinds.
pub fn parser(noun: Option<Kind>) -> impl TypedValueParser<Value = ObjectRef> {
    OsStringValueParser::new().try_map(move |text| parse(text.as_bytes(), noun))
}

/// One or more references.
pub trait Refs: Args + Debug + Clone {
    /// The noun that they stand under, if it is one.
    const KIND: Option<Kind>;
    fn list(&self) -> &[ObjectRef];
}

macro_rules! references {
    ($one:ident, $many:ident, $kind:expr, $help:literal) => {
        #[derive(Args, Clone, Debug)]
        pub struct $one {
            #[arg(value_name = "REF", help = $help, value_parser = parser($kind), add = live($kind))]
            pub reference: ObjectRef,
        }

        #[derive(Args, Clone, Debug)]
        pub struct $many {
            #[arg(value_name = "REF", help = $help, required = true, value_parser = parser($kind), add = live($kind))]
            references: Vec<ObjectRef>,
        }

        impl Refs for $many {
            const KIND: Option<Kind> = $kind;

            fn list(&self) -> &[ObjectRef] {
                &self.references
            }
        }
    };
}

references!(ShmRef, ShmRefs, Some(Kind::Shm), "Segment: 65536, 0x4d2, key/1234, ftok/PATH, /name or ./file");
references!(MsgqRef, MsgqRefs, Some(Kind::Msgq), "Queue: 65536, 0x4d2, key/1234, ftok/PATH or /name");
references!(SemRef, SemRefs, Some(Kind::Sem), "Semaphore: 65536, 0x4d2, key/1234, ftok/PATH or /name");
references!(FifoRef, FifoRefs, Some(Kind::Fifo), "FIFO: a path");
references!(SockRef, SockRefs, Some(Kind::Sock), "Socket: a path, @name, or the inode number of one without a name");
references!(AnyRef, AnyRefs, None, "Object, its kind in front: msgq/0x4d2, shm//frames, fifo/./jobs, sock/@svc");

/// References of any kind, or none.
#[derive(Args, Clone, Debug)]
pub struct SomeRefs {
    /// Only these objects, the kind in front: msgq/0x4d2, shm//frames
    #[arg(value_name = "REF", value_parser = parser(None))]
    pub references: Vec<ObjectRef>,
}

/// An object, or all of a kind.
#[derive(Clone, Debug)]
pub enum KindOrRef {
    Kind(Kind),
    Ref(ObjectRef),
}

/// Objects and kinds, one or more.
#[derive(Args, Clone, Debug)]
pub struct KindsOrRefs {
    /// Object, its kind in front (msgq/0x4d2, shm//frames), or all objects of a kind: shm, msgq, sem
    #[arg(value_name = "REF|KIND", required = true, value_parser = kind_or_ref(), add = live(None))]
    pub list: Vec<KindOrRef>,
}

fn kind_or_ref() -> impl TypedValueParser<Value = KindOrRef> {
    OsStringValueParser::new().try_map(|text| {
        let kind = Kind::from_noun(text.as_bytes()).filter(|kind| Kind::LASTING.contains(kind));
        kind.map_or_else(|| parse(text.as_bytes(), None).map(KindOrRef::Ref), |kind| Ok(KindOrRef::Kind(kind)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn under(kind: Kind, text: &str) -> Result<Ident, String> {
        parse(text.as_bytes(), Some(kind)).map(|reference| reference.id)
    }

    #[test]
    fn every_form_of_the_grammar() {
        assert_eq!(under(Kind::Msgq, "0"), Ok(Ident::Id(0)));
        assert_eq!(under(Kind::Msgq, "65536"), Ok(Ident::Id(65536)));
        assert_eq!(under(Kind::Msgq, "0x4d2"), Ok(Ident::Key(1234)));
        assert_eq!(under(Kind::Msgq, "0xffffffff"), Ok(Ident::Key(-1)));
        assert_eq!(under(Kind::Msgq, "key/1234"), Ok(Ident::Key(1234)));
        assert_eq!(under(Kind::Msgq, "key/02322"), Ok(Ident::Key(1234)));
        assert_eq!(under(Kind::Msgq, "key/-794880278"), Ok(Ident::Key(-794_880_278)));
        assert_eq!(under(Kind::Msgq, "ftok/."), Ok(Ident::Ftok(".".into(), 1)));
        assert_eq!(under(Kind::Msgq, "ftok/a,b,c"), Ok(Ident::Ftok("a,b".into(), b'c')));
        assert_eq!(under(Kind::Msgq, "ftok/a,255"), Ok(Ident::Ftok("a".into(), 255)));
        assert_eq!(under(Kind::Sem, "/lock"), Ok(Ident::Name("/lock".into())));
        assert_eq!(under(Kind::Shm, "./data.bin"), Ok(Ident::Path("./data.bin".into())));
        assert_eq!(under(Kind::Shm, "shm/data.bin"), Ok(Ident::Path("shm/data.bin".into())));
        assert_eq!(under(Kind::Shm, "shm/7"), Ok(Ident::Id(7)));
        assert_eq!(parse(b"shm//frames", None).unwrap().id, Ident::Name("/frames".into()));
        assert_eq!(under(Kind::Fifo, "jobs"), Ok(Ident::Path("jobs".into())));
        assert_eq!(under(Kind::Fifo, "fifo/./jobs"), Ok(Ident::Path("./jobs".into())));
        assert_eq!(under(Kind::Sock, "/run/s"), Ok(Ident::Path("/run/s".into())));
        assert_eq!(under(Kind::Sock, "@svc"), Ok(Ident::Abstract("@svc".into())));
        assert_eq!(parse(b"sock/4711", None).unwrap().id, Ident::Inode(4711));
        assert_eq!(parse(b"pipe/18446744073709551615", None).unwrap().id, Ident::Inode(u64::MAX));
        assert_eq!(parse(b"sem/3", None).unwrap(), ObjectRef { kind: Kind::Sem, id: Ident::Id(3) });
    }

    #[test]
    fn numbers_that_do_not_fit_are_errors_and_never_another_object() {
        for text in [
            "4294967296",
            "2147483648",
            "99999999999999999999",
            "0x100000001",
            "key/4294967297",
            "key/-2147483649",
            "0x",
            "0x-1",
            "key/",
            "key/+1",
            "key/0x",
        ] {
            assert!(under(Kind::Msgq, text).is_err(), "{text}");
        }
    }

    #[test]
    fn key_zero_is_refused_in_every_spelling() {
        for text in ["0x0", "key/0", "key/00", "0x00000000", "key/-0"] {
            assert!(under(Kind::Sem, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_fits_no_form_says_which_there_are() {
        assert!(under(Kind::Msgq, "abc").unwrap_err().contains("a reference is"));
        assert!(under(Kind::Msgq, "a/b").unwrap_err().contains("a reference is"));
        assert!(under(Kind::Msgq, "").is_err());
        assert!(under(Kind::Msgq, "-1").is_err());
        assert!(under(Kind::Msgq, "sem/3").unwrap_err().contains("semaphores"));
        assert!(parse(b"65536", None).unwrap_err().contains("kind"));
        assert!(parse(b"door/./x", None).unwrap_err().contains("no kind `door`"));
        assert!(under(Kind::Pipe, "x").unwrap_err().contains("no number"));
        assert!(under(Kind::Pipe, "18446744073709551616").is_err());
        for (kind, text) in [(Kind::Fifo, ""), (Kind::Sock, ""), (Kind::Sock, "@"), (Kind::Memfd, "")] {
            assert!(under(kind, text).is_err(), "{kind:?} {text}");
        }
        assert!(under(Kind::Msgq, "ftok/.,256").unwrap_err().contains("1 to 255"));
        assert!(under(Kind::Msgq, "ftok/.,").unwrap_err().contains("1 to 255"));
    }

    #[test]
    fn posix_names_are_checked_before_the_kernel_sees_them() {
        for text in ["/", "/.", "/.."] {
            assert!(under(Kind::Shm, text).is_err(), "{text}");
        }
        assert!(under(Kind::Shm, &format!("/{}", "x".repeat(255))).is_ok());
        assert!(under(Kind::Shm, &format!("/{}", "x".repeat(256))).is_err());
        assert!(under(Kind::Sem, &format!("/{}", "x".repeat(252))).is_err());
    }
}
