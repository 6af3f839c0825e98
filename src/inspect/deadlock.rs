//! Deadlocks: threads that wait for each other in a circle.
//!
//! A thread is stuck when something that it needs could only come from processes that are stuck, and a
//! process is when all of its threads are. The largest set of threads for which that is true is found by
//! taking out whoever can go on until nobody else can (as Holt does for general resource systems, 1972); what
//! is left waits for circles, and those are looked for in it.

use super::wakers::{Nature, Need};
use crate::model::{Awaits, Blocked, Grade};
use std::collections::{HashMap, VecDeque};

/// A blocked thread with what it needs.
pub struct Wait<'a> {
    pub blocked: &'a Blocked,
    pub needs: Vec<Need>,
}

/// Threads of which each waits for the next, and the last one for the first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    pub edges: Vec<Edge>,
    /// The waits that are in circles with these, through which they could be told as well.
    pub beside: Vec<usize>,
    /// How many others wait for any of them in vain.
    pub behind: usize,
}

/// A thread that waits for the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// Which of the waits.
    pub wait: usize,
    /// Which of its needs.
    pub need: usize,
    /// Which waker of it; none where it was a thread that is dead.
    pub waker: Option<usize>,
}

impl Cycle {
    /// How sure it is: as sure as its weakest edge.
    pub fn grade(&self, waits: &[Wait<'_>]) -> Grade {
        // Who was the owner is what memory says to which others write, too.
        let grade = |edge: &Edge| edge.waker.map_or(Grade::Strong, |at| waits[edge.wait].needs[edge.need].by[at].grade);
        self.edges.iter().map(grade).min().unwrap_or(Grade::Weak)
    }
}

/// Every deadlock among these waits, in the order of its first thread: of all that wait for each other in any
/// way the shortest circle, and how many more they are. `threads` says how many
/// threads a process has: one that has more than are blocked can go on.
pub fn find(waits: &[Wait<'_>], threads: impl Fn(i32) -> usize) -> Vec<Cycle> {
    let graph = Graph::new(waits, threads);
    let next: Vec<Vec<(usize, Edge)>> = (0..waits.len()).map(|at| graph.edges(at)).collect();
    let mut cycles: Vec<Cycle> = Vec::new();
    for component in components(&next) {
        let Some(edges) = shortest(&next, &component, waits) else { continue };
        let beside = component.iter().copied().filter(|at| edges.iter().all(|edge| edge.wait != *at)).collect();
        cycles.push(Cycle { edges, beside, behind: behind(&next, &component) });
    }
    let dead = graph.left_alone().map(|edge| Cycle {
        edges: vec![edge],
        beside: Vec::new(),
        behind: behind(&next, &[edge.wait]),
    });
    cycles.extend(dead.filter(|cycle| means_something(&cycle.edges, waits)));
    let order = |cycle: &Cycle| {
        let task = &waits[cycle.edges[0].wait].blocked.task;
        (task.pid, task.tid)
    };
    cycles.sort_by_key(order);
    cycles
}

/// Who is stuck.
struct Graph<'a> {
    waits: &'a [Wait<'a>],
    stuck: Vec<bool>,
    by_pid: HashMap<i32, Vec<usize>>,
    by_tid: HashMap<i32, usize>,
    /// Which processes are.
    processes: HashMap<i32, bool>,
}

/// Whether a thread waits for another thread of its own process alone.
fn inside(blocked: &Blocked) -> bool {
    matches!(blocked.awaits, Awaits::Futex { word: None, .. })
}

