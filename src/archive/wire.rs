//! How the types of the model look in JSON: as everywhere else in ipcx.

use crate::model::{Family, Kind, Text};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

pub mod kind {
    use super::*;

    pub fn serialize<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(kind.noun())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Kind, D::Error> {
        let noun = String::deserialize(from)?;
        let kind = Kind::from_noun(noun.as_bytes()).filter(|kind| Kind::LASTING.contains(kind));
        kind.ok_or_else(|| D::Error::custom("no such kind"))
    }
}

pub mod family {
    use super::*;

    pub fn serialize<S: Serializer>(family: &Family, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(family.word())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Family, D::Error> {
        let word = String::deserialize(from)?;
        let family = [Family::Sysv, Family::Posix].into_iter().find(|family| family.word() == word);
        family.ok_or_else(|| D::Error::custom("no such family"))
    }
}

/// Permission bits in octal.
pub mod mode {
    use super::*;

    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub fn serialize<S: Serializer>(mode: &u32, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{mode:04o}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        let digits = String::deserialize(from)?;
        let mode = u32::from_str_radix(&digits, 8).ok().filter(|mode| *mode <= 0o777);
        mode.ok_or_else(|| D::Error::custom("no permissions"))
    }
}

/// A System V key in hexadecimal; null for a private object.
pub mod key {
    use super::*;

    pub fn serialize<S: Serializer>(key: &Option<i32>, to: S) -> Result<S::Ok, S::Error> {
        match key {
            Some(key) => to.collect_str(&format_args!("{key:#010x}")),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let key = text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match key.filter(|key| *key != 0) {
            Some(key) => Ok(Some(key.cast_signed())),
            None => Err(D::Error::custom("no key")),
        }
    }
}

/// Text of others: a string, or `{"base64":…}` of what is no UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Base64 { base64: String },
}

pub mod text {
    use super::*;

    pub fn serialize<S: Serializer>(text: &Text, to: S) -> Result<S::Ok, S::Error> {
        match text.utf8() {
            Some(text) => to.serialize_str(text),
            None => Bytes::Base64 { base64: data_encoding::BASE64.encode(text.raw()) }.serialize(to),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Text, D::Error> {
        match Bytes::deserialize(from)? {
            Bytes::Text(text) => Ok(Text::from(text.as_str())),
            Bytes::Base64 { base64 } => data_encoding::BASE64
                .decode(base64.as_bytes())
                .map(Text::from)
                .map_err(|_| D::Error::custom("no base64")),
        }
    }
}

/// The same of an object that may have no name.
pub mod name {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Name(#[serde(with = "super::text")] Text);

    pub fn serialize<S: Serializer>(name: &Option<Text>, to: S) -> Result<S::Ok, S::Error> {
        name.clone().map(Name).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Text>, D::Error> {
        Ok(Option::<Name>::deserialize(from)?.map(|Name(text)| text))
    }
}
