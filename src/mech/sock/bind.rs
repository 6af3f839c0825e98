//! Sockets that others come to, and the socket files that belong to them.

use super::name::Name;
use super::sys::{self, Credentials};
use super::{name, stopped};
use crate::error::{Error, Result};
use crate::exit::Status;
use crate::model::{Address, SockType, Text};
use crate::proc::sysctl;
use crate::sys::file;
use crate::sys::waiter::{Stop, Waiter};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{FileStat, Mode, SFlag, lstat};
use nix::unistd::unlink;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How an address is taken.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Permissions of a socket file; the umask does not change them.
    pub mode: u32,
    /// Whether a socket file that nobody listens on any more is replaced.
    pub replace_stale: bool,
}

/// A socket that is bound to an address. Its file, if it has one, is removed with it.
#[derive(Debug)]
pub struct Listener {
    // Removed first: as long as the socket is open, nobody takes the file for a stale one.
    _file: Option<SocketFile>,
    socket: OwnedFd,
    kind: SockType,
    /// Where it really is: with the port that the kernel chose.
    pub address: Address,
}

/// A connection that somebody made to us.
#[derive(Debug)]
pub struct Accepted {
    pub socket: OwnedFd,
    /// `None` of a unix socket without a name, as most are.
    pub address: Option<Address>,
    /// Of a unix socket, as they were when it connected.
    pub credentials: Option<Credentials>,
}

impl Listener {
    /// Takes an address. A stream or a seqpacket socket listens from then on, for as many connections as
    /// `backlog` says, and one more; a datagram socket receives.
    pub fn bind(address: &Address, kind: SockType, how: Binding, backlog: i32, waiter: &Waiter) -> Result<Listener> {
        let mut failed = None;
        for name in name::names(address, kind, true)? {
            match bind(address, kind, &name, how, waiter) {
                Ok((socket, file)) => {
                    let mut listener = Listener { _file: file, socket, kind, address: address.clone() };
                    listener.start(backlog)?;
                    return Ok(listener);
                }
                // Without IPv6, IPv4 is left.
                Err(error) if matches!(error.errno, Errno::EAFNOSUPPORT | Errno::EADDRNOTAVAIL) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| Error::new("bind", Errno::EADDRNOTAVAIL, address)))
    }

    fn start(&mut self, backlog: i32) -> Result<()> {
        if self.kind != SockType::Datagram {
            sys::listen(&self.socket, backlog).map_err(|errno| in_use("listen", errno, &self.address))?;
        }
        if let Address::Tcp(endpoint) | Address::Udp(endpoint) = &mut self.address {
            let own = sys::own_name(&self.socket).ok().and_then(|name| name::address(&name, self.kind));
            if let Some(Address::Tcp(real) | Address::Udp(real)) = own {
                endpoint.port = real.port;
                if !endpoint.host.raw().is_empty() {
                    endpoint.host = real.host;
                }
            }
        }
        Ok(())
    }

    pub fn kind(&self) -> SockType {
        self.kind
    }

    /// Whether a connection waits to be taken.
    pub fn waiting(&self) -> bool {
        ready(&self.socket)
    }

    /// Asks the kernel to tell who sent each message (SO_PASSCRED).
    pub fn want_credentials(&self) -> Result<()> {
        pass_credentials(&self.socket, &self.address)
    }

    /// Waits for a connection and takes it.
    pub fn accept(&self, waiter: &Waiter) -> Result<Accepted> {
        loop {
            if waiter.never() && !self.waiting() {
                return Err(Error::new("accept", Errno::EAGAIN, &self.address).because("nobody has connected"));
            }
            let got = waiter.run(|| sys::accept(&self.socket));
            match got {
                // It was given up before it was taken: accept(2).
                Err(Stop::Errno(Errno::ECONNABORTED | Errno::EPROTO)) => {}
                Err(stop) => return Err(stopped(stop, "accept", &self.address)),
                Ok((socket, name)) => {
                    let address = name::address(&name, self.kind);
                    let credentials = self.address.is_unix().then(|| sys::peer_credentials(&socket).ok()).flatten();
                    return Ok(Accepted { socket, address, credentials });
                }
            }
        }
    }