impl<'a> Graph<'a> {
    fn new(waits: &'a [Wait<'a>], threads: impl Fn(i32) -> usize) -> Graph<'a> {
        let mut by_pid: HashMap<i32, Vec<usize>> = HashMap::new();
        let mut by_tid = HashMap::new();
        for (at, wait) in waits.iter().enumerate() {
            by_pid.entry(wait.blocked.task.pid).or_default().push(at);
            by_tid.insert(wait.blocked.task.tid, at);
        }
        let mut graph = Graph { waits, stuck: Vec::new(), by_pid, by_tid, processes: HashMap::new() };
        graph.stuck = waits.iter().map(|wait| wait.needs.iter().any(|need| need.closed)).collect();
        loop {
            let stuck = |(pid, all): (&i32, &Vec<usize>)| (*pid, graph.all_stuck(all) && all.len() == threads(*pid));
            graph.processes = graph.by_pid.iter().map(stuck).collect();
            let still: Vec<bool> = (0..waits.len())
                .map(|at| graph.stuck[at] && waits[at].needs.iter().any(|need| graph.hopeless(need)))
                .collect();
            if still == graph.stuck {
                return graph;
            }
            graph.stuck = still;
        }
    }

    fn all_stuck(&self, threads: &[usize]) -> bool {
        threads.iter().any(|at| self.stuck[*at])
            && threads.iter().all(|at| self.stuck[*at] || inside(self.waits[*at].blocked))
    }

    fn hopeless(&self, need: &Need) -> bool {
        let process = |pid: i32| self.processes.get(&pid).copied().unwrap_or(false);
        need.closed
            && need.by.iter().all(|waker| match waker.tid.map(|tid| self.by_tid.get(&tid)) {
                None => process(waker.pid),
                Some(None) => false,
                Some(Some(at)) => self.stuck[*at] || inside(self.waits[*at].blocked) && process(waker.pid),
            })
    }

    /// The stuck threads that a stuck thread waits for.
    fn edges(&self, wait: usize) -> Vec<(usize, Edge)> {
        let mut edges = Vec::new();
        if !self.stuck[wait] {
            return edges;
        }
        let pid = self.waits[wait].blocked.task.pid;
        for (at, need) in self.waits[wait].needs.iter().enumerate().filter(|(_, need)| self.hopeless(need)) {
            for (number, waker) in need.by.iter().enumerate() {
                // A process that has both sides of a pipe waits for somebody else all the same.
                if need.nature == Nature::Flow && waker.pid == pid {
                    continue;
                }
                let edge = Edge { wait, need: at, waker: Some(number) };
                let thread = waker.tid.and_then(|tid| self.by_tid.get(&tid)).filter(|at| self.stuck[**at]);
                let targets = match thread {
                    Some(thread) => std::slice::from_ref(thread),
                    None => self.by_pid.get(&waker.pid).map_or(&[][..], |all| all),
                };
                edges.extend(targets.iter().filter(|at| self.stuck[**at]).map(|at| (*at, edge)));
            }
        }
        edges
    }

    /// Those that wait for a thread that is dead.
    fn left_alone(&self) -> impl Iterator<Item = Edge> {
        (0..self.waits.len()).flat_map(|wait| {
            let dead = self.waits[wait].needs.iter().enumerate().filter(|(_, need)| need.closed && need.by.is_empty());
            dead.map(move |(need, _)| Edge { wait, need, waker: None })
        })
    }
}

