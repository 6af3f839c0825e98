//! Looks into other IPC namespaces than ours, by a thread that goes from one to the next.

use super::{Holders, Order, Select, collect, name, natural, sort};
use crate::error::{Error, Result, describe};
use crate::exit::Status;
use crate::inspect::Scene;
use crate::mech::{self, Found, Limit, Mechanism, Root, Scope};
use crate::model::{Gap, Kind, Needs, Object, Reason, Seen, Text, Value};
use crate::proc::holders::FileId;
use crate::proc::namespaces::{self, Namespace};
use crate::sys::users::{self, Names};
use crate::sys::{file, namespace};
use nix::errno::Errno;
use std::cell::OnceCell;
use std::convert::Infallible;
use std::ops::Deref;
use std::os::fd::OwnedFd;

/// Into which IPC namespaces to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Every one that a process, a descriptor or a mount holds.
    All,
    /// That of a process.
    Process(i32),
    /// The one that has this inode number.
    Inode(u64),
}

/// What there is to be seen from one place: an IPC namespace, the /dev/shm of a root directory, or both.
pub struct View<'a> {
    pub namespace: &'a Namespace,
    pub root: Root,
    scopes: &'static [Scope],
    whose: Whose,
    container: OnceCell<Option<Text>>,
}

/// Who is there.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    /// This process leads the namespace, or nobody does.
    Leader(Option<i32>),
    /// These are the files of a process.
    Process(i32),
}

impl<'a> View<'a> {
    fn new(namespace: &'a Namespace, whose: Whose, root: Root, scopes: &'static [Scope]) -> View<'a> {
        View { namespace, root, scopes, whose, container: OnceCell::new() }
    }

    /// The container or the leading process; none for what is ours.
    pub fn container(&self) -> Option<&Text> {
        let look = || match self.whose {
            Whose::Ours => None,
            Whose::Leader(leader) => self.namespace.label(leader),
            Whose::Process(pid) => namespaces::label(pid),
        };
        self.container.get_or_init(look).as_ref()
    }

    /// Whether a mechanism is to be looked at from here. Each object is seen from one place alone.
    pub fn covers(&self, mech: &dyn Mechanism) -> bool {
        self.scopes.contains(&mech.scope())
    }

    /// Says of a gap where it is.
    pub(super) fn gap(&self, gap: Gap) -> Gap {
        let Some(container) = self.container() else { return gap };
        Gap { subject: format!("{} in {}", gap.subject, place(self.namespace, Some(container), None)), ..gap }
    }
}

/// The IPC namespace of the calling thread.
pub(super) fn ours() -> Seen<u64> {
    crate::proc::namespace::ours().map_or_else(|errno| Seen::hidden("stat", errno as i32), Seen::Is)
}

/// Records where an object is. What is found through processes is in no namespace.
pub(super) fn mark<'t>(object: &mut Object, namespace: &Seen<u64>, container: impl FnOnce() -> Option<&'t Text>) {
    let (namespace, container) = match mech::of(&object.reference).scope() {
        Scope::Machine => (Seen::Absent, Seen::Absent),
        Scope::Ipc | Scope::Shm => (namespace.clone(), container().cloned().into()),
    };
    object.facts.set("namespace", namespace.map(Value::Count));
    object.facts.set("container", container.map(Value::Text));
}

