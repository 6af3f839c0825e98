//! The unix socket that a call names: a struct sockaddr_un, unix(7).

use super::{Look, open};
use crate::model::{SocketName, Text};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// sizeof(struct sockaddr_un).
const MOST: usize = 110;

/// Where the name begins, behind the family.
const NAME: usize = 2;

impl Look<'_> {
    /// The name at an address; `None` of another family, or if nothing has it for the process.
    pub(super) fn socket_name(&self, address: u64, length: u64) -> Option<SocketName> {
        let length = usize::try_from(length & 0xffff_ffff).ok()?;
        if address == 0 || length > MOST {
            return None;
        }
        let mut bytes = [0; MOST];
        self.target.memory()?.fill(address, &mut bytes[..length])?;
        match name(&bytes[..length])? {
            Name::Abstract(name) => Some(SocketName::Abstract(Text::from(name))),
            Name::Path(path) => {
                let path = Path::new(OsStr::from_bytes(path));
                let stat = self.target.stat(open::through(self.thread, libc::AT_FDCWD, path)).ok()?;
                Some(SocketName::File { dev: stat.st_dev, ino: stat.st_ino })
            }
        }
    }

    /// The same of a struct msghdr, which begins with the address and its length.
    pub(super) fn message_name(&self, header: u64) -> Option<SocketName> {
        let memory = self.target.memory()?;
        self.socket_name(memory.u64(header)?, memory.u64(header.checked_add(8)?)?)
    }
}

#[derive(PartialEq, Eq, Debug)]
enum Name<'a> {
    Path(&'a [u8]),
    Abstract(&'a [u8]),
}

/// A path ends at a NUL, an abstract name at the end of the address.
fn name(address: &[u8]) -> Option<Name<'_>> {
    let family = u16::from_ne_bytes(*address.first_chunk()?);
    if i32::from(family) != libc::AF_UNIX {
        return None;
    }
    match &address[NAME..] {
        [] => None,
        [0, name @ ..] => Some(Name::Abstract(name)),
        path => Some(Name::Path(path.split(|byte| *byte == 0).next().unwrap_or(path))),
    }
}

#[cfg(any(test, fuzzing))]
pub(super) fn probe(bytes: &[u8]) {
    std::hint::black_box(name(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_path_or_abstract() {
        let address = |family: i32, name: &[u8]| [&u16::try_from(family).unwrap().to_ne_bytes(), name].concat();
        assert_eq!(name(&address(libc::AF_UNIX, b"/run/a\0bc")), Some(Name::Path(b"/run/a")));
        assert_eq!(name(&address(libc::AF_UNIX, b"./a")), Some(Name::Path(b"./a")));
        assert_eq!(name(&address(libc::AF_UNIX, b"\0a\0b\0")), Some(Name::Abstract(b"a\0b\0")));
        assert_eq!(name(&address(libc::AF_UNIX, b"")), None);
        assert_eq!(name(&address(libc::AF_INET, b"\x1f\x90\x7f\0\0\x01")), None);
        assert_eq!((name(b""), name(b"\x01")), (None, None));
    }
}
