//! Profiles beside `go tool pprof`: every row of its tables, in its order, to the byte; and laws that hold for any profile.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as a test does")]
#![expect(clippy::disallowed_methods, reason = "tests write files and run programs, the crate does not")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

mod laws;
mod made;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use leakscope_heap::profile::{
    Call, Filter, Granularity, Inlined, Order, Profile, call_graph, difference, inlined, listing, prune, rank, read,
    top,
};
use regex::Regex;

const GRANULARITIES: [(&str, Granularity); 5] = [
    ("-functions", Granularity::Functions),
    ("-filefunctions", Granularity::FileFunctions),
    ("-files", Granularity::Files),
    ("-lines", Granularity::Lines),
    ("-addresses", Granularity::Addresses),
];
const ORDERS: [(&str, Order); 2] = [("-flat", Order::Flat), ("-cum", Order::Cum)];
const FILTERS: [&str; 10] = [
    "-focus=main\\.put",
    "-focus=shop\\.go -ignore=walk",
    "-ignore=runtime|alloc",
    "-hide=make[12]|put",
    "-hide=mallocgc -show=main|runtime",
    "-show=main\\.",
    "-show_from=main\\.(walk|put)",
    "-focus=a -hide=^$ -show_from=m",
    "-focus=app|vdso",
    "-show=\\.go",
];

/// Whether Go is installed; says so where it is not.
fn has_go() -> bool {
    let found = Command::new("go").arg("version").output().is_ok_and(|version| version.status.success());
    if !found {
        eprintln!("SKIPPED: no Go is installed, whose pprof the figures are compared with");
    }
    found
}

/// What `go tool pprof` prints, with values in bytes and nothing trimmed.
fn pprof(arguments: &[&str], files: &[&Path]) -> String {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-symbolize=none", "-source_path=/nowhere", "-unit=B"]);
    command.args(["-nodecount=0", "-nodefraction=0", "-edgefraction=0"]).args(arguments).args(files);
    let ran = command.env("PPROF_TMPDIR", std::env::temp_dir()).output().unwrap();
    assert!(ran.status.success(), "{arguments:?} {files:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Profiles of a real program, two of each kind, the later one last.
fn shop(folder: &Path) -> Vec<[PathBuf; 2]> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pprof/shop.go");
    let ran = Command::new("go").arg("run").arg(source).arg(folder).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let kinds = ["heap", "allocs", "goroutine"];
    kinds.iter().map(|kind| [0, 1].map(|round| folder.join(format!("{kind}-{round}.pb.gz")))).collect()
}

fn open(path: &Path) -> Profile {
    let packed = fs::read(path).unwrap();
    let mut bytes = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    } else {
        bytes = packed;
    }
    prune(read(&bytes).unwrap())
}

fn filtered(profile: &Profile, options: &str) -> Profile {
    let mut filter = Filter::default();
    for option in options.split_whitespace() {
        let (name, pattern) = option.split_once('=').unwrap();
        let field = match name {
            "-focus" => &mut filter.focus,
            "-ignore" => &mut filter.ignore,
            "-hide" => &mut filter.hide,
            "-show" => &mut filter.show,
            _ => &mut filter.show_from,
        };
        *field = Some(Regex::new(pattern).unwrap());
    }
    filter.apply(profile)
}

/// One row of a table: flat, cumulative, name, and what is told of inlining.
type Row = (i64, i64, String, String);

/// Each row that pprof prints.
fn their_rows(text: &str, order: Order) -> Vec<Row> {
    let rows = text.lines().skip_while(|line| !line.trim_start().starts_with("flat  flat%")).skip(1);
    let rows = rows.map(|row| {
        let words: Vec<&str> = row.split_whitespace().take(5).collect();
        let name = &row[place_of_name(row)..];
        let mark = [" (inline)", " (partial-inline)"].into_iter().find(|mark| name.ends_with(mark)).unwrap_or("");
        (value(words[0]), value(words[3]), name.strip_suffix(mark).unwrap().to_owned(), mark.to_owned())
    });
    settled(rows.collect(), order)
}

/// Rows of one name that are ranked by equal values stand in any order in pprof's tables; here by what else is told of them.
fn settled(mut rows: Vec<Row>, order: Order) -> Vec<Row> {
    let rank = |row: &Row| (if order == Order::Flat { row.0.abs() } else { row.1.abs() }, row.2.clone());
    for run in rows.chunk_by_mut(|a, b| rank(a) == rank(b)) {
        run.sort();
    }
    rows
}

/// Where the name begins: behind five words and two spaces.
fn place_of_name(row: &str) -> usize {
    let mut at = 0;
    for _ in 0..5 {
        at += row[at..].find(|c| c != ' ').unwrap();
        at += row[at..].find(' ').unwrap_or(row.len() - at);
    }
    (at + 2).min(row.len())
}

fn value(shown: &str) -> i64 {
    shown.trim_end_matches('B').parse().unwrap()
}

fn our_rows(profile: &Profile, granularity: Granularity, order: Order, column: usize) -> Vec<Row> {
    let mut rows = top(profile, granularity);
    rank(&mut rows, column, order);
    let marks = inlined(profile, granularity, column);
    let mark = |number: usize| match marks[number] {
        Inlined::Never => "",
        Inlined::Partly => " (partial-inline)",
        Inlined::Always => " (inline)",
    };
    let rows = rows.into_iter().map(|row| (row.flat[column], row.cum[column], row.label, mark(row.number).to_owned()));
    settled(rows.collect(), order)
}

