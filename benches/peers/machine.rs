//! The machine on which a table was measured, and the programs.

use crate::tools;
use anyhow::Result;
use std::fmt::Write as _;

/// Peers, and what makes them tell their version.
const PEERS: &[&str] = &[
    "ipcs --version",
    "lsfd --version",
    "lsof -v",
    "ss -V",
    "flock --version",
    "pv --version",
    "socat -V",
    "tar --version",
    "kill --version",
];

pub fn describe(page: &mut String, pairs: usize) -> Result<()> {
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let line = |text: &str, key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        found.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned()
    };
    let cpu = file("/proc/cpuinfo");
    let virtual_machine = if cpu.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    writeln!(
        page,
        "- {} x {}{virtual_machine}, {} of memory",
        processors,
        line(&cpu, "model name"),
        line(&file("/proc/meminfo"), "MemTotal")
    )?;
    let (kernel, system) = (file("/proc/sys/kernel/osrelease"), file("/etc/os-release"));
    writeln!(page, "- Linux {}, {}", kernel.trim(), line(&system, "PRETTY_NAME"))?;
    let said = |line: &str| tools::said(line).unwrap_or_else(|| "not there".to_owned());
    writeln!(
        page,
        "- {}, {}, {}, {pairs} pairs unless a row needs more",
        said("ipcx --version"),
        said("rustc --version"),
        said("date +%Y-%m-%d")
    )?;
    let peers: Vec<String> = PEERS
        .iter()
        .filter_map(|peer| {
            let said = tools::said(peer)?;
            let name = peer.split(' ').next().unwrap_or_default();
            let version = said.split(|c: char| !c.is_ascii_digit() && c != '.').find(|word| word.contains('.'))?;
            Some(format!("{name} {version}"))
        })
        .collect();
    writeln!(page, "- {}", peers.join(", "))?;
    Ok(())
}
