//! Fields and rows as text: tables for people, lines and JSON for machines. Nothing here writes to
//! a stream of its own, reads the system or decides what is shown.

mod cell;
pub mod graph;
pub mod hexdump;
mod json;
mod page;
mod table;
pub mod text;

pub use cell::{Style, TimeFormat};
pub use json::{Document, line as json_line, record as json_record};
pub use page::page;
pub use table::{Layout, raw, table};
