//! What is said at the end: of each stage, of each pipe, and which stage held up the others.

use super::run::{Pipeline, signal_name};
use super::watch::Watch;
use crate::model::{Align, Field, Record, Seen, Text, Value};
use crate::render::{self, Layout, Style, TimeFormat};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

/// Fewer samples than this say nothing about shares.
const FEW: u32 = 5;
/// From this share on, in percent, a stage waits for what is outside.
const MOSTLY: f64 = 50.0;

/// What a pipeline could not go faster than.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bottleneck {
    /// It was too short to tell, or no stage could be seen.
    Unknown,
    /// Whoever writes our standard input.
    Input,
    Stage(usize),
    /// Whoever reads our standard output.
    Output,
}

/// The stage that waits least for its neighbours is the one that they wait for; unless even the first one
/// waits for its input, or the last one for its output.
pub fn bottleneck(watch: &Watch) -> Bottleneck {
    let shares: Vec<Option<(f64, f64)>> = watch
        .stages
        .iter()
        .map(|stage| Some((stage.all.starved()?, stage.all.blocked()?)).filter(|_| stage.all.seen >= FEW))
        .collect();
    slowest(&shares)
}

/// Of each stage the percent that it was starved and blocked.
fn slowest(shares: &[Option<(f64, f64)>]) -> Bottleneck {
    let known = shares.iter().enumerate().filter_map(|(at, share)| Some((at, (*share)?)));
    let least = known.min_by(|(_, (s1, b1)), (_, (s2, b2))| (s1 + b1).total_cmp(&(s2 + b2)));
    match (least, shares.first(), shares.last()) {
        (None, ..) => Bottleneck::Unknown,
        (Some((_, (starved, blocked))), first, last) if starved + blocked >= MOSTLY => match (first, last) {
            (Some(Some((starved, _))), _) if *starved >= MOSTLY => Bottleneck::Input,
            (_, Some(Some((_, blocked)))) if *blocked >= MOSTLY => Bottleneck::Output,
            _ => least.map_or(Bottleneck::Unknown, |(at, _)| Bottleneck::Stage(at)),
        },
        (Some((at, _)), ..) => Bottleneck::Stage(at),
    }
}

/// The report of a pipeline that has ended.
pub fn pipeline(pipeline: &Pipeline<'_>, json: bool) -> Vec<u8> {
    let stages: Vec<Record> = (0..pipeline.commands.len()).map(|at| stage(pipeline, at, json)).collect();
    let edges = pipeline.watch.as_ref().map(|watch| (0..watch.edges.len()).map(|at| edge(watch, at)).collect());
    let edges: Vec<Record> = edges.unwrap_or_default();
    let slowest = pipeline.watch.as_ref().map_or(Bottleneck::Unknown, bottleneck);
    let sentence = sentence(pipeline, slowest);
    let elapsed = pipeline.started.elapsed();
    let mut text = Vec::new();
    // Writing into memory cannot fail.
    if json {
        let (place, at) = match slowest {
            Bottleneck::Unknown => (Seen::Absent, Seen::Absent),
            Bottleneck::Input => (Seen::Is(Value::Word("input")), Seen::Absent),
            Bottleneck::Output => (Seen::Is(Value::Word("output")), Seen::Absent),
            Bottleneck::Stage(at) => (Seen::Is(Value::Word("stage")), count(Some(at as u64 + 1))),
        };
        let record = |rows: Vec<Record>| Seen::Is(Value::List(rows.into_iter().map(Value::Record).collect()));
        let bottleneck = vec![("place", place), ("stage", at), ("text", Seen::Is(Value::Phrase(sentence)))];
        let facts = [
            ("version", count(Some(1))),
            ("elapsed_ms", millis(elapsed)),
            ("stages", record(stages)),
            ("edges", record(edges)),
            ("bottleneck", Seen::Is(Value::Record(bottleneck))),
        ];
        drop(render::json_record(&mut text, &facts));
    } else {
        table(&mut text, &stages);
        if !edges.is_empty() {
            text.push(b'\n');
            table(&mut text, &edges);
        }
        text.extend_from_slice(format!("\n{sentence}\n").as_bytes());
    }
    text
}

fn table(text: &mut Vec<u8>, rows: &[Record]) {
    let Some(first) = rows.first() else { return };
    let fields: Vec<Field<Record>> = first.iter().map(|(key, _)| column(key)).collect();
    let fields: Vec<&Field<Record>> = fields.iter().collect();
    let layout = Layout { headings: true, width: None, color: false };
    drop(render::table(text, &fields, rows, &Style::new(false, TimeFormat::Unix), layout));
}

fn column(key: &'static str) -> Field<Record> {
    Field::of_records(key, if matches!(key, "command" | "status") { Align::Left } else { Align::Right })
}

/// A number, `?` where it is not known.
fn count(number: Option<u64>) -> Seen<Value> {
    number.map_or_else(unknown, |n| Seen::Is(Value::Count(n)))
}

fn size(bytes: Option<u64>) -> Seen<Value> {
    bytes.map_or_else(unknown, |n| Seen::Is(Value::Size(n)))
}

fn percent(share: Option<f64>) -> Seen<Value> {
    share.map_or_else(unknown, |share| Seen::Is(Value::Percent(share)))
}

fn unknown() -> Seen<Value> {
    Seen::hidden("open", nix::errno::Errno::EACCES as i32)
}

