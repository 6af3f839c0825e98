//! `NAME=KIND[,ARG]…`: an object that is made for a command.

use super::units;
use crate::inventory::scoped::{Naming, Shape, Wanted};
use crate::model::{Escaped, Kind};

const FORMS: &str =
    "write NAME=shm,SIZE[,posix], NAME=msgq[,MAX_BYTES], NAME=msgq,posix, NAME=sem[,VALUE]…[,posix] or NAME=fifo";

/// Names become parts of the names of objects, which may have 255 bytes.
const LONGEST: usize = 128;

/// Reads `jobs=msgq`, `buf=shm,64K`, `lock=sem,1,posix`, `log=fifo`.
pub fn wanted(text: &str) -> Result<Wanted, String> {
    let (name, rest) = text.split_once('=').ok_or(FORMS)?;
    variable(name)?;
    let mut words: Vec<&str> = rest.split(',').collect();
    let posix = words.len() > 1 && words.last() == Some(&"posix");
    if posix {
        words.pop();
    }
    let system_v_or_posix = if posix { Naming::Name } else { Naming::Key };
    let (kind, naming, shape) = match words[..] {
        ["shm", size] => {
            let size = units::size(size)?;
            if size == 0 {
                return Err("a segment has at least 1 byte".to_owned());
            }
            (Kind::Shm, system_v_or_posix, Shape::Region { size })
        }
        ["shm"] => return Err("shared memory wants a size: NAME=shm,64K".to_owned()),
        ["sem", ref values @ ..] => {
            let values =
                if values.is_empty() { vec![0] } else { values.iter().map(value).collect::<Result<_, _>>()? };
            if posix && values.len() > 1 {
                return Err("a POSIX semaphore is one counter; a System V set can have several".to_owned());
            }
            (Kind::Sem, system_v_or_posix, Shape::Counter { values })
        }
        ["msgq"] => (Kind::Msgq, system_v_or_posix, Shape::Channel { max_bytes: None }),
        ["msgq", _] if posix => {
            return Err("a POSIX queue is bounded by messages and their size, not in bytes".to_owned());
        }
        ["msgq", max_bytes] => (Kind::Msgq, Naming::Key, Shape::Channel { max_bytes: Some(units::size(max_bytes)?) }),
        ["fifo"] if !posix => (Kind::Fifo, Naming::Path, Shape::Stream),
        ["shm" | "msgq" | "fifo", ..] => return Err(FORMS.to_owned()),
        _ => {
            let kind = Escaped(words[0].as_bytes());
            return Err(format!("there is no kind `{kind}` here; kinds are shm, msgq, sem and fifo"));
        }
    };
    Ok(Wanted { name: name.to_owned(), kind, naming, shape })
}

/// Whether shells take it for a variable.
fn variable(name: &str) -> Result<(), String> {
    let valid =
        |(at, byte): (usize, u8)| byte == b'_' || byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
    if name.is_empty() || name.len() > LONGEST || !name.bytes().enumerate().all(valid) {
        let name = Escaped(name.as_bytes());
        return Err(format!("`{name}` is no name of a variable: letters, digits and _, at most {LONGEST} of them"));
    }
    Ok(())
}

fn value(text: &&str) -> Result<u32, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let value = digits.then(|| text.parse().ok()).flatten();
    value.ok_or_else(|| format!("`{}` is no value of a semaphore", Escaped(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(text: &str, kind: Kind, naming: Naming, shape: Shape) {
        let name = text.split('=').next().unwrap().to_owned();
        assert_eq!(wanted(text), Ok(Wanted { name, kind, naming, shape }), "{text}");
    }

    #[test]
    fn every_kind_has_its_arguments() {
        is("buf=shm,64K", Kind::Shm, Naming::Key, Shape::Region { size: 65536 });
        is("_b2=shm,1,posix", Kind::Shm, Naming::Name, Shape::Region { size: 1 });
        is("jobs=msgq", Kind::Msgq, Naming::Key, Shape::Channel { max_bytes: None });
        is("jobs=msgq,1K", Kind::Msgq, Naming::Key, Shape::Channel { max_bytes: Some(1024) });
        is("jobs=msgq,posix", Kind::Msgq, Naming::Name, Shape::Channel { max_bytes: None });
        is("lock=sem", Kind::Sem, Naming::Key, Shape::Counter { values: vec![0] });
        is("lock=sem,1,0,7", Kind::Sem, Naming::Key, Shape::Counter { values: vec![1, 0, 7] });
        is("lock=sem,3,posix", Kind::Sem, Naming::Name, Shape::Counter { values: vec![3] });
        is("lock=sem,posix", Kind::Sem, Naming::Name, Shape::Counter { values: vec![0] });
        is("LOG=fifo", Kind::Fifo, Naming::Path, Shape::Stream);
    }

    #[test]
    fn what_is_malformed_is_an_error() {
        for text in [
            "",
            "=",
            "=msgq",
            "jobs",
            "jobs=",
            "jobs=queue",
            "jobs=sock",
            "jobs=posix",
            "jobs=MSGQ",
            "jobs=msgq ",
            "1a=msgq",
            "a-b=msgq",
            "a b=msgq",
            "ä=msgq",
            "a/b=fifo",
            "a=shm",
            "a=shm,",
            "a=shm,0",
            "a=shm,-1",
            "a=shm,posix",
            "a=shm,1,2",
            "a=shm,16E",
            "a=shm,1,posix,posix",
            "a=sem,",
            "a=sem,+1",
            "a=sem,-1",
            "a=sem,x",
            "a=sem,4294967296",
            "a=sem,1,1,posix",
            "a=sem,1,posix,2",
            "a=msgq,",
            "a=msgq,1,2",
            "a=msgq,1,posix",
            "a=fifo,",
            "a=fifo,posix",
            "a=fifo,./x",
            "a==msgq",
            "a=msgq=1",
        ] {
            assert!(wanted(text).is_err(), "{text}");
        }
        assert!(wanted(&format!("{}=msgq", "a".repeat(129))).is_err());
        assert!(wanted(&format!("{}=msgq", "a".repeat(128))).is_ok());
    }
}
