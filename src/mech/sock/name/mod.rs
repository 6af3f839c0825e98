//! From an address as users write it to the names that the kernel takes, and back.

mod sys;

pub(super) use sys::{LONGEST_NAME, Name};

use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Address, Endpoint, SockType, Text};
use nix::errno::Errno;
use sys::{LookUp, Meaning};

/// The names of an address, in the order in which they are to be tried; at least one. `passive` is for a
/// socket that others come to.
pub(super) fn names(address: &Address, kind: SockType, passive: bool) -> Result<Vec<Name>> {
    match address {
        Address::Unix(path) => {
            fits(address, path, "path", "change to its directory and give a relative path (./name)")?;
            Ok(vec![Name::unix(path.raw(), false)])
        }
        Address::Abstract(name) => {
            fits(address, name, "abstract name", "choose a shorter one")?;
            Ok(vec![Name::unix(name.raw(), true)])
        }
        Address::Tcp(endpoint) | Address::Udp(endpoint) => {
            let found = sys::look_up(endpoint.host.raw(), endpoint.port.raw(), kind, passive);
            let mut names = found.map_err(|failed| unknown(failed, address, endpoint))?;
            if passive && endpoint.host.raw().is_empty() {
                // An IPv6 socket can take IPv4 too, so it goes first.
                names.sort_by_key(|name| name.family() != libc::AF_INET6);
            }
            Ok(names)
        }
    }
}

fn fits(address: &Address, name: &Text, what: &str, hint: &str) -> Result<()> {
    let length = name.raw().len();
    if length <= LONGEST_NAME {
        return Ok(());
    }
    let cause = format!("the {what} is {length} bytes, a socket takes at most {LONGEST_NAME}");
    let error = Error::new("bind", Errno::ENAMETOOLONG, address).because(cause);
    Err(error.with_status(Status::Limit).hinting(hint))
}

fn unknown(failed: LookUp, address: &Address, endpoint: &Endpoint) -> Error {
    match failed {
        LookUp::Errno(errno) => Error::new("getaddrinfo", errno, address),
        LookUp::Unknown(true) => {
            let cause = format!("there is no service `{}`", endpoint.port.escaped());
            Error::refused(address, Status::NoSuch, cause).hinting("give the number of the port")
        }
        LookUp::Unknown(false) => {
            let cause = format!("there is no host `{}`", endpoint.host.escaped());
            Error::refused(address, Status::NoSuch, cause)
        }
        LookUp::Other(words) => {
            let cause = format!("the host cannot be looked up: {}", Text::from(words.as_str()).escaped());
            Error::refused(address, Status::Failed, cause)
        }
    }
}

/// The address that a name stands for; `None` of a socket without one.
pub(super) fn address(name: &Name, kind: SockType) -> Option<Address> {
    match name.meaning() {
        Meaning::Path(path) => Some(Address::Unix(Text::from(path))),
        Meaning::Abstract(name) => Some(Address::Abstract(Text::from(name))),
        Meaning::Inet(at) => {
            let endpoint = Endpoint {
                host: Text::from(at.ip().to_string().as_str()),
                port: Text::from(at.port().to_string().as_str()),
            };
            Some(if kind == SockType::Datagram { Address::Udp(endpoint) } else { Address::Tcp(endpoint) })
        }
        Meaning::Nothing => None,
    }
}
