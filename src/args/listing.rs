//! Options of every listing.

use crate::inventory::namespaces::Which;
use crate::inventory::{Order, Select, columns};
use crate::model::{Field, Kind};
use crate::render::{Style, TimeFormat};
use crate::sys::users;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use std::ffi::OsStr;

#[derive(Args, Clone, Debug)]
pub struct ListArgs {
    #[command(flatten)]
    whose: Whose,

    /// Order by this column
    #[arg(long, value_name = "COL", add = column_completer())]
    sort: Option<String>,

    /// Reverse the order
    #[arg(short, long)]
    reverse: bool,

    #[command(flatten)]
    pub namespaces: NamespaceArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

impl ListArgs {
    pub fn select(&self) -> Select {
        self.whose.select()
    }

    pub fn order(&self, kinds: &[Kind]) -> Result<Option<Order>, String> {
        let Some(key) = &self.sort else {
            return Ok(columns::named(kinds, "id").filter(|_| self.reverse).map(|by| Order { by, reverse: true }));
        };
        let by = columns::named(kinds, &key.to_lowercase()).ok_or_else(|| unknown(kinds, key))?;
        Ok(Some(Order { by, reverse: self.reverse }))
    }
}

// Where to look. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Debug)]
pub struct NamespaceArgs {
    /// In every IPC namespace that a process or a descriptor holds, and every /dev/shm
    #[arg(long, conflicts_with = "namespace")]
    all_namespaces: bool,

    /// In the IPC namespace of this process, or the one of this number: 4026532222, ipc:[4026532222]
    #[arg(long, value_name = "PID", value_parser = namespace)]
    namespace: Option<Which>,
}

impl NamespaceArgs {
    /// `None` for our own alone.
    pub fn which(&self) -> Option<Which> {
        if self.all_namespaces { Some(Which::All) } else { self.namespace }
    }
}

/// The kernel numbers namespaces from here on (PROC_DYNAMIC_FIRST), far above the largest pid.
const FIRST_INODE: u64 = 0xf000_0000;

/// An IPC namespace: that of a process, or the one of a number.
pub fn namespace(text: &str) -> Result<Which, String> {
    let bracketed = text.strip_prefix("ipc:[").and_then(|rest| rest.strip_suffix(']'));
    let number = bracketed.unwrap_or(text).parse::<u64>().ok().filter(|number| *number > 0);
    match (number, number.and_then(|number| i32::try_from(number).ok())) {
        (Some(inode), _) if bracketed.is_some() || inode >= FIRST_INODE => Ok(Which::Inode(inode)),
        (_, Some(pid)) => Ok(Which::Process(pid)),
        _ => Err(format!(
            "`{}` is neither a pid nor a namespace such as ipc:[4026532222]",
            crate::model::Escaped(text.as_bytes())
        )),
    }
}

// Whose objects. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Debug)]
pub struct Whose {
    /// Only objects that I own
    #[arg(long, conflicts_with = "owner")]
    mine: bool,

    /// Only objects of this user, a name or a number
    #[arg(long, value_name = "USER", value_parser = owner)]
    owner: Option<u32>,
}

impl Whose {
    pub fn select(&self) -> Select {
        Select { owner: if self.mine { Some(users::me()) } else { self.owner } }
    }
}

// In which form rows are printed. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Copy, Debug)]
pub struct FormArgs {
    /// One JSON document
    #[arg(long, group = "format")]
    pub json: bool,

    /// One JSON object a line
    #[arg(long, group = "format")]
    pub jsonl: bool,

    /// Tab-separated exact values, control bytes escaped
    #[arg(long, group = "format")]
    pub raw: bool,

    /// No line of titles
    #[arg(long)]
    pub no_headings: bool,
}

// What is printed, and how. (A doc comment here would become the help of every command with it.)
#[derive(Args, Clone, Debug)]
pub struct OutputArgs {
    /// Columns, or more of them with a plus in front; `help` lists them
    #[arg(short, long = "output", value_name = "COL[,COL…]", add = column_completer())]
    output: Option<String>,

    #[command(flatten)]
    pub form: FormArgs,

    /// Sizes in bytes
    #[arg(short, long)]
    bytes: bool,

