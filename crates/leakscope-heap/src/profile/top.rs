//! What is made where: flat and cumulative values by function, file, line or address, as `go tool pprof -top` has them.

use std::cmp::{Ordering, Reverse};

use super::model::Profile;
pub use super::nodes::Granularity;
use super::nodes::{Binaries, Nodes};

/// Values of one function, file, line or address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its number in this profile at this granularity.
    pub number: usize,
    /// The function; where none is known the file, else the binary as `[name]`, else `<unknown>`.
    pub name: String,
    /// Its source file. By [`Granularity::Functions`] that of the first function of the name.
    pub file: Option<String>,
    /// Line of the source, from 1; none but by lines and addresses.
    pub line: Option<u32>,
    /// Address of the program; none but by addresses.
    pub address: Option<u64>,
    /// All that the row is known by, as pprof prints it: `00000000004a3f10 main.put /src/cache.go:41`.
    pub label: String,
    /// Made by itself, one value for each sample type.
    pub flat: Vec<i64>,
    /// Made by itself and by all that it calls, each sample counted once, likewise.
    pub cum: Vec<i64>,
}

/// By which values rows are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What they make themselves.
    #[default]
    Flat,
    /// What they and all below them make.
    Cum,
}

/// Flat and cumulative values of all rows, of all sample types at once; those that are 0 everywhere are left out.
///
/// In the order in which the profile names them; [`rank`] sorts. A sample counts flat for the innermost frame of its first location,
/// and once cumulatively for each row that it passes, however often. Sums wrap as pprof's do.
///
/// O(frames of all stacks), without a look-up for each.
pub fn top(profile: &Profile, granularity: Granularity) -> Vec<Row> {
    top_of(profile, &[Part::whole(profile)], granularity)
}

/// Likewise of several parts whose locations are those of `tables`.
pub(crate) fn top_of(tables: &Profile, parts: &[Part<'_>], granularity: Granularity) -> Vec<Row> {
    let nodes = Nodes::of(tables, granularity, Binaries::Merged);
    let mut sums = Sums::none(tables.sample_types.len(), &nodes);
    for part in parts {
        sums.add(part, &nodes);
    }
    let has_value = |number: &usize| {
        let (flat, cum) = sums.of_node(*number);
        flat.iter().chain(cum).any(|value| *value != 0)
    };
    (0..nodes.len()).filter(has_value).map(|number| row(tables, &nodes, &sums, number)).collect()
}

pub(crate) fn row(profile: &Profile, nodes: &Nodes, sums: &Sums, number: usize) -> Row {
    let key = &nodes.keys[number];
    let file = &nodes.files[nodes.source_files[number] as usize];
    let (flat, cum) = sums.of_node(number);
    Row {
        number,
        name: nodes.short_name(profile, key),
        file: (!file.is_empty()).then(|| file.clone()),
        line: u32::try_from(key.line).ok().filter(|line| *line != 0),
        address: (key.address != 0).then_some(key.address),
        label: nodes.long_name(profile, key),
        flat: flat.to_vec(),
        cum: cum.to_vec(),
    }
}

/// Drops rows that have nothing in one column, and sorts the others as [`sort`] does.
pub fn rank(rows: &mut Vec<Row>, column: usize, order: Order) {
    rows.retain(|row| row.flat[column] != 0 || row.cum[column] != 0);
    sort(rows, column, order);
}

/// Sorts by the size of one column's values, the largest first; of equals as pprof does.
pub fn sort(rows: &mut [Row], column: usize, order: Order) {
    rows.sort_by(|a, b| compare(a, b, column, order));
}

pub(crate) fn compare(a: &Row, b: &Row, column: usize, order: Order) -> Ordering {
    let size = |value: i64| Reverse(value.unsigned_abs());
    let flat = size(a.flat[column]).cmp(&size(b.flat[column]));
    let cum = size(a.cum[column]).cmp(&size(b.cum[column]));
    let (first, last) = match order {
        Order::Flat => (flat, cum),
        Order::Cum => (cum, flat),
    };
    first.then_with(|| a.label.cmp(&b.label)).then(last)
}

/// The sum of the sizes of all values, for each sample type: what shares are shares of.
///
/// Of a difference whose base is marked, of the base alone, as pprof has it.
pub fn totals(profile: &Profile) -> Vec<i64> {
    let n = profile.sample_types.len();
    let mut all = vec![0_i64; n];
    let mut base = vec![0_i64; n];
    for sample in 0..profile.n_samples() {
        let is_base = is_base(profile, sample);
        for (column, value) in profile.values(sample).iter().enumerate() {
            all[column] = all[column].wrapping_add(value.wrapping_abs());
            if is_base {
                base[column] = base[column].wrapping_add(value.wrapping_abs());
            }
        }
    }
    all.into_iter().zip(base).map(|(all, base)| if base > 0 { base } else { all }).collect()
}

/// Label of what is subtracted, so that equal stacks of both stay apart, as `go tool pprof` has it.
pub(crate) const BASE_LABEL: (&str, &str) = ("pprof::base", "true");

pub(crate) fn is_base(profile: &Profile, sample: usize) -> bool {
    profile.labels(sample).iter().any(|label| match label.value {
        super::LabelValue::Text(value) => (profile.text(label.key), profile.text(value)) == BASE_LABEL,
        super::LabelValue::Number { .. } => false,
    })
}

/// Samples of one profile, told in the locations of the same or of another.
#[derive(Clone, Debug)]
pub(crate) struct Part<'p> {
    pub(crate) profile: &'p Profile,
    /// The other profile's location for each of its own that has a value; none where they are the same.
    pub(crate) locations: Option<Vec<u32>>,
    /// Which of its columns count, in order.
    pub(crate) columns: Vec<usize>,
    /// Whether values are taken away.
    pub(crate) is_base: bool,
}

