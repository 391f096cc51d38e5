//! What is asked for on the command line.

use std::path::PathBuf;

use leakscope_sim::labelled::Half;

use crate::cases::Group;

/// The words that are understood.
const USAGE: &str = "usage: score [--group NAME]... [--half development|test] [--quick] [--list] [--series DIR]...
groups: background, injected, look-alikes, intervals, corpus, simulated, demo";

/// A run of the benchmark, as it was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args {
    /// Groups to run; all of them where none is named.
    pub(crate) groups: Vec<Group>,
    /// The one half to run.
    pub(crate) half: Option<Half>,
    /// A quarter of the series and of the seeds.
    pub(crate) quick: bool,
    /// Whether each wrong verdict is shown.
    pub(crate) list: bool,
    /// Further folders of series.
    pub(crate) folders: Vec<PathBuf>,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self::default();
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
                "--list" => args.list = true,
                "--series" => args.folders.push(PathBuf::from(value()?)),
                _ => return Err(format!("argument `{word}` not known\n{USAGE}")),
            }
        }
        Ok(args)
    }

    pub(crate) fn wants(&self, group: Group) -> bool {
        self.groups.is_empty() || self.groups.contains(&group)
    }
}
