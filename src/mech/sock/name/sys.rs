//! Socket addresses as the kernel takes them, and the look-up of hosts and services.
#![allow(unsafe_code)]
// Families and lengths of addresses are small numbers of the C library.
#![allow(clippy::cast_possible_truncation)]

use super::super::sys::number;
use crate::model::SockType;
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ptr;

/// The bytes of a path or of an abstract name: sun_path without a NUL (unix(7)).
pub(in crate::mech::sock) const LONGEST_NAME: usize = 107;

/// Bytes in front of sun_path.
const HEAD: usize = std::mem::offset_of!(libc::sockaddr_un, sun_path);

/// A socket address as the calls take it.
#[derive(Clone, Copy)]
pub(in crate::mech::sock) struct Name {
    pub(in crate::mech::sock) storage: libc::sockaddr_storage,
    pub(in crate::mech::sock) length: libc::socklen_t,
}

/// What a [`Name`] says.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mech::sock) enum Meaning<'a> {
    Path(&'a [u8]),
    Abstract(&'a [u8]),
    Inet(SocketAddr),
    /// A unix socket without a name, or a family that we do not know.
    Nothing,
}

impl Name {
    pub(in crate::mech::sock) fn empty() -> Name {
        // SAFETY: all bytes zero is a valid sockaddr_storage.
        Name { storage: unsafe { MaybeUninit::zeroed().assume_init() }, length: 0 }
    }

    /// A name of unix(7); the caller has looked at its length.
    pub(in crate::mech::sock) fn unix(path: &[u8], is_abstract: bool) -> Name {
        assert!(path.len() <= LONGEST_NAME);
        let mut name = Name::empty();
        name.storage.ss_family = libc::AF_UNIX as libc::sa_family_t;
        let start = HEAD + usize::from(is_abstract);
        // SAFETY: sockaddr_storage is larger than sockaddr_un, which has room for 107 bytes behind
        // the first of sun_path; the two places do not overlap.
        unsafe {
            let place = (&raw mut name.storage).cast::<u8>().add(start);
            ptr::copy_nonoverlapping(path.as_ptr(), place, path.len());
        }
        // The NUL behind a path counts, one behind an abstract name would belong to it.
        name.length = libc::socklen_t::try_from(HEAD + path.len() + 1).unwrap_or(0);
        name
    }

    /// Bound to this, a socket gets an abstract name that nobody else has: unix(7), autobind.
    pub(in crate::mech::sock) fn any_unix() -> Name {
        let mut name = Name::empty();
        name.storage.ss_family = libc::AF_UNIX as libc::sa_family_t;
        name.length = HEAD as libc::socklen_t;
        name
    }

    #[cfg(test)]
    fn inet(address: SocketAddr) -> Name {
        let mut name = Name::empty();
        match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                // SAFETY: sockaddr_storage is larger than sockaddr_in and aligned for it.
                unsafe { (&raw mut name.storage).cast::<libc::sockaddr_in>().write(raw) };
                name.length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: v6.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { (&raw mut name.storage).cast::<libc::sockaddr_in6>().write(raw) };
                name.length = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        name
    }

    pub(in crate::mech::sock) fn family(&self) -> libc::c_int {
        self.storage.ss_family.into()
    }

    pub(in crate::mech::sock) fn pointer(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub(in crate::mech::sock) fn meaning(&self) -> Meaning<'_> {
        let length = (self.length as usize).min(size_of::<libc::sockaddr_storage>());
        if length < HEAD {
            return Meaning::Nothing;
        }
        match self.family() {
            libc::AF_UNIX => {
                // SAFETY: the first `length` bytes of the storage are initialised.
                let bytes = unsafe { std::slice::from_raw_parts(self.pointer().cast::<u8>(), length) };
                match &bytes[HEAD..] {
                    [] => Meaning::Nothing,
                    [0, name @ ..] => Meaning::Abstract(name),
                    path => Meaning::Path(path.split(|byte| *byte == 0).next().unwrap_or_default()),
                }
            }
            libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
                // SAFETY: the storage holds a sockaddr_in and is aligned for it.
                let raw = unsafe { &*self.pointer().cast::<libc::sockaddr_in>() };
                let address = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
                Meaning::Inet(SocketAddr::new(IpAddr::V4(address), u16::from_be(raw.sin_port)))
            }
            libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
                // SAFETY: the storage holds a sockaddr_in6 and is aligned for it.
                let raw = unsafe { &*self.pointer().cast::<libc::sockaddr_in6>() };
                let (address, port) = (Ipv6Addr::from(raw.sin6_addr.s6_addr), u16::from_be(raw.sin6_port));
                Meaning::Inet(match address.to_ipv4_mapped() {
                    Some(v4) => SocketAddr::new(IpAddr::V4(v4), port),
                    None => SocketAddrV6::new(address, port, 0, raw.sin6_scope_id).into(),
                })
            }
            _ => Meaning::Nothing,
        }
    }
}

