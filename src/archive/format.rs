//! What an archive says of itself and of its objects.

use super::wire;
use crate::model::{Family, Ident, Kind, ObjectRef, Text};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};

/// The version of the format.
pub const VERSION: u32 = 1;
/// The name of the first member.
pub const MANIFEST: &str = "manifest.json";
/// The longest manifest that is written or read, in bytes: some 400,000 messages.
pub const MANIFEST_MAX: u64 = 64 << 20;

/// The first member.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    pub program: String,
    /// When it was written, RFC 3339.
    pub time: String,
    pub host: Host,
    pub objects: Vec<Entry>,
}

/// What of the machine matters to whoever wants to understand the bytes in a segment.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Host {
    pub machine: String,
    pub byte_order: String,
    pub page_size: u64,
}

impl Host {
    pub fn here() -> Host {
        let byte_order = if cfg!(target_endian = "little") { "little" } else { "big" };
        Host {
            machine: std::env::consts::ARCH.to_owned(),
            byte_order: byte_order.to_owned(),
            page_size: procfs::page_size(),
        }
    }
}

/// In whole seconds: a manifest must not grow once there is room for it, and fractions have as many digits as they
/// need.
fn now() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

impl Manifest {
    pub fn new(objects: Vec<Entry>) -> Manifest {
        Manifest {
            version: VERSION,
            program: concat!("ipcx ", env!("CARGO_PKG_VERSION")).to_owned(),
            time: now(),
            host: Host::here(),
            objects,
        }
    }

    /// Says what cannot be true of it.
    pub fn check(&self) -> Result<(), String> {
        let mut seen = HashSet::new();
        for (at, entry) in self.objects.iter().enumerate() {
            let of = |cause: &str| format!("object {at} of its manifest {cause}");
            entry.check(at).map_err(|cause| of(&cause))?;
            let key = entry.key.map(|key| ObjectRef { kind: entry.kind, id: Ident::Key(key) });
            let is_new = [Some(entry.reference()), key].into_iter().flatten().all(|name| seen.insert(name));
            if !is_new {
                return Err(of("has the reference or the key of another one"));
            }
        }
        Ok(())
    }
}

/// One object.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// As ipcx shows it; `id` and `name` are what counts.
    #[serde(rename = "ref")]
    pub shown: String,
    #[serde(with = "wire::kind")]
    pub kind: Kind,
    #[serde(with = "wire::family")]
    pub family: Family,
    pub id: Option<i32>,
    #[serde(with = "wire::key")]
    pub key: Option<i32>,
    #[serde(with = "wire::name")]
    pub name: Option<Text>,
    #[serde(with = "wire::mode")]
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    #[serde(with = "wire::text")]
    pub user: Text,
    #[serde(with = "wire::text")]
    pub group: Text,
    /// What the object recorded, RFC 3339.
    pub times: BTreeMap<String, String>,
    pub content: Content,
}

/// What is inside an object.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    Region(Member),
    Channel {
        /// System V: msg_qbytes.
        max_bytes: Option<u64>,
        /// POSIX: mq_maxmsg.
        max_messages: Option<u64>,
        /// POSIX: mq_msgsize.
        message_size: Option<u64>,
        /// In the order in which they are received.
        messages: Vec<Message>,
    },
    Counter {
        values: Vec<u32>,
    },
}

/// A member of the archive.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub member: String,
    pub size: u64,
    /// In hexadecimal.
    pub sha256: String,
}

#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(deny_unknown_fields)]
pub struct Message {
    #[serde(rename = "type")]
    pub kind: Option<i64>,
    pub priority: Option<u32>,
    pub text: Member,
}

/// The longest message there can be: msgmax is an int, HARD_MSGSIZEMAX is 16 MiB (include/linux/ipc_namespace.h).
const LONGEST: [u64; 2] = [i32::MAX as u64, 16 << 20];
/// The highest priority, MQ_PRIO_MAX - 1.
const HIGHEST: u32 = 32767;
/// The longest name of a file.
const NAME_MAX: usize = 255;

impl Entry {
    pub fn reference(&self) -> ObjectRef {
        let id = match (&self.name, self.id) {
            (Some(name), _) => Ident::Name(name.clone()),
            (None, id) => Ident::Id(id.unwrap_or(0)),
        };
        ObjectRef { kind: self.kind, id }
    }