    /// How times look; relative in tables, unix with --raw
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<TimeFormat>,
}

impl OutputArgs {
    /// Whether the list of columns is wanted instead of a listing.
    pub fn help(&self) -> bool {
        self.output.as_deref().is_some_and(|text| text.trim_start_matches('+').eq_ignore_ascii_case("help"))
    }

    pub fn style(&self) -> Style {
        Style::new(self.bytes, self.times())
    }

    pub fn times(&self) -> TimeFormat {
        self.time_format.unwrap_or(if self.form.raw { TimeFormat::Unix } else { TimeFormat::Relative })
    }

    /// The columns for objects of `kind`: those that were chosen, or else `usual`.
    pub fn columns(
        &self,
        kinds: &[Kind],
        kind: Kind,
        usual: Vec<&'static Field>,
    ) -> Result<Vec<&'static Field>, String> {
        // A column that only another kind has is shown empty, so that all tables are alike.
        let named = |key: &str| columns::named(&[kind], key).or_else(|| columns::named(kinds, key));
        chosen(self.output.as_deref(), usual, named, || keys(kinds))
    }
}

/// The columns that `output` asks for, or else the `usual` ones. `known` are those that there are, for who asks
/// for another one.
pub fn chosen<T>(
    output: Option<&str>,
    usual: Vec<&'static Field<T>>,
    named: impl Fn(&str) -> Option<&'static Field<T>>,
    known: impl Fn() -> Vec<&'static str>,
) -> Result<Vec<&'static Field<T>>, String> {
    let Some(text) = output else { return Ok(usual) };
    let (mut fields, keys) = match text.strip_prefix('+') {
        Some(more) => (usual, more),
        None => (Vec::new(), text),
    };
    for key in keys.split(',') {
        let key = key.to_lowercase();
        let field = named(&key).ok_or_else(|| no_column(&key, &known()))?;
        if !fields.iter().any(|known| std::ptr::eq(*known, field)) {
            fields.push(field);
        }
    }
    Ok(fields)
}

/// A value parser for the kinds that a command is to look at.
pub fn kinds(of: &'static [Kind]) -> impl TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(of.iter().map(|kind| kind.noun()))
        .map(|noun| Kind::from_noun(noun.as_bytes()).unwrap_or(Kind::Shm))
}

/// A value parser for words such as the nouns that a command is to look at.
pub fn nouns(of: &'static [&'static str]) -> impl TypedValueParser<Value = &'static str> {
    PossibleValuesParser::new(of).map(|word| of.iter().find(|known| **known == word).copied().unwrap_or(of[0]))
}

fn unknown(kinds: &[Kind], key: &str) -> String {
    no_column(key, &keys(kinds))
}

fn keys(kinds: &[Kind]) -> Vec<&'static str> {
    columns::all(kinds).iter().map(|field| field.key).collect()
}

fn no_column(key: &str, known: &[&str]) -> String {
    format!("there is no column `{}`; there are {}", crate::model::Escaped(key.as_bytes()), known.join(", "))
}

/// The number of a user, given by name or number.
pub fn owner(text: &str) -> Result<u32, String> {
    users::uid(text).ok_or_else(|| format!("there is no user `{}`", crate::model::Escaped(text.as_bytes())))
}

/// Completes the last of a comma-separated list of columns.
fn column_completer() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let current = current.to_str().unwrap_or("");
        let start = current.rfind([',', '+']).map_or(0, |at| at + 1);
        let (front, word) = current.split_at(start);
        columns::all(Kind::ALL)
            .into_iter()
            .filter(|field| field.key.starts_with(word))
            .map(|field| CompletionCandidate::new(format!("{front}{}", field.key)).help(Some(field.help.into())))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_named_by_a_process_or_by_its_number() {
        assert_eq!(namespace("4711"), Ok(Which::Process(4711)));
        assert_eq!(namespace("4026532222"), Ok(Which::Inode(4_026_532_222)));
        assert_eq!(namespace("ipc:[4026532222]"), Ok(Which::Inode(4_026_532_222)));
        for odd in [
            "",
            "0",
            "-1",
            "3000000000",
            "ipc:[]",
            "ipc:[0]",
            "ipc:[1",
            "mnt:[4026532222]",
            "1x",
            "99999999999999999999",
        ] {
            assert!(namespace(odd).is_err(), "{odd}");
        }
    }
}