/// Why a name could not be looked up.
pub(in crate::mech::sock) enum LookUp {
    Errno(Errno),
    /// There is no such host or service: true for a service.
    Unknown(bool),
    /// In the words of gai_strerror(3).
    Other(String),
}

/// The addresses of a host and a port, getaddrinfo(3). Without a host, all addresses of the machine if
/// `passive`, else its loopback ones. A look-up that asks the network cannot be interrupted.
pub(in crate::mech::sock) fn look_up(
    host: &[u8],
    port: &[u8],
    kind: SockType,
    passive: bool,
) -> Result<Vec<Name>, LookUp> {
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| LookUp::Errno(Errno::EINVAL));
    let (node, service) = (text(host)?, text(port)?);
    let mut found: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: all bytes zero is a valid addrinfo of hints; the strings end with NUL and outlive the call;
    // the list that it gives is walked before it is freed, and its addresses are as long as they say.
    unsafe {
        let mut hints: libc::addrinfo = MaybeUninit::zeroed().assume_init();
        hints.ai_family = libc::AF_UNSPEC;
        hints.ai_socktype = number(kind);
        hints.ai_flags = if passive { libc::AI_PASSIVE } else { 0 };
        let node = if host.is_empty() { ptr::null() } else { node.as_ptr() };
        match libc::getaddrinfo(node, service.as_ptr(), &raw const hints, &raw mut found) {
            0 => {}
            libc::EAI_SYSTEM => return Err(LookUp::Errno(Errno::last())),
            libc::EAI_NONAME => return Err(LookUp::Unknown(host.is_empty())),
            libc::EAI_SERVICE => return Err(LookUp::Unknown(true)),
            code => {
                let words = CStr::from_ptr(libc::gai_strerror(code)).to_string_lossy().into_owned();
                return Err(LookUp::Other(words));
            }
        }
        let mut names = Vec::new();
        let mut at = found;
        while let Some(info) = at.as_ref() {
            let mut name = Name::empty();
            name.length = info.ai_addrlen.min(size_of::<libc::sockaddr_storage>() as libc::socklen_t);
            let place = (&raw mut name.storage).cast::<u8>();
            ptr::copy_nonoverlapping(info.ai_addr.cast::<u8>(), place, name.length as usize);
            names.push(name);
            at = info.ai_next;
        }
        libc::freeaddrinfo(found);
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_what_it_was_made_of() {
        assert_eq!(Name::unix(b"/run/x", false).meaning(), Meaning::Path(b"/run/x"));
        assert_eq!(Name::unix(b"a\0b", true).meaning(), Meaning::Abstract(b"a\0b"));
        assert_eq!(Name::unix(&[b'x'; LONGEST_NAME], false).meaning(), Meaning::Path(&[b'x'; LONGEST_NAME]));
        assert_eq!(Name::unix(&[b'x'; LONGEST_NAME], true).meaning(), Meaning::Abstract(&[b'x'; LONGEST_NAME]));
        for text in ["127.0.0.1:80", "[::1]:65535", "[fe80::1%3]:7"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::inet(address).meaning(), Meaning::Inet(address));
        }
        assert_eq!(
            Name::inet("[::ffff:10.0.0.1]:5".parse().unwrap()).meaning(),
            Meaning::Inet("10.0.0.1:5".parse().unwrap())
        );
        assert_eq!(Name::empty().meaning(), Meaning::Nothing);
    }

    #[test]
    fn hosts_and_ports_are_looked_up_or_said_to_be_unknown() {
        let found = look_up(b"127.0.0.1", b"80", SockType::Stream, false).ok().unwrap();
        assert_eq!(found[0].meaning(), Meaning::Inet("127.0.0.1:80".parse().unwrap()));
        assert!(!look_up(b"", b"0", SockType::Stream, true).ok().unwrap().is_empty());
        assert!(matches!(look_up(b"127.0.0.1", b"no-such-service", SockType::Stream, false), Err(LookUp::Unknown(_))));
    }
}