impl<'p> Part<'p> {
    /// All of a profile, as it is.
    pub(crate) fn whole(profile: &'p Profile) -> Self {
        Self { profile, locations: None, columns: (0..profile.sample_types.len()).collect(), is_base: false }
    }

    /// Where a location of its own is.
    #[inline]
    pub(crate) fn location(&self, own: u32) -> u32 {
        self.locations.as_ref().map_or(own, |locations| locations[own as usize])
    }

    #[inline]
    fn values<const N: usize>(&self, sample: usize, columns: &[usize]) -> [i64; N] {
        let values = self.profile.values(sample);
        let signed = |value: i64| if self.is_base { value.saturating_neg() } else { value };
        std::array::from_fn(|index| signed(values[columns[index]]))
    }
}

/// Flat and cumulative values of each node, one of each sample type.
#[derive(Debug)]
pub(crate) struct Sums {
    n_columns: usize,
    flat: Vec<i64>,
    cum: Vec<i64>,
}

/// What one node has while samples pass, in one place: the last sample that passed, counted from 1, and its cumulative values.
#[derive(Clone, Copy)]
struct Passed<const N: usize> {
    stamp: u32,
    cum: [i64; N],
}

impl<const N: usize> Passed<N> {
    #[inline]
    fn pass(&mut self, stamp: u32, values: &[i64; N]) {
        if self.stamp != stamp {
            self.stamp = stamp;
            self.cum.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
        }
    }
}

/// Instead of a node: the location has several, or no sample with a value passes it.
const SEVERAL: u32 = u32::MAX;

impl Sums {
    pub(crate) fn of(profile: &Profile, nodes: &Nodes) -> Self {
        let mut sums = Self::none(profile.sample_types.len(), nodes);
        sums.add(&Part::whole(profile), nodes);
        sums
    }

    fn none(n_columns: usize, nodes: &Nodes) -> Self {
        Self { n_columns, flat: vec![0; nodes.len() * n_columns], cum: vec![0; nodes.len() * n_columns] }
    }

    fn add(&mut self, part: &Part<'_>, nodes: &Nodes) {
        let node = |own: u32| match part.location(own) {
            u32::MAX => SEVERAL,
            location => {
                if let [node] = nodes.at(location) {
                    *node
                } else {
                    SEVERAL
                }
            }
        };
        let node_of: Vec<u32> = (0..part.profile.locations.len() as u32).map(node).collect();
        for first in (0..self.n_columns).step_by(2) {
            match part.columns[first..] {
                [_] => self.pass::<1>(part, nodes, &node_of, first),
                _ => self.pass::<2>(part, nodes, &node_of, first),
            }
        }
    }

