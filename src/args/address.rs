//! Addresses of sockets: a path, `@name`, `tcp:HOST:PORT`, `udp:HOST:PORT`.

use crate::model::{Address, Endpoint, SockType, Text};
use clap::Args;
use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use std::os::unix::ffi::OsStrExt as _;

const FORMS: &str =
    "an address is a path with a slash (./s), @NAME (abstract), tcp:HOST:PORT or udp:HOST:PORT (tcp:[::1]:80)";

// The address of a verb, and the type that a unix socket has there. (A doc comment here would become
// the help of every command with it.)
#[derive(Args, Clone, Debug)]
pub struct AddressArgs {
    /// Address: ./path, @name, tcp:HOST:PORT or udp:HOST:PORT
    #[arg(value_name = "ADDR", value_parser = parser())]
    pub address: Address,

    /// Type of a unix socket: stream, dgram or seqpacket [default: stream]
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = types(), hide_possible_values = true)]
    kind: Option<SockType>,
}

impl AddressArgs {
    /// The type, once it is seen together with the address.
    pub fn kind(&self) -> Result<SockType, String> {
        let (implied, what) = match &self.address {
            Address::Unix(_) | Address::Abstract(_) => return Ok(self.kind.unwrap_or(SockType::Stream)),
            Address::Tcp(_) => (SockType::Stream, "tcp"),
            Address::Udp(_) => (SockType::Datagram, "udp"),
        };
        match self.kind {
            Some(kind) if kind != implied => {
                Err(format!("{what} is always of type {}; --type is for unix sockets", implied.word()))
            }
            _ => Ok(implied),
        }
    }
}

/// A value parser for addresses.
pub fn parser() -> impl TypedValueParser<Value = Address> {
    OsStringValueParser::new().try_map(|text| parse(text.as_bytes()))
}

/// A value parser for the types of sockets.
pub fn types() -> impl TypedValueParser<Value = SockType> {
    PossibleValuesParser::new(SockType::ALL.map(SockType::word)).map(|word| {
        let found = SockType::ALL.into_iter().find(|kind| kind.word() == word);
        found.unwrap_or(SockType::Stream)
    })
}

pub fn parse(text: &[u8]) -> Result<Address, String> {
    if let Some(rest) = text.strip_prefix(b"tcp:") {
        return endpoint(rest).map(Address::Tcp);
    }
    if let Some(rest) = text.strip_prefix(b"udp:") {
        return endpoint(rest).map(Address::Udp);
    }
    // The kind in front is how a listing writes it; `sock/x` alone is a path.
    let bare = text.strip_prefix(b"sock/").filter(|rest| rest.starts_with(b"@") || rest.contains(&b'/'));
    let text = bare.unwrap_or(text);
    match text.strip_prefix(b"@") {
        Some(b"") => Err("an abstract name has something after its @".to_owned()),
        Some(name) => Ok(Address::Abstract(Text::from(name))),
        None if text.contains(&b'/') => Ok(Address::Unix(Text::from(text))),
        None => Err(format!("`{}` is no address; {FORMS}", Text::from(text).escaped())),
    }
}

fn endpoint(text: &[u8]) -> Result<Endpoint, String> {
    let shown = || Text::from(text).escaped().to_string();
    let no_port = || format!("`{}` has no port; write HOST:PORT, or [ADDRESS]:PORT for IPv6", shown());
    let (host, port) = if let Some(rest) = text.strip_prefix(b"[") {
        let end = memchr::memchr(b']', rest).ok_or_else(|| format!("`{}` lacks its closing bracket", shown()))?;
        (&rest[..end], rest[end + 1..].strip_prefix(b":").ok_or_else(no_port)?)
    } else {
        let colon = memchr::memrchr(b':', text).ok_or_else(no_port)?;
        (&text[..colon], &text[colon + 1..])
    };
    if host.contains(&b':') && !text.starts_with(b"[") {
        return Err(format!("`{}`: an IPv6 address stands in brackets: [::1]:80", shown()));
    }
    if port.is_empty() {
        return Err(no_port());
    }
    if port.iter().all(u8::is_ascii_digit) {
        let number = std::str::from_utf8(port).ok().and_then(|port| port.parse::<u16>().ok());
        if number.is_none() {
            return Err(format!("port {} is over 65535", Text::from(port).escaped()));
        }
    }
    let host = if host == b"*" { b"" } else { host };
    Ok(Endpoint { host: Text::from(host), port: Text::from(port) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &[u8]) -> String {
        parse(text).unwrap().to_string()
    }

    #[test]
    fn every_form_is_understood_and_shown_as_it_was_given() {
        for text in ["./s", "/run/x.sock", "sub/s", "@svc", "tcp:[::1]:80", "udp:localhost:domain", "tcp::80"] {
            assert_eq!(shown(text.as_bytes()), text);
        }
        assert_eq!(shown(b"tcp:*:80"), "tcp::80");
        assert_eq!(shown(b"sock/@svc"), "@svc");
        assert_eq!(shown(b"sock//run/x"), "/run/x");
        assert_eq!(shown(b"sock/x"), "sock/x");
        assert_eq!(shown(b"@a\xff\n"), "@a\\xff\\x0a");
    }

    #[test]
    fn a_path_may_hold_what_other_forms_begin_with() {
        assert!(matches!(parse(b"./tcp:a:1"), Ok(Address::Unix(_))));
        assert!(matches!(parse(b"./@x"), Ok(Address::Unix(_))));
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_forms() {
        for text in [&b"s"[..], b"", b"65536", b"0x4d2", b"http://"] {
            let parsed = parse(text);
            assert!(parsed.is_err() || text.contains(&b'/'), "{parsed:?}");
        }
        assert!(parse(b"s").unwrap_err().contains("tcp:HOST:PORT"));
        assert!(parse(b"@").unwrap_err().contains("something after"));
    }

    #[test]
    fn a_port_is_there_and_fits() {
        for text in [&b"tcp:host"[..], b"tcp:host:", b"tcp:", b"udp:[::1]", b"udp:[::1]80"] {
            assert!(parse(text).unwrap_err().contains("port"), "{}", Text::from(text).escaped());
        }
        assert!(parse(b"tcp:h:65536").unwrap_err().contains("65535"));
        assert!(parse(b"tcp:h:99999999999999999999").unwrap_err().contains("65535"));
        assert!(parse(b"tcp:::1:80").unwrap_err().contains("brackets"));
        assert!(parse(b"tcp:[::1:80").unwrap_err().contains("bracket"));
    }
}
