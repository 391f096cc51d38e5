//! What is asked for on the command line.

use std::path::PathBuf;

use leakscope_sim::labelled::Half;

use crate::cases::Group;

/// The words that are understood.
const USAGE: &str =
    "usage: score [--group NAME]... [--half development|test] [--series DIR]... [--time-scale N]\n             [--quick] [--ours] [--list] [--format text|json] [--write]
groups: background, injected, look-alikes, intervals, corpus, simulated, demo";

/// How the report is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables.
    #[default]
    Text,
    /// Tables, and below them each wrong verdict with its reasons.
    List,
    /// One document for machines, with every series.
    Json,
}

/// A run of the benchmark, as it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// Groups to run; all of them where none is named.
    pub(crate) groups: Vec<Group>,
    /// The one half to run.
    pub(crate) half: Option<Half>,
    /// A quarter of the series and of the seeds.
    pub(crate) quick: bool,
    /// Without the peers.
    pub(crate) ours: bool,
    /// How the report is shown.
    pub(crate) format: Format,
    /// Whether the report goes into docs/.
    pub(crate) write: bool,
    /// Further folders of series.
    pub(crate) folders: Vec<PathBuf>,
    /// What times in those without labels are multiplied by.
    pub(crate) time_scale: f64,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { time_scale: 1.0, ..Self::default() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("expected a value after `{word}`\n{USAGE}"));
            match word.as_str() {
                "--group" => {
                    let name = value()?;
                    let group = Group::ALL.into_iter().find(|group| group.name() == name);
                    args.groups.push(group.ok_or_else(|| format!("group `{name}` not known\n{USAGE}"))?);
                }
                "--half" => {
                    let name = value()?;
                    let half = Half::BOTH.into_iter().find(|half| half.name() == name);
                    args.half = Some(half.ok_or_else(|| format!("half `{name}` not known\n{USAGE}"))?);
                }
                "--quick" => args.quick = true,
                "--ours" => args.ours = true,
                "--list" => args.format = Format::List,
                "--write" => args.write = true,
                "--format" => {
                    args.format = match value()?.as_str() {
                        "json" => Format::Json,
                        "text" => Format::Text,
                        other => return Err(format!("format `{other}` not known (known: text, json)\n{USAGE}")),
                    }
                }
                "--time-scale" => {
                    let text = value()?;
                    let scale = text.trim_end_matches('x').parse().ok().filter(|scale: &f64| *scale > 0.0);
                    args.time_scale =
                        scale.ok_or_else(|| format!("expected a number above 0 after `{word}`, found `{text}`"))?;
                }
                "--series" => args.folders.push(PathBuf::from(value()?)),
                _ => return Err(format!("argument `{word}` not known\n{USAGE}")),
            }
        }
        if args.write && (!args.groups.is_empty() || args.half.is_some() || args.quick || args.ours) {
            return Err(format!(
                "only a whole run is written into docs/: leave out the rest beside `--write`\n{USAGE}"
            ));
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, group: Group) -> bool {
        self.groups.is_empty() || self.groups.contains(&group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn what_is_asked_for_is_what_runs() {
        let args = parsed("--group corpus --half test --series a --series b --time-scale 60x --format json").unwrap();
        assert!(args.wants(Group::Corpus) && !args.wants(Group::Demo));
        assert_eq!(
            (args.half, args.folders.len(), args.time_scale, args.format),
            (Some(Half::Test), 2, 60.0, Format::Json)
        );
        assert!(parsed("").unwrap().wants(Group::Demo));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_what_is() {
        for line in
            ["--group all", "--half third", "--format xml", "--series", "--time-scale 0", "--fast", "--write --quick"]
        {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
