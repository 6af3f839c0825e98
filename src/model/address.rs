//! Where a socket is: what `ipcx sock` takes, prints and gives to the commands that it runs.

use super::Text;
use std::fmt;

/// An address of a socket, not yet looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// unix(7): a socket file.
    Unix(Text),
    /// unix(7): an abstract name, without the NUL in front of it.
    Abstract(Text),
    /// tcp(7).
    Tcp(Endpoint),
    /// udp(7).
    Udp(Endpoint),
}

/// A host and a port, by name or by number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Empty for every address of this machine when listening, for the machine itself when connecting.
    pub host: Text,
    pub port: Text,
}

impl Address {
    /// Whether it is one of unix(7), with credentials and descriptors.
    pub fn is_unix(&self) -> bool {
        matches!(self, Address::Unix(_) | Address::Abstract(_))
    }
}

/// The address in the form in which it is given.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "{}", path.escaped()),
            Address::Abstract(name) => write!(f, "@{}", name.escaped()),
            Address::Tcp(endpoint) => write!(f, "tcp:{endpoint}"),
            Address::Udp(endpoint) => write!(f, "udp:{endpoint}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.raw().contains(&b':') {
            write!(f, "[{}]:{}", self.host.escaped(), self.port.escaped())
        } else {
            write!(f, "{}:{}", self.host.escaped(), self.port.escaped())
        }
    }
}

/// How a socket carries bytes: socket(2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SockType {
    /// A connection that is a stream of bytes.
    Stream,
    /// Messages without a connection.
    Datagram,
    /// A connection that carries messages.
    Seqpacket,
}

impl SockType {
    pub const ALL: [SockType; 3] = [SockType::Stream, SockType::Datagram, SockType::Seqpacket];

    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            SockType::Stream => "stream",
            SockType::Datagram => "dgram",
            SockType::Seqpacket => "seqpacket",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_it_is_given_and_escaped() {
        let at = |host: &str, port: &str| Endpoint { host: Text::from(host), port: Text::from(port) };
        assert_eq!(Address::Tcp(at("::1", "80")).to_string(), "tcp:[::1]:80");
        assert_eq!(Address::Udp(at("", "domain")).to_string(), "udp::domain");
        assert_eq!(Address::Abstract(Text::from("a\x1b\n")).to_string(), "@a\\x1b\\x0a");
        assert_eq!(Address::Unix(Text::from("./s")).to_string(), "./s");
    }
}
