//! Which container a process runs in, by the names that its control groups have: cgroups(7),
//! proc_pid_cgroup(5).
//!
//! A control group's name is what its maker chose, so this is a label and no proof.

use crate::model::Text;

/// How long the identifier of a container is, and how much of it is shown, as docker and podman do.
const LENGTH: usize = 64;
const SHOWN: usize = 12;

/// The container of a process, from the bytes of its /proc/PID/cgroup: twelve digits of an identifier, or the
/// name of a machine. `None` where the groups are those of no container that is known here.
///
/// A line is `hierarchy:controllers:path`; the one of version 2 is `0::path`. All hierarchies put a process into
/// the same container, but for those that the container engine does not use.
pub(super) fn of(cgroup: &[u8]) -> Option<Text> {
    let paths = cgroup.split(|byte| *byte == b'\n').filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2));
    let groups = |path: &'_ [u8]| path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).rev().collect::<Vec<_>>();
    let paths: Vec<Vec<Vec<u8>>> = paths.map(groups).collect();
    // From the inside, since containers can be nested. An identifier tells more than any name.
    let first = |label: fn(&[Vec<u8>], usize) -> Option<Text>| {
        paths.iter().find_map(|path| (0..path.len()).find_map(|at| label(path, at)))
    };
    first(|path, at| identifier(&path[at])).or_else(|| first(machine))
}

/// 64 hexadecimal digits, alone or as in `docker-ID.scope`, `libpod-ID.scope`, `cri-containerd-ID.scope`,
/// `crio-ID.scope` and `kubepods-…:cri-containerd:ID`.
fn identifier(group: &[u8]) -> Option<Text> {
    let group = group.strip_suffix(b".scope").unwrap_or(group);
    // What watches over a container is no part of it.
    if group.starts_with(b"libpod-conmon-") || group.starts_with(b"crio-conmon-") {
        return None;
    }
    let last = group.rsplit(|byte| matches!(byte, b'-' | b':')).next()?;
    let is_identifier = last.len() == LENGTH && last.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_identifier.then(|| Text::from(&last[..SHOWN]))
}

/// Containers that have names: those of LXC, of systemd-nspawn and machined, and the pods of Kubernetes. `path`
/// holds the groups from the innermost.
fn machine(path: &[Vec<u8>], at: usize) -> Option<Text> {
    let group = &path[at][..];
    let within = |name: &[u8]| path.get(at + 1).is_some_and(|outer| outer == name);
    let name = if let Some(name) = group.strip_prefix(b"lxc.payload.") {
        name.to_vec()
    } else if within(b"lxc") || within(b"lxc.payload") {
        group.to_vec()
    } else if let Some(name) = between(group, b"systemd-nspawn@", b".service") {
        unescape(name)
    } else if let Some(name) = between(group, b"machine-", b".scope") {
        unescape(name)
    } else if within(b"kubepods") || within(b"burstable") || within(b"besteffort") {
        group.strip_prefix(b"pod").map(|_| group.to_vec())?
    } else if let Some(name) = between(group, b"kubepods-", b".slice") {
        name[name.windows(3).position(|part| part == b"pod")?..].to_vec()
    } else {
        return None;
    };
    (!name.is_empty()).then(|| Text::from(name))
}

fn between<'a>(group: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    group.strip_prefix(start)?.strip_suffix(end)
}

/// The name within a unit of systemd, where other bytes than letters and digits are `\xNN`: systemd.unit(5).
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut at = 0;
    while at < name.len() {
        let digits = name[at..].strip_prefix(b"\\x").and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(name[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f4e1c2b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff001";

    #[track_caller]
    fn assert_label(cgroup: &str, label: Option<&str>) {
        let cgroup = cgroup.replace("ID", ID);
        assert_eq!(of(cgroup.as_bytes()), label.map(Text::from), "{cgroup}");
    }

    #[test]
    fn engines_write_an_identifier_of_64_digits_in_their_own_ways() {
        for path in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/machine.slice/libpod-ID.scope",
            "/machine.slice/libpod-ID.scope/container",
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
            "/kubepods/burstable/pod7c3e7a1e-0ba5-4a39-9a3c-0b9c1f4f7f10/ID",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7c3e_7a1e.slice/cri-containerd-ID.scope",
            "/kubepods.slice/kubepods-pod7c3e.slice/crio-ID.scope",
            "/system.slice/containerd.service/kubepods-besteffort-pod7c3e.slice:cri-containerd:ID",
            "/ecs/1f5c/ID",
        ] {
            assert_label(&format!("0::{path}\n"), Some("3f4e1c2b5a69"));
            assert_label(&format!("12:pids:{path}\n1:name=systemd:{path}\n0::/\n"), Some("3f4e1c2b5a69"));
        }
    }

    #[test]
    fn the_innermost_container_counts() {
        let outer = "a".repeat(64);
        assert_label(&format!("0::/docker/{outer}/docker/ID/init.scope"), Some("3f4e1c2b5a69"));
    }

    #[test]
    fn machines_have_names() {
        for (path, name) in [
            ("/lxc/web", "web"),
            ("/lxc.payload.web/system.slice/cron.service", "web"),
            ("/lxc.payload/web", "web"),
            ("/machine.slice/systemd-nspawn@build\\x2d1.service/payload", "build-1"),
            ("/machine.slice/machine-deb\\x2d12.scope", "deb-12"),
            ("/kubepods/burstable/pod7c3e7a1e", "pod7c3e7a1e"),
            ("/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7c3e.slice", "pod7c3e"),
        ] {
            assert_label(&format!("0::{path}\n"), Some(name));
            assert_label(&format!("3:cpu,cpuacct:{path}\n2:memory:/\n"), Some(name));
        }
    }

    #[test]
    fn ordinary_groups_and_odd_text_are_no_container() {
        for cgroup in [
            "",
            "\n",
            "0::/\n",
            "0::/init.scope\n",
            "0::/user.slice/user-0.slice/session-1.scope",
            "0::/system.slice/docker.service",
            "0::/machine.slice/libpod-conmon-ID.scope",
            "0::/docker/IDa",
            "0::/docker/3F4E1C2B5A69",
            "0::/lxc/",
            "0::/lxc.monitor.web",
            "0::/kubepods.slice/kubepods-burstable.slice",
            "0::/machine.slice/machine-.scope",
            "ID",
            "0:ID",
            ":::::/",
        ] {
            assert_label(cgroup, None);
        }
        let hostile = of(b"0::/lxc/\x1b[2J\xff\n").unwrap();
        assert_eq!(hostile.raw(), b"\x1b[2J\xff");
        assert_eq!(of(b"0::/machine.slice/machine-a\\xzz\\x\\x4.scope").unwrap().raw(), b"a\\xzz\\x\\x4");
    }
}