fn millis(time: Duration) -> Seen<Value> {
    Seen::Is(Value::Count(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
}

fn stage(pipeline: &Pipeline<'_>, at: usize, json: bool) -> Record {
    let command = pipeline.commands[at];
    let end = pipeline.ends[at].as_ref();
    let usage = end.map(|end| end.usage);
    let watch = pipeline.watch.as_ref();
    let tally = watch.map(|watch| watch.stages[at].all).unwrap_or_default();
    // The first stage reads what is not ours to measure, and so is what the last one writes: as counted.
    let read = watch.and_then(|watch| if at == 0 { watch.read(at) } else { watch.moved(at - 1) });
    let written =
        watch.and_then(|watch| watch.written(at).or_else(|| (at < watch.edges.len()).then(|| watch.moved(at))?));
    let (starved, blocked) = (percent(tally.starved()), percent(tally.blocked()));
    let number = count(Some(at as u64 + 1));
    if json {
        let words = command.iter().map(|word| Value::Text(Text::from(word.as_bytes()))).collect();
        let code = end.and_then(|end| end.status.code()).and_then(|code| u64::try_from(code).ok());
        let signal = end.and_then(|end| end.status.signal());
        return vec![
            ("stage", number),
            ("command", Seen::Is(Value::List(words))),
            ("pid", Seen::Is(Value::Pid(pipeline.pids[at]))),
            ("status", code.map(Value::Count).into()),
            ("signal", signal.map(|signal| Value::Phrase(signal_name(signal))).into()),
            ("user_ms", usage.map_or(Seen::Absent, |usage| millis(usage.user))),
            ("system_ms", usage.map_or(Seen::Absent, |usage| millis(usage.system))),
            ("max_memory", size(usage.map(|usage| usage.memory))),
            ("bytes_in", size(read)),
            ("bytes_out", size(written)),
            ("samples", count(Some(tally.seen.into()))),
            ("starved_percent", starved),
            ("blocked_percent", blocked),
        ];
    }
    let words: Vec<&[u8]> = command.iter().map(|word| word.as_bytes()).collect();
    let status = end.map_or_else(String::new, |end| match (end.status.code(), end.status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, signal) => signal_name(signal.unwrap_or(0)),
    });
    let cpu = usage.map_or(Seen::Absent, |usage| {
        Seen::Is(Value::Phrase(format!("{:.2}s", (usage.user + usage.system).as_secs_f64())))
    });
    vec![
        ("stage", number),
        ("command", Seen::Is(Value::Text(Text::from(words.join(&b' '))))),
        ("status", Seen::Is(Value::Phrase(status))),
        ("cpu", cpu),
        ("memory", size(usage.map(|usage| usage.memory))),
        ("bytes_in", size(read)),
        ("bytes_out", size(written)),
        ("starved", starved),
        ("blocked", blocked),
    ]
}

fn edge(watch: &Watch, at: usize) -> Record {
    let edge = &watch.edges[at];
    vec![
        ("from", count(Some(at as u64 + 1))),
        ("to", count(Some(at as u64 + 2))),
        ("bytes", size(watch.moved(at))),
        ("capacity", size(Some(edge.capacity as u64))),
        ("mean_fill", size(edge.fills.mean())),
        ("max_fill", size(edge.fills.max)),
        ("slots", count(Some(edge.room() as u64))),
        ("mean_used", count(edge.slots.mean())),
        ("max_used", count(edge.slots.max)),
    ]
}

fn sentence(pipeline: &Pipeline<'_>, slowest: Bottleneck) -> String {
    match slowest {
        Bottleneck::Unknown => "bottleneck: it ended too soon to tell, or may not be looked at".to_owned(),
        Bottleneck::Input => "bottleneck: standard input; the first command waited for it most of the time".to_owned(),
        Bottleneck::Output => {
            "bottleneck: whoever reads standard output; the last command waited for it most of the time".to_owned()
        }
        Bottleneck::Stage(at) => {
            let name = Text::from(pipeline.commands[at][0].as_bytes());
            let tally = pipeline.watch.as_ref().map(|watch| watch.stages[at].all).unwrap_or_default();
            let (starved, blocked) = (tally.starved().unwrap_or(0.0), tally.blocked().unwrap_or(0.0));
            format!(
                "bottleneck: stage {} ({}); it waited {starved:.0}% of the time for its input and {blocked:.0}% for its \
                 output, less than any other (of {} samples)",
                at + 1,
                name.escaped(),
                tally.seen
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottleneck_is_the_stage_that_waits_least() {
        assert_eq!(slowest(&[Some((0.0, 90.0)), Some((5.0, 1.0)), Some((95.0, 0.0))]), Bottleneck::Stage(1));
        assert_eq!(slowest(&[Some((0.0, 2.0)), Some((97.0, 0.0))]), Bottleneck::Stage(0));
        assert_eq!(slowest(&[None, Some((30.0, 0.0))]), Bottleneck::Stage(1));
        assert_eq!(slowest(&[None, None]), Bottleneck::Unknown);
    }

    #[test]
    fn where_all_of_them_wait_it_is_outside() {
        assert_eq!(slowest(&[Some((90.0, 0.0)), Some((95.0, 0.0))]), Bottleneck::Input);
        assert_eq!(slowest(&[Some((0.0, 95.0)), Some((0.0, 90.0))]), Bottleneck::Output);
        // Two stages that take turns wait for each other.
        assert_eq!(slowest(&[Some((0.0, 60.0)), Some((55.0, 0.0))]), Bottleneck::Stage(1));
    }
}