/// Of each node that pprof prints: `flat cum name`, its callers, its callees; calls in an order of their own.
fn their_nodes(text: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
    let mut nodes = Vec::new();
    let mut node: (String, Vec<String>, Vec<String>) = Default::default();
    for line in text.lines().skip_while(|line| !line.starts_with("------")).skip(2) {
        let Some((numbers, name)) = line.split_once(" | ") else {
            if !node.0.is_empty() {
                nodes.push(std::mem::take(&mut node));
            }
            continue;
        };
        let numbers: Vec<&str> = numbers.split_whitespace().collect();
        if numbers.len() > 2 {
            node.0 = format!("{} {} {name}", value(numbers[0]), value(numbers[3]));
        } else {
            let calls = if node.0.is_empty() { &mut node.1 } else { &mut node.2 };
            calls.push(format!("{} {}", value(numbers[0]), name.strip_prefix("  ").unwrap()));
        }
    }
    for node in &mut nodes {
        node.1.sort();
        node.2.sort();
    }
    nodes
}

fn our_nodes(
    profile: &Profile,
    granularity: Granularity,
    column: usize,
    name: Option<&Regex>,
) -> Vec<(String, Vec<String>, Vec<String>)> {
    let graph = call_graph(profile, granularity, column);
    let call = |call: &Call, other: usize| {
        let mark = if call.is_inlined { " (inline)" } else { "" };
        format!("{} {}{mark}", call.value, graph.rows[other].label)
    };
    let ranked = graph.ranked(Order::Flat).into_iter();
    ranked
        .filter(|row| name.is_none_or(|name| name.is_match(&graph.rows[*row].label)))
        .map(|row| {
            let it = &graph.rows[row];
            let mut callers: Vec<String> = graph.callers(row).map(|found| call(found, found.caller)).collect();
            let mut callees: Vec<String> = graph.callees(row).map(|found| call(found, found.callee)).collect();
            callers.sort();
            callees.sort();
            (format!("{} {} {}", it.flat[column], it.cum[column], it.label), callers, callees)
        })
        .collect()
}

/// Compares all that pprof can print of one profile, or of one less another.
fn compare(files: &[&Path], profile: &Profile, arguments: &[&str]) {
    let n_columns = profile.sample_types().len();
    let default = profile.default_column();
    let run = |more: &[&str]| pprof(&[arguments, more].concat(), files);
    for column in 0..n_columns {
        let index = format!("-sample_index={column}");
        for (flag, order) in ORDERS {
            let theirs = their_rows(&run(&["-top", flag, &index]), order);
            let ours = our_rows(profile, Granularity::Functions, order, column);
            assert_eq!(ours, theirs, "{files:?} {flag} {index}");
        }
    }
    for (flag, granularity) in GRANULARITIES {
        let theirs = their_rows(&run(&["-top", flag]), Order::Flat);
        assert_eq!(our_rows(profile, granularity, Order::Flat, default), theirs, "{files:?} {flag}");
    }
    for options in FILTERS {
        let part = filtered(profile, options);
        let flags: Vec<&str> = options.split_whitespace().chain(["-top", "-cum", "-lines"]).collect();
        let theirs = their_rows(&run(&flags), Order::Cum);
        assert_eq!(our_rows(&part, Granularity::Lines, Order::Cum, default), theirs, "{files:?} {options}");
    }
    for (flag, granularity) in [GRANULARITIES[0], GRANULARITIES[3]] {
        let theirs = their_nodes(&run(&["-tree", flag]));
        assert_eq!(our_nodes(profile, granularity, default, None), theirs, "{files:?} -tree {flag}");
    }
}

#[test]
fn tables_of_a_real_program_are_those_of_pprof() {
    if !has_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = Regex::new("main\\.(walk|put|wait)").unwrap();
    for [before, after] in shop(folder.path()) {
        let (base, later) = (open(&before), open(&after));
        compare(&[&after], &later, &[]);
        let base_flag = format!("-diff_base={}", before.display());
        compare(&[&after], &prune(difference(&base, &later)), &[&base_flag]);
        let theirs = their_nodes(&pprof(&["-peek=main\\.(walk|put|wait)"], &[&after]));
        assert_eq!(our_nodes(&later, Granularity::Functions, later.default_column(), Some(&name)), theirs);
        compare_lines(&after, &later);
    }
}

/// Compares sums of functions and values of their lines.
fn compare_lines(file: &Path, profile: &Profile) {
    let mut theirs: Vec<String> = Vec::new();
    for line in pprof(&["-list=main\\."], &[file]).lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(name) = line.strip_prefix("ROUTINE ======================== ") {
            theirs.push(name.to_owned());
        } else if line.contains("(flat, cum)") {
            theirs.push(format!("{} {}", value(words[0]), value(words[1])));
        } else if words.len() > 2 && (words[0] != "." || words[1] != ".") {
            let number = |shown: &str| if shown == "." { 0 } else { value(shown) };
            let line = words[2].split(':').next().unwrap();
            theirs.push(format!("{line}: {} {}", number(words[0]), number(words[1])));
        }
    }
    let mut ours = Vec::new();
    for routine in listing(profile, &Regex::new("main\\.").unwrap(), profile.default_column()) {
        ours.push(format!("{} in {}", routine.function, routine.file.unwrap()));
        ours.push(format!("{} {}", routine.flat, routine.cum));
        ours.extend(routine.lines.iter().map(|line| format!("{}: {} {}", line.line, line.flat, line.cum)));
    }
    assert_eq!(ours, theirs, "{}", file.display());
}

#[test]
fn tables_of_whatever_the_format_allows_are_those_of_pprof() {
    if !has_go() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..4 {
        let path = folder.path().join(format!("{seed}.pb"));
        fs::write(&path, made::made(seed)).unwrap();
        compare(&[&path], &open(&path), &[]);
    }
}
