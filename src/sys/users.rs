//! Users and groups, by number and by name. A build without NSS gives the number.

use crate::model::Text;
use nix::unistd::{Gid, Group, Uid, User};
use std::collections::HashMap;

/// Names by number, each looked up once: with LDAP behind it one look-up can take milliseconds.
#[derive(Default)]
pub struct Names {
    users: HashMap<u32, Text>,
    groups: HashMap<u32, Text>,
}

impl Names {
    /// The name of a user; the number as text where there is no name.
    pub fn user(&mut self, uid: u32) -> Text {
        self.users
            .entry(uid)
            .or_insert_with(|| {
                let name = User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
                Text::from(name.unwrap_or_else(|| uid.to_string()).into_bytes())
            })
            .clone()
    }

    /// The name of a group; the number as text where there is no name.
    pub fn group(&mut self, gid: u32) -> Text {
        self.groups
            .entry(gid)
            .or_insert_with(|| {
                let name = Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name);
                Text::from(name.unwrap_or_else(|| gid.to_string()).into_bytes())
            })
            .clone()
    }
}

/// The number of a user given by name or by number.
pub fn uid(user: &str) -> Option<u32> {
    user.parse().ok().or_else(|| User::from_name(user).ok().flatten().map(|user| user.uid.as_raw()))
}

/// The number of a group given by name or by number.
pub fn gid(group: &str) -> Option<u32> {
    group.parse().ok().or_else(|| Group::from_name(group).ok().flatten().map(|group| group.gid.as_raw()))
}

/// Whether our rights are not those of our caller but those of the program's owner or group: it is installed setuid
/// or setgid, execve(2).
pub fn is_lent() -> bool {
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    user != nix::unistd::geteuid() || group != nix::unistd::getegid()
}

/// The user that permissions are checked against.
pub fn me() -> u32 {
    nix::unistd::geteuid().as_raw()
}
