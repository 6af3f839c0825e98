//! Completions that are alive: the identifiers, keys and names that exist at this moment.

use crate::inventory::{self, Select};
use crate::model::{Ident, Kind, Naming, Needs, Object, Seen};
use crate::render::text::count;
use crate::render::{Style, TimeFormat};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter as _};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Completes a reference with the objects that exist now.
pub fn live(noun: Option<Kind>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| candidates(noun, current))
}

fn candidates(noun: Option<Kind>, current: &OsStr) -> Vec<CompletionCandidate> {
    let only = noun.map(|kind| [kind]);
    let kinds: &[Kind] = only.as_ref().map_or(Kind::ALL, |only| only);
    let mut list = Vec::new();
    let style = Style::new(false, TimeFormat::Relative);
    let scanned = inventory::scan::<()>(kinds, Needs::NAMES, Select::default(), None, |kind, found| {
        for object in &found.objects {
            let help = describe(object, &style);
            for text in names(object) {
                let mut text = text;
                if noun.is_none() {
                    text = [kind.noun().as_bytes(), b"/", &text].concat();
                }
                if text.starts_with(current.as_bytes()) {
                    list.push(CompletionCandidate::new(OsString::from_vec(text)).help(Some(help.clone().into())));
                }
            }
        }
        Ok(())
    });
    if scanned.is_err() {
        list.clear();
    }
    // Of these kinds there are more than those that processes have open now.
    if noun.is_some_and(|kind| matches!(kind.naming(), Naming::Path | Naming::Socket)) {
        let known: Vec<OsString> = list.iter().map(|known| known.get_value().to_owned()).collect();
        let files = PathCompleter::any().filter(worth_offering).complete(current);
        let is_new = |file: &CompletionCandidate| !known.iter().any(|known| known == file.get_value());
        let is_harmless = |file: &CompletionCandidate| file.get_value().as_bytes().iter().all(is_plain);
        list.extend(files.into_iter().filter(|file| is_harmless(file) && is_new(file)));
    }
    list
}

/// A directory to go on with, or a FIFO or socket.
fn worth_offering(path: &Path) -> bool {
    let kind = std::fs::metadata(path).map(|found| found.file_type());
    kind.is_ok_and(|kind| kind.is_dir() || kind.is_fifo() || kind.is_socket())
}

/// The ways to name an object: its identifier and its key, or its name.
fn names(object: &Object) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    match &object.reference.id {
        // The shell takes what is offered as typed: a name that means something to it is not offered.
        Ident::Name(name) | Ident::Path(name) | Ident::Abstract(name) if !name.raw().iter().all(is_plain) => {}
        Ident::Name(name) | Ident::Path(name) | Ident::Abstract(name) => names.push(name.raw().to_vec()),
        _ => names.push(object.reference.bare().to_string().into_bytes()),
    }
    if let Seen::Is(key) = object.key
        && key != 0
    {
        names.push(format!("{key:#x}").into_bytes());
    }
    names
}

fn is_plain(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._+@%,-".contains(byte)
}

/// Owner and size.
fn describe(object: &Object, style: &Style) -> String {
    let mut text = object.user.known().map(|user| user.escaped().to_string()).unwrap_or_default();
    if let Some(size @ Seen::Is(_)) = object.facts.get("size") {
        text.push_str(&format!(", {} bytes", style.text(size)));
    }
    for (key, one, many) in [("messages", "message", "messages"), ("nsems", "semaphore", "semaphores")] {
        if let Some(n) = object.number(key) {
            text.push_str(&format!(", {}", count(n, one, many)));
        }
    }
    if let Some(n) = object.number("nattch") {
        text.push_str(&format!(", {n} attached"));
    }
    text
}