    /// Waits for a connection and takes its messages with their senders.
    pub fn accept_with_credentials(&self, waiter: &Waiter) -> Result<Accepted> {
        let accepted = self.accept(waiter)?;
        pass_credentials(&accepted.socket, &self.address)?;
        Ok(accepted)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn pass_credentials(socket: &OwnedFd, address: &Address) -> Result<()> {
    sys::set_option(socket, libc::SOL_SOCKET, libc::SO_PASSCRED, 1)
        .map_err(|errno| Error::new("setsockopt", errno, address))
}

fn ready(socket: &OwnedFd) -> bool {
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn in_use(call: &'static str, errno: Errno, address: &Address) -> Error {
    let error = Error::new(call, errno, address);
    match (errno, address) {
        (Errno::EADDRINUSE, Address::Abstract(_)) => error
            .because("somebody has this name already")
            .with_status(Status::Exists)
            .hinting("see `ipcx sock show` for who has it, or choose another name"),
        (Errno::EADDRINUSE, Address::Tcp(_) | Address::Udp(_)) => error
            .because("somebody has this port already")
            .with_status(Status::Exists)
            .hinting("see `ss -tulnp` for who has it; port 0 takes a free one"),
        (Errno::EACCES, Address::Tcp(_) | Address::Udp(_)) => {
            let first = sysctl::number("net.ipv4.ip_unprivileged_port_start");
            let first = first.map_or_else(|| "?".to_owned(), |port| port.to_string());
            error.hinting(format!("net.ipv4.ip_unprivileged_port_start = {first} is the first port that is not root's"))
        }
        (Errno::ENOENT, Address::Unix(_)) => error.because("its directory does not exist"),
        (Errno::EADDRNOTAVAIL, _) => error.because("this machine does not have that address"),
        _ => error,
    }
}

fn bind(
    address: &Address,
    kind: SockType,
    name: &Name,
    how: Binding,
    waiter: &Waiter,
) -> Result<(OwnedFd, Option<SocketFile>)> {
    let socket = sys::socket(name.family(), kind).map_err(|errno| Error::new("socket", errno, address))?;
    if let Address::Unix(path) = address {
        let file = bind_file(&socket, address, path, name, how, waiter)?;
        return Ok((socket, Some(file)));
    }
    let set = |level, option, value| {
        sys::set_option(&socket, level, option, value).map_err(|errno| Error::new("setsockopt", errno, address))
    };
    match address {
        // Connections that ended a minute ago do not keep the port: tcp(7), TIME_WAIT.
        Address::Tcp(_) => set(libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?,
        Address::Udp(_) | Address::Unix(_) | Address::Abstract(_) => {}
    }
    if let Address::Tcp(endpoint) | Address::Udp(endpoint) = address
        && endpoint.host.raw().is_empty()
        && name.family() == libc::AF_INET6
    {
        set(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 0)?;
    }
    sys::bind(&socket, name).map_err(|errno| in_use("bind", errno, address))?;
    Ok((socket, None))
}

/// A socket file that we made. It is removed at the end if it still is the same one.
#[derive(Debug)]
struct SocketFile {
    path: Text,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn made(path: &Text, address: &Address) -> Result<SocketFile> {
        let place = file::path(path.raw());
        let stat = lstat(place).map_err(|errno| {
            // Nobody would remove it later.
            let _ = unlink(place);
            Error::new("lstat", errno, address)
        })?;
        if !is_socket(&stat) {
            let cause = format!("{} took the place of its file at once, and is left as it is", what(&stat));
            return Err(Error::new("bind", Errno::EADDRINUSE, address).because(cause).with_status(Status::Exists));
        }
        Ok(SocketFile { path: path.clone(), device: stat.st_dev, inode: stat.st_ino })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let path = file::path(self.path.raw());
        if lstat(path).is_ok_and(|stat| stat.st_dev == self.device && stat.st_ino == self.inode) {
            let _ = unlink(path);
        }
    }
}

fn bind_file(
    socket: &OwnedFd,
    address: &Address,
    path: &Text,
    name: &Name,
    how: Binding,
    waiter: &Waiter,
) -> Result<SocketFile> {
    let _lock = match sys::bind_with_mode(socket, name, how.mode) {
        Ok(()) => return SocketFile::made(path, address),
        // Whoever replaces a stale file holds this lock until he has bound his own, so that of several who
        // find the same one the first wins, and the others find his.
        Err(Errno::EADDRINUSE) if how.replace_stale => Some(lock_directory(path, address, waiter)?),
        Err(Errno::EADDRINUSE) => None,
        Err(errno) => return Err(in_use("bind", errno, address)),
    };
    let path_of = file::path(path.raw());
    let occupied = |cause: &str| {
        Error::new("bind", Errno::EADDRINUSE, address).because(cause.to_owned()).with_status(Status::Exists)
    };
    match lstat(path_of) {
        // It went away meanwhile.
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(Error::new("lstat", errno, address)),
        Ok(stat) if !is_socket(&stat) => {
            return Err(occupied(&format!("{} is there, which is left as it is", what(&stat))));
        }
        Ok(stat) => match probe(name) {
            Ok(()) => return Err(occupied("somebody listens there")),
            Err(Errno::ECONNREFUSED) if how.replace_stale => {
                // Some file systems give the inode of a file that is gone to the next one at once.
                let identity = |stat: &FileStat| (stat.st_dev, stat.st_ino, stat.st_ctime, stat.st_ctime_nsec);
                let same = |now: FileStat| identity(&now) == identity(&stat) && is_socket(&now);
                if !lstat(path_of).is_ok_and(same) {
                    return Err(occupied("it was replaced by another file while we looked"));
                }
                unlink(path_of).map_err(|errno| Error::new("unlink", errno, address))?;
            }
            Err(Errno::ECONNREFUSED) => {
                return Err(occupied("a socket file is there that nobody listens on any more")
                    .hinting("--replace-stale replaces it"));
            }
            Err(errno) => {
                return Err(occupied(&format!(
                    "a socket file is there, and whether it is used cannot be seen: {errno:?}"
                )));
            }
        },
    }
    sys::bind_with_mode(socket, name, how.mode).map_err(|errno| match errno {
        Errno::EADDRINUSE => occupied("somebody was faster"),
        errno => in_use("bind", errno, address),
    })?;
    SocketFile::made(path, address)
}

fn lock_directory(path: &Text, address: &Address, waiter: &Waiter) -> Result<OwnedFd> {
    let directory = match file::path(path.raw()).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(directory, flags, Mode::empty()).map_err(|errno| {
        Error::new("open", errno, address).because(format!("its directory cannot be locked: {}", errno.desc()))
    })?;
    waiter.run(|| file::lock(&directory, !waiter.never())).map_err(|stop| stopped(stop, "flock", address))?;
    Ok(directory)
}

/// Whether a bound socket is behind a socket file: ECONNREFUSED if there is none.
///
/// We ask as a datagram socket. A stream or seqpacket socket refuses that by its type, so a listener never
/// sees a connection of ours, and one that is bound and does not listen yet counts too; to be connected
/// to by a datagram socket does nothing to another one.
pub(super) fn probe(name: &Name) -> nix::Result<()> {
    let socket = sys::socket(libc::AF_UNIX, SockType::Datagram)?;
    match sys::connect(&socket, name) {
        // EPERM: a datagram socket that has a peer already.
        Ok(()) | Err(Errno::EPROTOTYPE | Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

pub(super) fn is_socket(stat: &FileStat) -> bool {
    kind_of(stat) == SFlag::S_IFSOCK
}

fn kind_of(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// What a file is, in words.
pub(super) fn what(stat: &FileStat) -> &'static str {
    match kind_of(stat) {
        SFlag::S_IFREG => "a regular file",
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFLNK => "a symbolic link",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "a device",
        SFlag::S_IFSOCK => "a socket",
        _ => "something else",
    }
}