    /// What its members are called: the names are readable, but nothing is ever read from them.
    fn base(&self, at: usize) -> String {
        let noun = self.kind.noun();
        let name = self.name.as_ref().and_then(|name| name.utf8()).map(|name| name.trim_start_matches('/'));
        let plain = |name: &&str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            name.len() <= 64 && name.bytes().all(is_plain) && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        };
        match (self.id, name.filter(plain)) {
            (Some(id), _) => format!("{noun}/{id}"),
            (None, Some(name)) => format!("{noun}/posix/{name}"),
            (None, None) => format!("{noun}/posix/@{at}"),
        }
    }

    /// Gives its members their names; `at` is its place in the manifest.
    pub fn name_members(&mut self, at: usize) {
        let base = self.base(at);
        match &mut self.content {
            Content::Region(bytes) => bytes.member = base,
            Content::Channel { messages, .. } => {
                for (number, message) in messages.iter_mut().enumerate() {
                    message.text.member = format!("{base}/{number:06}");
                }
            }
            Content::Counter { .. } => {}
        }
    }

    /// Its members in their order.
    pub fn members(&self) -> Vec<&Member> {
        match &self.content {
            Content::Region(bytes) => vec![bytes],
            Content::Channel { messages, .. } => messages.iter().map(|message| &message.text).collect(),
            Content::Counter { .. } => Vec::new(),
        }
    }

    /// How many bytes are in it, if it is made of bytes.
    pub fn size(&self) -> u64 {
        self.members().iter().map(|member| member.size).sum()
    }

    fn check(&self, at: usize) -> Result<(), String> {
        let wrong = |cause: &str| Err(cause.to_owned());
        let is_sysv = self.family == Family::Sysv;
        match (is_sysv, self.id, &self.name, self.key) {
            (true, Some(0..), None, _) => {}
            (false, None, Some(name), None) if is_posix_name(name.raw(), self.kind) => {}
            _ => return wrong("is neither a System V object with an identifier nor a POSIX object with a name"),
        }
        if self.shown != self.reference().to_string() {
            return wrong("has another reference than its identifier or name gives");
        }
        // chown(2) takes the largest number for "leave it as it is".
        if self.uid == u32::MAX || self.gid == u32::MAX {
            return wrong("has no owner");
        }
        let mut named = self.clone();
        named.name_members(at);
        if named.members() != self.members() {
            return wrong("has members with other names than they should have");
        }
        let digits = |sum: &str| sum.len() == 64 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !self.members().iter().all(|member| digits(&member.sha256)) {
            return wrong("has a sum that is none");
        }
        match (&self.content, self.kind) {
            (Content::Region(bytes), Kind::Shm) => {
                let smallest = u64::from(is_sysv);
                if bytes.size < smallest || i64::try_from(bytes.size).is_err() {
                    return wrong("has a size that no segment can have");
                }
            }
            (Content::Channel { max_bytes, max_messages, message_size, messages }, Kind::Msgq) => {
                if (max_bytes.is_some(), max_messages.is_some(), message_size.is_some())
                    != (is_sysv, !is_sysv, !is_sysv)
                {
                    return wrong("has the limits of another family");
                }
                let longest = message_size.unwrap_or(u64::MAX).min(LONGEST[usize::from(!is_sysv)]);
                let fits = |message: &Message| {
                    let tagged = match (message.kind, message.priority) {
                        (Some(1..), None) => is_sysv,
                        (None, Some(0..=HIGHEST)) => !is_sysv,
                        _ => false,
                    };
                    tagged && message.text.size <= longest
                };
                if !messages.iter().all(fits) || max_messages.is_some_and(|most| messages.len() as u64 > most) {
                    return wrong("has messages that its queue cannot hold");
                }
            }
            (Content::Counter { values }, Kind::Sem) => {
                let (most, highest) = if is_sysv { (usize::from(u16::MAX), 32767) } else { (1, 0x7fff_ffff) };
                if values.is_empty() || values.len() > most || values.iter().any(|value| *value > highest) {
                    return wrong("has values that no semaphores can have");
                }
            }
            _ => return wrong("has the content of another kind"),
        }
        Ok(())
    }
}

/// Whether a POSIX object can have this name.
fn is_posix_name(name: &[u8], kind: Kind) -> bool {
    // Named semaphores lose four bytes to glibc's prefix.
    let longest = if kind == Kind::Sem { NAME_MAX - 4 } else { NAME_MAX };
    match name.strip_prefix(b"/") {
        None | Some(b"" | b"." | b"..") => false,
        Some(name) => name.len() <= longest && !name.contains(&b'/') && !name.contains(&0),
    }
}

/// The SHA-256 sum of some bytes, in hexadecimal.
pub fn sum(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// The sum that was reckoned, in hexadecimal.
pub fn hex(sum: Sha256) -> String {
    data_encoding::HEXLOWER.encode(&sum.finalize())
}