/// Calls `look` for every view of these namespaces, ours first, on a thread that is in the namespace meanwhile.
/// No other thread is moved.
///
/// What cannot be entered is a gap where all are looked at, and an error where it alone was asked for. A
/// namespace that goes away meanwhile is neither.
pub fn each(which: Which, look: impl FnMut(&View<'_>) + Send) -> Result<Vec<Gap>> {
    let ours = crate::proc::namespace::ours().map_err(failed)?;
    let (chosen, gaps) = choose(which, ours)?;
    let mut walk = Walk { ours, only: which != Which::All, shms: Vec::new(), gaps, look };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || {
            chosen.iter().try_for_each(|namespace| walk.visit(namespace))?;
            Ok(std::mem::take(&mut walk.gaps))
        });
        let thread = thread.map_err(|error| Error::new("clone", file::errno(&error), "IPC namespaces"))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The namespaces to visit, ours first: a thread that has left cannot always come back.
pub(super) fn choose(which: Which, ours: u64) -> Result<(Vec<Namespace>, Vec<Gap>)> {
    if let Which::Process(pid) = which {
        let namespace = namespaces::of_process(pid).map_err(|errno| {
            let error = Error::new("stat", errno, format!("the IPC namespace of process {pid}"));
            match errno {
                Errno::ESRCH => error.because("there is no such process").with_status(Status::NoSuch),
                _ => error,
            }
        })?;
        return Ok((vec![namespace], Vec::new()));
    }
    let all = namespaces::all().map_err(failed)?;
    let hidden = || Gap {
        subject: format!("IPC namespaces of {}", processes(all.hidden)),
        field: None,
        reason: Reason { call: "stat", errno: libc::EACCES },
        note: Some("they belong to others; in which namespace they are is not known".to_owned()),
    };
    let gaps = if all.hidden > 0 { vec![hidden()] } else { Vec::new() };
    let mut chosen = all.list;
    if let Which::Inode(inode) = which {
        let found = chosen.into_iter().find(|namespace| namespace.inode == inode);
        return found.map(|namespace| (vec![namespace], Vec::new())).ok_or_else(|| absent(inode, all.hidden));
    }
    if !chosen.iter().any(|namespace| namespace.inode == ours) {
        // Nobody whom this /proc shows is in it, as in another PID namespace.
        chosen.push(Namespace { inode: ours, ..Namespace::default() });
    }
    chosen.sort_by_key(|namespace| namespace.inode != ours);
    Ok((chosen, gaps))
}

pub(super) fn failed(errno: Errno) -> Error {
    Error::new("stat", errno, "IPC namespaces")
}

fn absent(inode: u64, hidden: usize) -> Error {
    let error = Error::refused(format!("ipc:[{inode}]"), Status::NoSuch, "no such namespace");
    match hidden {
        0 => error,
        _ => error.hinting(format!("it may be that of {}, which may not be seen", processes(hidden))),
    }
}

fn processes(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

/// A namespace in words.
fn place(namespace: &Namespace, container: Option<&Text>, leader: Option<i32>) -> String {
    let mut words = format!("IPC namespace {}", namespace.inode);
    let label = container.map(|label| label.escaped().to_string());
    let pid = leader.map(|pid| format!("pid {pid}"));
    let more: Vec<String> = label.into_iter().chain(pid).collect();
    if !more.is_empty() {
        words.push_str(&format!(" ({})", more.join(", ")));
    }
    words
}

/// The way through the namespaces.
struct Walk<F> {
    ours: u64,
    /// Whether one was asked for, which then must be there.
    only: bool,
    /// Every /dev/shm that was looked at.
    shms: Vec<FileId>,
    gaps: Vec<Gap>,
    look: F,
}

impl<F: FnMut(&View<'_>)> Walk<F> {
    fn visit(&mut self, namespace: &Namespace) -> Result<()> {
        let here = namespace.inode == self.ours;
        if here && !self.only {
            self.shms.extend(Root::Ours.shm());
            let scopes = &[Scope::Ipc, Scope::Shm, Scope::Machine];
            (self.look)(&View::new(namespace, Whose::Ours, Root::Ours, scopes));
            self.files(namespace, &namespace.mounts);
            return Ok(());
        }
        let leader = namespace.leader();
        let entered = here || self.enter(namespace, leader)?;
        let root = leader.and_then(|pid| namespaces::root(pid, namespace.inode).ok());
        let nobody = if here { Root::Ours } else { Root::Nowhere };
        let root = root.map_or(nobody, Root::Process);
        let scopes: &[Scope] = match (entered, self.is_new(&root)) {
            (true, true) => &[Scope::Ipc, Scope::Shm],
            (true, false) => &[Scope::Ipc],
            (false, true) => &[Scope::Shm],
            (false, false) => &[],
        };
        let whose = if here { Whose::Ours } else { Whose::Leader(leader) };
        (self.look)(&View::new(namespace, whose, root, scopes));
        let others: Vec<i32> = namespace.mounts.iter().copied().filter(|pid| Some(*pid) != leader).collect();
        self.files(namespace, &others);
        Ok(())
    }

    /// The files that these processes see and no one before.
    fn files(&mut self, namespace: &Namespace, pids: &[i32]) {
        for pid in pids {
            let Ok(root) = namespaces::root(*pid, namespace.inode).map(Root::Process) else { continue };
            if self.is_new(&root) {
                (self.look)(&View::new(namespace, Whose::Process(*pid), root, &[Scope::Shm]));
            }
        }
    }

    /// Whether a root has a /dev/shm that was not looked at yet.
    fn is_new(&mut self, root: &Root) -> bool {
        match root.shm() {
            Ok(id) if self.shms.contains(&id) => false,
            Ok(id) => {
                self.shms.push(id);
                true
            }
            // Whoever looks says why it cannot be seen.
            Err(errno) => errno != Errno::ENOENT,
        }
    }

    /// Moves this thread into a namespace, if it is still there.
    fn enter(&mut self, namespace: &Namespace, leader: Option<i32>) -> Result<bool> {
        let (call, errno, open) = match namespace.open() {
            Ok(None) if self.only => return Err(absent(namespace.inode, 0)),
            Ok(None) => return Ok(false),
            Err(errno) => ("open", errno, None),
            Ok(Some(open)) => match namespace::enter_ipc(&open) {
                Ok(()) => return Ok(true),
                Err(errno) => ("setns", errno, Some(open)),
            },
        };
        let subject = place(namespace, namespace.label(leader).as_ref(), leader);
        let advice = advice(leader, open.as_ref());
        if self.only {
            return Err(Error::new(call, errno, subject).hinting(advice));
        }
        let note = Some(format!("{}; {advice}", describe(errno)));
        self.gaps.push(Gap { subject, field: None, reason: Reason { call, errno: errno as i32 }, note });
        Ok(false)
    }
}

/// How else to see what we may not enter. A user namespace of one's own has to be joined first, which a process
/// of several threads cannot do (setns(2)).
fn advice(leader: Option<i32>, open: Option<&OwnedFd>) -> String {
    let owner = open.and_then(|open| namespace::owner(open).ok());
    match (leader, owner) {
        (Some(pid), Some(owner)) if owner == users::me() => {
            format!("from inside it can be seen: nsenter --target {pid} --user --ipc --preserve-credentials ipcx ls")
        }
        (_, Some(0)) => "it needs CAP_SYS_ADMIN there, which root has".to_owned(),
        (_, Some(owner)) => format!("it needs CAP_SYS_ADMIN there, which root and user {owner} have"),
        (_, None) => "it needs CAP_SYS_ADMIN in the user namespace that owns it".to_owned(),
    }
}

/// As [`super::scan`], in other IPC namespaces. Every kind has its rows by namespace, unless an order is given.
pub fn scan(
    which: Which,
    kinds: &[Kind],
    needs: Needs,
    select: Select,
    order: Option<Order>,
) -> Result<Vec<(Kind, Found)>> {
    let needs = order.map_or(needs, |order| needs.and(order.by.needs));
    let holders = Holders::new(needs);
    let scene = Scene::new(&holders);
    let mut all: Vec<(Kind, Found)> = kinds.iter().map(|kind| (*kind, Found::default())).collect();
    let mut said = Vec::new();
    let gaps = each(which, |view| {
        let namespace = Seen::Is(view.namespace.inode);
        let judges = needs.has(Needs::USERS) || needs.has(Needs::VERDICT);
        let there = judges && !matches!(view.root, Root::Ours);
        let there = there.then(|| scene.from(&view.root, &view.namespace.pids));
        let scene = there.as_ref().unwrap_or(&scene);
        let mut whole = all.iter_mut();
        let see = |_, mut found: Found| {
            found.objects.retain(|object| select.keeps(object));
            super::users(&mut found, needs, scene, &mut said);
            found.objects.iter_mut().for_each(|object| mark(object, &namespace, || view.container()));
            found.objects.sort_by(|a, b| natural(a).cmp(&natural(b)));
            if let Some((_, whole)) = whole.next() {
                whole.objects.append(&mut found.objects);
                whole.gaps.extend(found.gaps.into_iter().map(|gap| view.gap(gap)));
            }
            Ok::<(), Infallible>(())
        };
        let Ok(()) = collect(&view.root, kinds, |mech| view.covers(mech), needs, &holders, see);
    })?;
    let mut names = Names::default();
    for (_, found) in &mut all {
        if needs.has(Needs::NAMES) {
            found.objects.iter_mut().for_each(|object| name(object, &mut names));
        }
        if let Some(order) = order {
            sort(&mut found.objects, order);
        }
    }
    if let Some((_, first)) = all.first_mut() {
        first.gaps.splice(0..0, gaps);
    }
    Ok(all)
}

/// Something with the IPC namespace in which it is.
pub struct Within<T> {
    pub(super) what: T,
    /// Skipped where nobody asked.
    pub namespace: Seen<u64>,
    pub container: Seen<Text>,
}

impl<T> Within<T> {
    /// What is where we are.
    pub fn here(what: T) -> Within<T> {
        Within { what, namespace: Seen::Skipped, container: Seen::Skipped }
    }
}

impl<T> Deref for Within<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

/// The limits of other IPC namespaces, with what could not be seen.
pub fn limits(which: Which, wanted: impl Fn(&str) -> bool + Sync) -> Result<(Vec<Within<Limit>>, Vec<Gap>)> {
    let mut all = Vec::new();
    let gaps = each(which, |view| {
        for mech in mech::ALL.iter().filter(|mech| wanted(mech.kind().noun()) && view.covers(**mech)) {
            let (namespace, container) = match mech.scope() {
                Scope::Machine => (Seen::Absent, Seen::Absent),
                Scope::Ipc | Scope::Shm => (Seen::Is(view.namespace.inode), view.container().cloned().into()),
            };
            let limits = mech.limits_under(&view.root).into_iter();
            all.extend(limits.map(|what| Within { what, namespace: namespace.clone(), container: container.clone() }));
        }
    })?;
    if which == Which::All {
        // Of what is no object.
        let others = |noun: &str| wanted(noun) && !mech::ALL.iter().any(|mech| mech.kind().noun() == noun);
        let others = mech::limits(others).into_iter();
        all.extend(others.map(|what| Within { what, namespace: Seen::Absent, container: Seen::Absent }));
    }
    Ok((of_users(all), gaps))
}

/// Counts for a limit of the calling user what he has in all namespaces: there is one such limit, and not one in
/// each.
fn of_users(limits: Vec<Within<Limit>>) -> Vec<Within<Limit>> {
    let mut all: Vec<Within<Limit>> = Vec::with_capacity(limits.len());
    for limit in limits {
        let is_of_user = limit.setting.starts_with("ulimit");
        match all.iter_mut().find(|known| is_of_user && known.name == limit.name) {
            Some(known) => match (&mut known.what.used, &limit.used) {
                (Seen::Is(sum), Seen::Is(more)) => *sum += more,
                (sum, hidden @ Seen::Hidden(_)) => *sum = hidden.clone(),
                _ => {}
            },
            None if is_of_user => {
                all.push(Within { what: limit.what, namespace: Seen::Absent, container: Seen::Absent })
            }
            None => all.push(limit),
        }
    }
    all
}
