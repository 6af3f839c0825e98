//! Who holds what and who waits for it, as a resource-allocation graph: as text, or for Graphviz.
//!
//! As usual in such graphs an arrow leads from an object to who holds it, and from who waits to the object.

use std::collections::BTreeMap;
use std::io::{self, Write};

/// Objects with their processes. All text is escaped.
#[derive(Default, Debug)]
pub struct Graph {
    pub objects: Vec<Node>,
}

/// An object.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    pub edges: Vec<Arrow>,
}

/// A process at an object.
#[derive(Debug)]
pub struct Arrow {
    pub pid: i32,
    /// Its name.
    pub command: String,
    /// Whether it waits for the object; if not, it holds it.
    pub waits: bool,
    /// How.
    pub label: String,
}

impl Graph {
    /// A paragraph for each object.
    pub fn text(&self, out: &mut impl Write) -> io::Result<()> {
        for (at, object) in self.objects.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            writeln!(out, "{}", object.name)?;
            for edge in &object.edges {
                let arrow = if edge.waits { "<--" } else { "-->" };
                writeln!(out, "  {arrow} {} ({})  {}", edge.pid, edge.command, edge.label)?;
            }
        }
        Ok(())
    }

    /// The language of dot(1).
    pub fn dot(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "digraph ipcx {{\n  rankdir=LR;")?;
        let edges = || self.objects.iter().flat_map(|object| &object.edges);
        let processes: BTreeMap<i32, &str> = edges().map(|edge| (edge.pid, &edge.command[..])).collect();
        for (pid, command) in processes {
            writeln!(out, "  p{pid} [label={}];", quoted(&format!("{pid} ({command})")))?;
        }
        for (number, object) in self.objects.iter().enumerate() {
            writeln!(out, "  o{number} [shape=box, label={}];", quoted(&object.name))?;
            for edge in &object.edges {
                let label = quoted(&edge.label);
                if edge.waits {
                    writeln!(out, "  p{} -> o{number} [style=dashed, label={label}];", edge.pid)?;
                } else {
                    writeln!(out, "  o{number} -> p{} [label={label}];", edge.pid)?;
                }
            }
        }
        writeln!(out, "}}")
    }
}

/// A string of the language, in which a backslash begins an escape of its own.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Graph {
        let arrow =
            |pid, waits, label: &str| Arrow { pid, command: "a\\x1b\"".to_owned(), waits, label: label.to_owned() };
        let edges = vec![arrow(7, false, "holds"), arrow(8, true, "waits in semop")];
        Graph {
            objects: vec![Node { name: "sem/5".to_owned(), edges }, Node { name: "sem/6".to_owned(), edges: vec![] }],
        }
    }

    fn written(write: impl Fn(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut text = Vec::new();
        write(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn arrows_lead_from_an_object_to_its_holder_and_from_who_waits_to_the_object() {
        let text = written(|out| graph().text(out));
        assert_eq!(text, "sem/5\n  --> 7 (a\\x1b\")  holds\n  <-- 8 (a\\x1b\")  waits in semop\n\nsem/6\n");
    }

    #[test]
    fn quotes_and_backslashes_of_a_name_do_not_end_a_string_of_dot() {
        let text = written(|out| graph().dot(out));
        assert!(text.starts_with("digraph ipcx {\n") && text.ends_with("}\n"), "{text}");
        assert!(text.contains(r#"p7 [label="7 (a\\x1b\")"];"#), "{text}");
        assert!(text.contains(r#"o0 -> p7 [label="holds"];"#), "{text}");
        assert!(text.contains(r#"p8 -> o0 [style=dashed, label="waits in semop"];"#), "{text}");
    }
}
