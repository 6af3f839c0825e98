//! What the project promises about itself: pages, completions, floors.

use crate::kit::Env;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a directory of `src`, or one file, with its text.
fn sources(under: &str) -> Vec<(PathBuf, String)> {
    let start = root().join("src").join(under);
    let (mut files, mut directories) = (Vec::new(), Vec::new());
    if start.is_dir() {
        directories.push(start);
    } else {
        files.push(start);
    }
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(!files.is_empty(), "there is no src/{under}");
    let relative = |path: &Path| path.strip_prefix(root()).unwrap().to_owned();
    files.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect()
}

/// The code of a file: no comments, and nothing of its unit tests, which stand at its end.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = text.lines().enumerate();
    lines.map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Names of modules of the crate that a line uses, also of `use crate::{a, b}`.
fn crate_modules(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code(text) {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let word = |text: &str| {
                text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
            };
            match rest.strip_prefix('{') {
                Some(group) => {
                    assert!(group.contains('}'), "a group over several lines is not understood: {line}");
                    found.extend(group.split(',').map(|part| (number, word(part))));
                }
                None => found.push((number, word(rest))),
            }
        }
    }
    found
}

/// No file under `floor` uses one of these modules of the crate.
#[track_caller]
fn assert_below(floor: &str, above: &[&str]) {
    let mut wrong = Vec::new();
    for (path, text) in sources(floor) {
        for (line, module) in crate_modules(&text) {
            if above.contains(&module.as_str()) {
                wrong.push(format!("{}:{line} uses {module}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "arrows point down only");
}

/// Whether a line has these words, and not as the end of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(inside))
}

/// None of these words stands in the code under `floor`.
#[track_caller]
fn assert_without(floor: &str, words: &[&str], allowed: &[&str]) {
    let mut wrong = Vec::new();
    for (path, text) in sources(floor) {
        if allowed.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for (number, line) in code(&text) {
            if let Some(word) = words.iter().find(|word| has_word(line, word)) {
                wrong.push(format!("{}:{number} has {word}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn unsafe_code_stands_in_sys_alone() {
    let mut wrong = Vec::new();
    for (path, text) in sources("") {
        // The entry has an attribute that is called so, and no unsafe code.
        let place = path == Path::new("src/main.rs")
            || path.starts_with("src/sys")
            || (path.starts_with("src/mech") && path.ends_with("sys.rs"));
        for (number, line) in code(&text) {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if !place && words.any(|word| word == "unsafe" || word == "unsafe_code") {
                wrong.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert_eq!(wrong, [""; 0], "`unsafe` belongs into src/sys and src/mech/*/sys.rs");
}

#[test]
fn the_model_sees_only_itself() {
    assert_below(
        "model",
        &["args", "cli", "cmd", "error", "exit", "hint", "inventory", "mech", "proc", "render", "sys", "ui"],
    );
    assert_without("model", &["std::fs", "std::io", "std::process", "std::env", "libc::", "nix::"], &[]);
}

#[test]
fn rendering_knows_no_mechanism_and_no_system() {
    assert_below("render", &["args", "cli", "cmd", "inventory", "mech", "proc", "sys"]);
}

#[test]
fn the_floors_below_know_neither_arguments_nor_looks() {
    for floor in ["mech", "proc", "sys", "model", "inventory"] {
        assert_without(floor, &["clap", "owo_colors", "comfy_table", "anstream"], &[]);
    }
    assert_without("", &["comfy_table"], &["src/render/table.rs"]);
}

#[test]
fn arrows_point_down_only() {
    assert_below("archive", &["mech", "proc", "inventory", "cmd", "render", "ui", "args", "cli"]);
    assert_below("sys", &["archive", "mech", "proc", "inventory", "cmd", "render", "ui", "args", "cli"]);
    assert_below("proc", &["archive", "mech", "inventory", "cmd", "render", "ui", "args", "cli"]);
    assert_below("mech", &["archive", "inventory", "cmd", "render", "ui", "args", "cli"]);
    assert_below("inventory", &["cmd", "render", "ui", "args", "cli"]);
    assert_below("ui", &["args", "cli", "cmd", "inventory", "mech", "proc", "render"]);
    assert_below("args", &["cli", "cmd"]);
    assert_below("error.rs", &["args", "cli", "cmd", "inventory", "mech", "render", "ui"]);
}

#[test]
fn commands_make_no_system_calls_and_do_not_ask_for_the_kind() {
    assert_without("cmd", &["libc::", "match kind", "match reference.kind"], &[]);
    for floor in ["cmd", "args", "inventory", "render"] {
        for (path, text) in sources(floor) {
            let arm = code(&text).find(|(_, line)| line.trim_start().starts_with("Kind::") && line.contains("=>"));
            assert_eq!(arm, None, "{}", path.display());
        }
    }
}

#[test]
fn only_the_ui_has_the_standard_streams() {
    assert_without("", &["println!", "eprintln!", "print!(", "eprint!(", "dbg!("], &[]);
    assert_without("", &["io::stdout", "io::stderr"], &["src/ui"]);
}

#[test]
fn the_words_of_a_group_of_imports_are_understood() {
    let found = crate_modules("use crate::{mech, ui::Out};\n// crate::proc\nuse crate::sys::file;\n");
    let found: Vec<_> = found.iter().map(|(line, module)| (*line, module.as_str())).collect();
    assert_eq!(found, [(1, "mech"), (1, "ui"), (3, "sys")]);
}

/// Every command with its subcommands, found in the help as a user finds them.
fn commands(env: &Env, of: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![of.to_vec()];
    let help = env.out(of.iter().map(String::as_str).chain(["--help"]));
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    for line in listed.filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap().to_owned();
        if name != "help" {
            all.extend(commands(env, &[of, &[name]].concat()));
        }
    }
    all
}

/// The lines of the examples in a help text.
fn examples(help: &str) -> impl Iterator<Item = &str> {
    help.lines().skip_while(|line| *line != "Examples:").skip(1).take_while(|line| line.starts_with("  "))
}

#[test]
fn every_command_has_help_with_examples() {
    let env = Env::new();
    let commands = commands(&env, &[]);
    assert!(commands.len() > 30, "{commands:?}");
    let mut without = Vec::new();
    for command in commands {
        let words = || command.iter().map(String::as_str);
        let long = env.out(words().chain(["--help"]));
        assert!(long.contains("Usage: ipcx"), "{command:?}: {long}");
        if examples(&long).next().is_none() {
            without.push(command.join(" "));
        }
        let wide = long.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{command:?}");
        let short = env.out(words().chain(["-h"]));
        assert!(short.contains("Usage: ipcx"), "{command:?}: {short}");
    }
    assert_eq!(without, [""; 0], "these have no examples");
}

#[test]
fn the_examples_of_the_help_use_commands_that_there_are() {
    let env = Env::new();
    let commands: Vec<String> = commands(&env, &[]).iter().map(|command| command.join(" ")).collect();
    let mut seen = 0;
    for command in &commands {
        let help = env.out(command.split_whitespace().chain(["--help"]));
        for line in examples(&help) {
            for (at, _) in line.match_indices("ipcx ") {
                let mut words = line[at..].split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty());
                let words: Vec<&str> = words.by_ref().skip(1).take(2).collect();
                let known = words.first().is_some_and(|word| commands.iter().any(|command| command == word));
                let noun =
                    words.first().is_some_and(|word| ["shm", "msgq", "sem", "fifo", "signal", "sock"].contains(word));
                let verb = !noun || commands.contains(&words.join(" "));
                assert!(known && verb, "{command}: {line}");
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let env = Env::new();
    for flag in ["--version", "-V"] {
        assert_eq!(env.out([flag]), format!("ipcx {}", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn no_command_at_all_is_wrong_usage_and_help_is_a_result() {
    let env = Env::new();
    for args in [&[][..], &["msgq"], &["shm"], &["sem"], &["fifo"], &["signal"], &["sock"]] {
        let output = env.ipcx(args).assert().code(2).get_output().clone();
        assert_eq!(output.stdout, b"", "{args:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("Usage:"), "{args:?}");
    }
    env.ipcx(["help"]).assert().success();
    env.ipcx(["help", "msgq", "send"]).assert().success();
}

/// Compares generated files with those that are checked in; IPCX_BLESS=1 rewrites them.
#[track_caller]
fn same_as_checked_in(directory: &str, extension: &str, generated: &[(String, Vec<u8>)]) {
    let directory = root().join(directory);
    let there = |directory: &Path| {
        let mut names: Vec<String> = fs::read_dir(directory)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.retain(|name| name.ends_with(extension));
        names.sort();
        names
    };
    if std::env::var_os("IPCX_BLESS").is_some_and(|bless| bless == "1") {
        fs::create_dir_all(&directory).unwrap();
        for name in there(&directory) {
            fs::remove_file(directory.join(name)).unwrap();
        }
        for (name, content) in generated {
            fs::write(directory.join(name), content).unwrap();
        }
    }
    let mut names: Vec<&String> = generated.iter().map(|(name, _)| name).collect();
    names.sort();
    assert_eq!(there(&directory).iter().collect::<Vec<_>>(), names, "run the tests with IPCX_BLESS=1");
    for (name, content) in generated {
        let checked_in = fs::read(directory.join(name)).unwrap();
        assert!(checked_in == *content, "{name} is not what ipcx makes; run the tests with IPCX_BLESS=1");
    }
}

#[test]
fn the_manual_that_is_checked_in_is_the_one_of_the_help() {
    let env = Env::new();
    let made = env.path("man1");
    fs::create_dir(&made).unwrap();
    env.out(["man", "--dir", "man1"]);
    let pages: Vec<(String, Vec<u8>)> = fs::read_dir(made)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    assert_eq!(pages.len(), commands(&env, &[]).len(), "a page for every command");
    same_as_checked_in("man", ".1", &pages);
}

#[test]
fn the_completions_that_are_checked_in_are_those_that_are_printed() {
    let env = Env::new();
    let scripts = [("ipcx.bash", "bash"), ("_ipcx", "zsh"), ("ipcx.fish", "fish")]
        .map(|(name, shell)| (name.to_owned(), format!("{}\n", env.out(["completions", shell])).into_bytes()));
    same_as_checked_in("completions", "", &scripts);
}

#[test]
fn the_pages_of_the_manual_are_read_without_a_warning() {
    let env = Env::new();
    if !env.sh("command -v groff").output().unwrap().status.success() {
        crate::skip!("there is no groff");
    }
    fs::create_dir(env.path("man1")).unwrap();
    env.out(["man", "--dir", "man1"]);
    let script = "for page in man1/*.1; do groff -Kutf8 -man -Tutf8 -ww -z $page 2>&1 | sed \"s|^|$page: |\"; done";
    env.sh(script).assert().success().stdout("");
}

#[test]
fn wrong_usage_is_said_in_the_form_of_every_error() {
    let env = Env::new();
    let mistakes: [&[&str]; 7] = [
        &["nonsense"],
        &["ls", "--nonsense"],
        &["ls", "nonsense"],
        &["ls", "--owner", "nosuchuser"],
        &["rm", "shm/4294967296"],
        &["msgq", "recv"],
        &["ls", "--mine", "--owner", "root"],
    ];
    for args in mistakes {
        let said = crate::kit::look::refused(&env, 2, args);
        assert!(said.starts_with("ipcx: "), "{args:?}: {said}");
    }
}