/// Servers that wait for each other's requests have nothing to do, and a process alone with a pipe may be
/// woken by a signal.
fn means_something(edges: &[Edge], waits: &[Wait<'_>]) -> bool {
    let nature = |edge: &Edge| waits[edge.wait].needs[edge.need].nature;
    let first = waits[edges[0].wait].blocked.task.pid;
    if edges.iter().all(|edge| waits[edge.wait].blocked.task.pid == first) {
        return edges.iter().any(|edge| nature(edge) == Nature::Held);
    }
    edges.iter().any(|edge| nature(edge) != Nature::Idle)
}

/// The shortest circle in a component that means something, told from its first thread on; of several the one
/// with the first threads.
fn shortest(next: &[Vec<(usize, Edge)>], component: &[usize], waits: &[Wait<'_>]) -> Option<Vec<Edge>> {
    let has_itself = |at: &usize| next[*at].iter().any(|(to, _)| to == at);
    // No other can be shorter.
    let least = if component.iter().any(has_itself) { 1 } else { 2 };
    let key = |edges: &Vec<Edge>| (edges.len(), edges.iter().map(|edge| edge.wait).collect::<Vec<_>>());
    let mut best: Option<Vec<Edge>> = None;
    for start in component {
        let Some(edges) = circle(next, component, *start).map(|edges| first_in_front(edges, waits)) else { continue };
        if means_something(&edges, waits) && best.as_ref().is_none_or(|best| key(&edges) < key(best)) {
            best = Some(edges);
        }
        if best.as_ref().is_some_and(|best| best.len() == least) {
            break;
        }
    }
    best
}

/// How many waits that are no part of a component wait for it, each for one that does or for a member.
fn behind(next: &[Vec<(usize, Edge)>], component: &[usize]) -> usize {
    let mut before: Vec<Vec<usize>> = vec![Vec::new(); next.len()];
    for (from, edges) in next.iter().enumerate() {
        edges.iter().for_each(|(to, _)| before[*to].push(from));
    }
    let mut met = vec![false; next.len()];
    component.iter().for_each(|at| met[*at] = true);
    let mut queue = component.to_vec();
    while let Some(at) = queue.pop() {
        for from in &before[at] {
            if !std::mem::replace(&mut met[*from], true) {
                queue.push(*from);
            }
        }
    }
    met.iter().filter(|met| **met).count() - component.len()
}

/// The strongly connected components in which there is a circle, each in ascending order (Tarjan, 1972,
/// without recursion).
fn components(next: &[Vec<(usize, Edge)>]) -> Vec<Vec<usize>> {
    const NEW: usize = usize::MAX;
    let mut number = vec![NEW; next.len()];
    let mut low = vec![NEW; next.len()];
    let mut open = vec![false; next.len()];
    let mut stack = Vec::new();
    let mut count = 0;
    let mut found = Vec::new();
    for root in 0..next.len() {
        if number[root] != NEW {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((at, child)) = path.pop() {
            if child == 0 {
                (number[at], low[at], open[at]) = (count, count, true);
                count += 1;
                stack.push(at);
            } else {
                let before = next[at][child - 1].0;
                low[at] = low[at].min(low[before]);
            }
            let mut deeper = None;
            for (offset, (to, _)) in next[at][child..].iter().enumerate() {
                if number[*to] == NEW {
                    deeper = Some((child + offset + 1, *to));
                    break;
                }
                if open[*to] {
                    low[at] = low[at].min(number[*to]);
                }
            }
            if let Some((child, to)) = deeper {
                path.push((at, child));
                path.push((to, 0));
                continue;
            }
            if low[at] == number[at] {
                let from = stack.iter().rposition(|member| *member == at).unwrap_or(0);
                let mut component = stack.split_off(from);
                component.iter().for_each(|member| open[*member] = false);
                component.sort_unstable();
                if component.len() > 1 || next[at].iter().any(|(to, _)| *to == at) {
                    found.push(component);
                }
            }
        }
    }
    found
}

/// The shortest circle through a member of a component.
fn circle(next: &[Vec<(usize, Edge)>], component: &[usize], start: usize) -> Option<Vec<Edge>> {
    let mut came: HashMap<usize, (usize, Edge)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for (to, edge) in next[at].iter().filter(|(to, _)| component.binary_search(to).is_ok()) {
            if *to == start {
                let mut edges = vec![*edge];
                let mut back = at;
                while back != start {
                    let (before, edge) = came[&back];
                    edges.push(edge);
                    back = before;
                }
                edges.reverse();
                return Some(edges);
            }
            came.entry(*to).or_insert_with(|| {
                queue.push_back(*to);
                (at, *edge)
            });
        }
    }
    None
}

/// The same circle, told from its lowest thread on, however it was found.
fn first_in_front(mut edges: Vec<Edge>, waits: &[Wait<'_>]) -> Vec<Edge> {
    let task = |edge: &Edge| {
        let task = &waits[edge.wait].blocked.task;
        (task.pid, task.tid)
    };
    let first = (0..edges.len()).min_by_key(|at| task(&edges[*at])).unwrap_or(0);
    edges.rotate_left(first);
    edges
}

#[cfg(test)]
mod tests {
    use super::super::wakers::Waker;
    use super::*;
    use crate::model::{Resource, Task, Text};

    /// A thread that waits; what for is in its needs, or it is another thread of its process.
    fn thread(pid: i32, tid: i32, inside: bool) -> Blocked {
        Blocked {
            task: Task { pid, tid, started: 0, command: Text::from("x") },
            call: "futex",
            awaits: if inside {
                Awaits::Futex { word: None, what: crate::model::Futex::Unknown }
            } else {
                Awaits::Read { fd: 0, file: Resource::Eventfd(0) }
            },
            since: None,
            timeout: None,
            namespace: 0,
            stopped: false,
        }
    }

    fn waker(pid: i32, tid: Option<i32>, grade: Grade) -> Waker {
        Waker { pid, tid, command: Text::from("x"), grade, does: "holds", because: String::new() }
    }

    fn need(nature: Nature, closed: bool, by: &[i32]) -> Need {
        Need {
            what: String::new(),
            nature,
            by: by.iter().map(|pid| waker(*pid, None, Grade::Exact)).collect(),
            closed,
            others: None,
            besides: Vec::new(),
            state: String::new(),
            odd: Vec::new(),
        }
    }

    /// The pids of each deadlock among threads with these needs, if all processes have as many threads as
    /// wait, and those of `more` one more.
    fn cycles(list: &[(Blocked, Vec<Need>)], more: &[i32]) -> Vec<Vec<i32>> {
        let waits: Vec<Wait<'_>> = list.iter().map(|(blocked, needs)| Wait { blocked, needs: needs.clone() }).collect();
        let threads = |pid| {
            let waiting = list.iter().filter(|(blocked, _)| blocked.task.pid == pid).count();
            waiting + usize::from(more.contains(&pid))
        };
        let found = find(&waits, threads);
        let pid = |edge: &Edge| waits[edge.wait].blocked.task.tid;
        found.iter().map(|cycle| cycle.edges.iter().map(pid).collect()).collect()
    }

    fn held(pid: i32, by: &[i32]) -> (Blocked, Vec<Need>) {
        (thread(pid, pid, false), vec![need(Nature::Held, true, by)])
    }

    #[test]
    fn two_that_wait_for_each_other_are_found_once_from_the_lower_pid_on() {
        assert_eq!(cycles(&[held(7, &[3]), held(3, &[7])], &[]), [[3, 7]]);
        assert_eq!(cycles(&[held(5, &[4]), held(4, &[3]), held(3, &[5])], &[]), [[3, 5, 4]]);
    }

    #[test]
    fn a_chain_is_none_and_neither_is_one_whose_holder_runs() {
        assert_eq!(cycles(&[held(1, &[2]), held(2, &[3])], &[]), [[0; 0]; 0]);
        assert_eq!(cycles(&[held(1, &[2]), held(2, &[1])], &[2]), [[0; 0]; 0]);
    }

    #[test]
    fn whoever_waits_for_a_deadlock_is_not_part_of_it() {
        assert_eq!(cycles(&[held(1, &[2]), held(2, &[3]), held(3, &[2])], &[]), [[2, 3]]);
    }

    #[test]
    fn any_of_several_is_enough_and_all_of_several_needs_are_needed() {
        // Another process could write as well, and runs.
        assert_eq!(cycles(&[held(1, &[2, 9]), held(2, &[1])], &[]), [[0; 0]; 0]);
        // Of two that share a lock one waits for us and one runs: it needs both.
        let both = vec![need(Nature::Held, true, &[2]), need(Nature::Held, true, &[9])];
        assert_eq!(cycles(&[(thread(1, 1, false), both), held(2, &[1])], &[]), [[1, 2]]);
    }

    #[test]
    fn what_others_could_end_is_none() {
        let open = vec![need(Nature::Flow, false, &[2])];
        assert_eq!(cycles(&[(thread(1, 1, false), open), held(2, &[1])], &[]), [[0; 0]; 0]);
    }

    #[test]
    fn a_process_is_stuck_when_all_its_threads_are() {
        let main = (thread(1, 1, true), Vec::new());
        let worker = (thread(1, 11, false), vec![need(Nature::Held, true, &[2])]);
        assert_eq!(cycles(&[main.clone(), worker.clone(), held(2, &[1])], &[]), [[11, 2]]);
        assert_eq!(cycles(&[main, worker, held(2, &[1])], &[1]), [[0; 0]; 0]);
        let sleeper = (thread(1, 12, false), Vec::new());
        let worker = (thread(1, 11, false), vec![need(Nature::Held, true, &[2])]);
        assert_eq!(cycles(&[worker, sleeper, held(2, &[1])], &[]), [[0; 0]; 0]);
    }

    #[test]
    fn the_owner_of_a_mutex_is_one_thread_whatever_the_others_do() {
        let owned = |pid, tid, owner: (i32, i32)| {
            let mut need = need(Nature::Held, true, &[]);
            need.by = vec![waker(owner.0, Some(owner.1), Grade::Exact)];
            (thread(pid, tid, false), vec![need])
        };
        assert_eq!(cycles(&[owned(1, 11, (2, 21)), owned(2, 21, (1, 11))], &[1, 2]), [[11, 21]]);
        // A thread that locks what it holds.
        assert_eq!(cycles(&[owned(1, 11, (1, 11))], &[1]), [[11]]);
    }

    #[test]
    fn a_dead_owner_is_a_deadlock_of_its_own() {
        let dead = (thread(1, 1, false), vec![need(Nature::Held, true, &[])]);
        assert_eq!(cycles(std::slice::from_ref(&dead), &[]), [[1]]);
        // And whoever waits for that one waits in vain, too, but is no part of it.
        assert_eq!(cycles(&[dead, held(2, &[1])], &[]), [[1]]);
    }

    #[test]
    fn a_process_alone_with_its_pipe_and_servers_without_work_are_none() {
        let own = (thread(1, 1, false), vec![need(Nature::Flow, true, &[1])]);
        assert_eq!(cycles(&[own], &[]), [[0; 0]; 0]);
        let idle = |pid, of| (thread(pid, pid, false), vec![need(Nature::Idle, true, &[of])]);
        assert_eq!(cycles(&[idle(1, 2), idle(2, 1)], &[]), [[0; 0]; 0]);
        // But one that waits for a message and holds what the sender wants is one.
        assert_eq!(cycles(&[idle(1, 2), held(2, &[1])], &[]), [[1, 2]]);
    }

    #[test]
    fn both_sides_of_a_pipe_in_one_process_hide_no_ring() {
        let flow = |pid, by: &[i32]| (thread(pid, pid, false), vec![need(Nature::Flow, true, by)]);
        assert_eq!(cycles(&[flow(1, &[1, 2]), flow(2, &[1, 2])], &[]), [[1, 2]]);
    }

    #[test]
    fn a_cycle_is_as_sure_as_its_weakest_edge() {
        let mut weak = held(2, &[1]);
        weak.1[0].by[0].grade = Grade::Weak;
        let list = [held(1, &[2]), weak];
        let waits: Vec<Wait<'_>> = list.iter().map(|(blocked, needs)| Wait { blocked, needs: needs.clone() }).collect();
        assert_eq!(find(&waits, |_| 1)[0].grade(&waits), Grade::Weak);
    }

    #[test]
    fn those_who_share_a_lock_with_one_in_a_deadlock_make_no_other_of_it() {
        // A parent that waits for its child has the same lock as the child.
        let list = [held(1, &[3]), held(2, &[4]), held(3, &[2, 4]), held(4, &[1, 3])];
        assert_eq!(cycles(&list, &[]), [[3, 4]]);
    }

    #[test]
    fn of_circles_that_share_a_thread_the_shortest_is_told_and_how_many_more_there_are() {
        let both = (thread(1, 1, false), vec![need(Nature::Held, true, &[2]), need(Nature::Held, true, &[3])]);
        let list = [both, held(2, &[1]), held(3, &[1]), held(4, &[3]), held(5, &[9])];
        assert_eq!(cycles(&list, &[]), [[1, 2]]);
        let waits: Vec<Wait<'_>> = list.iter().map(|(blocked, needs)| Wait { blocked, needs: needs.clone() }).collect();
        let found = find(&waits, |_| 1);
        assert_eq!((&found[0].beside[..], found[0].behind), (&[2][..], 1));
        // All that read one pipe and have both of its ends.
        let flow = |pid| (thread(pid, pid, false), vec![need(Nature::Flow, true, &[1, 2, 3, 4, 5])]);
        assert_eq!(cycles(&[flow(1), flow(2), flow(3), flow(4), flow(5)], &[]), [[1, 2]]);
    }
}