    /// Adds the `N` columns from `first` on.
    fn pass<const N: usize>(&mut self, part: &Part<'_>, nodes: &Nodes, node_of: &[u32], first: usize) {
        let columns = &part.columns[first..first + N];
        let mut passed = vec![Passed { stamp: 0, cum: [0; N] }; nodes.len()];
        for sample in 0..part.profile.n_samples() {
            let values: [i64; N] = part.values(sample, columns);
            let stack = part.profile.stack(sample);
            let Some(leaf) = stack.first().filter(|_| values != [0; N]) else { continue };
            let stamp = sample as u32 + 1;
            for &location in stack {
                match node_of[location as usize] {
                    SEVERAL => {
                        for node in nodes.at(part.location(location)) {
                            passed[*node as usize].pass(stamp, &values);
                        }
                    }
                    node => passed[node as usize].pass(stamp, &values),
                }
            }
            let leaf = nodes.at(part.location(*leaf))[0] as usize;
            add(&mut self.flat[leaf * self.n_columns + first..], &values);
        }
        for (node, passed) in passed.iter().enumerate() {
            add(&mut self.cum[node * self.n_columns + first..], &passed.cum);
        }
    }

    /// Flat and cumulative values of one node.
    pub(crate) fn of_node(&self, node: usize) -> (&[i64], &[i64]) {
        let columns = node * self.n_columns..(node + 1) * self.n_columns;
        (&self.flat[columns.clone()], &self.cum[columns])
    }
}

#[inline]
fn add(sums: &mut [i64], values: &[i64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
}

#[cfg(test)]
mod tests {
    use super::super::testing::profile;
    use super::*;

    const COLUMNS: &[(&str, &str)] = &[("inuse_objects", "count"), ("inuse_space", "bytes")];

    fn rows(granularity: Granularity, stacks: &[(&str, &[i64])]) -> Vec<(String, Vec<i64>, Vec<i64>)> {
        let rows = top(&profile(COLUMNS, stacks), granularity);
        rows.into_iter().map(|row| (row.label, row.flat, row.cum)).collect()
    }

    fn row(label: &str, flat: [i64; 2], cum: [i64; 2]) -> (String, Vec<i64>, Vec<i64>) {
        (label.to_owned(), flat.to_vec(), cum.to_vec())
    }

    #[test]
    fn recursion_counts_once_and_the_innermost_inlined_frame_is_the_leaf() {
        let found = rows(Granularity::Functions, &[("main;walk;walk;walk", &[1, 10]), ("main;walk>make", &[2, 30])]);
        let expected = [row("walk", [1, 10], [3, 40]), row("main", [0, 0], [3, 40]), row("make", [2, 30], [2, 30])];
        assert_eq!(found, expected);
    }

    #[test]
    fn frames_are_one_row_by_what_is_asked_for() {
        let stacks: &[(&str, &[i64])] = &[("main:1;put:3", &[1, 10]), ("main:1;put:4", &[1, 20]), ("main:2", &[1, 5])];
        let cases: [(Granularity, &[(&str, i64, i64)]); 4] = [
            (Granularity::Functions, &[("put", 30, 30), ("main", 5, 35)]),
            (Granularity::FileFunctions, &[("put put.c", 30, 30), ("main main.c", 5, 35)]),
            (Granularity::Files, &[("put.c", 30, 30), ("main.c", 5, 35)]),
            (
                Granularity::Lines,
                &[("put put.c:3", 10, 10), ("main main.c:1", 0, 30), ("put put.c:4", 20, 20), ("main main.c:2", 5, 5)],
            ),
        ];
        for (granularity, expected) in cases {
            let found = rows(granularity, stacks);
            let found: Vec<(&str, i64, i64)> = found.iter().map(|row| (row.0.as_str(), row.1[1], row.2[1])).collect();
            assert_eq!(found, expected, "{granularity:?}");
        }
    }

    #[test]
    fn what_has_no_function_is_its_binary() {
        let found = rows(Granularity::Functions, &[("?@/usr/bin/app;-@/lib/libc.so;?", &[1, 1])]);
        let names: Vec<&str> = found.iter().map(|row| row.0.as_str()).collect();
        assert_eq!(names, ["<unknown>", "[libc.so]", "[app]"]);
    }

    #[test]
    fn rows_rank_by_the_size_of_their_values_and_then_by_name() {
        let stacks: &[(&str, &[i64])] = &[("b", &[1, 5]), ("c", &[1, -9]), ("a", &[1, 5]), ("main;d", &[1, 0])];
        for (column, order, names) in
            [(1, Order::Flat, "c a b"), (0, Order::Cum, "a b c d main"), (0, Order::Flat, "a b c d main")]
        {
            let mut rows = top(&profile(COLUMNS, stacks), Granularity::Functions);
            rank(&mut rows, column, order);
            let found: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
            assert_eq!(found.join(" "), names, "{column} {order:?}");
        }
    }
}
