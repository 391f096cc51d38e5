//! The flags that only profiles have, named as `go tool pprof` names them where it has them.

use std::path::PathBuf;

use clap::ValueEnum;
use leakscope_heap::profile::{Context, Filter, Granularity, Order};
use regex::Regex;

use super::export::check_name;
use crate::exit::Failure;

/// What one row of a profile's table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Functions of one name
    #[default]
    Functions,
    /// Functions of one name in one file
    Filefunctions,
    /// Files
    Files,
    /// Lines of the source
    Lines,
    /// Addresses of the program
    Addresses,
}

impl By {
    pub(crate) fn granularity(self) -> Granularity {
        match self {
            Self::Functions => Granularity::Functions,
            Self::Filefunctions => Granularity::FileFunctions,
            Self::Files => Granularity::Files,
            Self::Lines => Granularity::Lines,
            Self::Addresses => Granularity::Addresses,
        }
    }

    /// What a table of them is called.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Functions => "Functions",
            Self::Filefunctions => "Functions by file",
            Self::Files => "Files",
            Self::Lines => "Lines",
            Self::Addresses => "Addresses",
        }
    }
}

#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Profiles alone")]
pub(crate) struct Options {
    /// The value that is ranked and drawn, by name or index: `inuse_space`, `alloc_objects`; by default the profile's own choice
    #[arg(long, visible_alias = "sample-index", value_name = "NAME")]
    pub(crate) sample_type: Option<String>,

    /// Keeps samples that pass such a function, file or binary
    #[arg(long, value_name = "REGEX")]
    focus: Option<Regex>,

    /// Drops samples that pass such a function, file or binary
    #[arg(long, value_name = "REGEX")]
    ignore: Option<Regex>,

    /// Takes such frames out of stacks
    #[arg(long, value_name = "REGEX")]
    hide: Option<Regex>,

    /// Takes all other frames out of stacks
    #[arg(long, value_name = "REGEX")]
    show: Option<Regex>,

    /// Takes all frames above the highest such one out of stacks
    #[arg(long, value_name = "REGEX")]
    show_from: Option<Regex>,

    /// What a row of the table is: `functions` (default), `filefunctions`, `files`, `lines` or `addresses`
    #[arg(long, value_enum, value_name = "WHAT", hide_possible_values = true)]
    by: Option<By>,

    /// Ranks by what a function and all that it calls make, instead of by itself
    #[arg(long)]
    cum: bool,

    /// Tells of each function who calls it and whom it calls
    #[arg(long, conflicts_with = "peek")]
    tree: bool,

    /// Tells so of the functions with such names
    #[arg(long, value_name = "REGEX")]
    pub(crate) peek: Option<Regex>,

    /// Tells the lines of the functions with such names, beside their source where it can be read
    #[arg(long, value_name = "REGEX")]
    pub(crate) list: Option<Regex>,

    /// What is your own code, by function, file or package; by default all but runtimes and libraries
    #[arg(long, value_name = "REGEX")]
    own: Option<Regex>,

    /// Program with its symbols, or a folder of them, for profiles that hold addresses alone; by default where the profile says it was
    #[arg(long, value_name = "PATH")]
    pub(crate) symbols: Option<PathBuf>,

    /// `/proc/PID/maps` of the process, for a profile that was written without it
    #[arg(long, value_name = "FILE")]
    pub(crate) maps: Option<PathBuf>,

    /// Writes the profile in the form of this name: `.pb.gz`, `.pb` (pprof), `.speedscope.json`, `.folded` or `.txt` (collapsed stacks), `.svg` or `.html` (flame graph)
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,

    /// Draws a flame graph into this file, `.svg` or `.html`
    #[arg(long, value_name = "FILE")]
    pub(crate) flame: Option<PathBuf>,
}

impl Options {
    pub(crate) fn by(&self) -> By {
        self.by.unwrap_or_default()
    }

    pub(crate) fn order(&self) -> Order {
        if self.cum { Order::Cum } else { Order::Flat }
    }

    pub(crate) fn filter(&self) -> Filter {
        let Self { focus, ignore, hide, show, show_from, .. } = self;
        Filter {
            focus: focus.clone(),
            ignore: ignore.clone(),
            hide: hide.clone(),
            show: show.clone(),
            show_from: show_from.clone(),
        }
    }

    /// Whose code is whose, and the requests served until each capture.
    pub(crate) fn context(&self, requests: &[u64]) -> Context {
        Context { own: self.own.clone(), requests: requests.to_vec() }
    }

    /// Whether something is asked in place of the whole report.
    pub(crate) fn asks(&self) -> bool {
        self.asks_for_calls() || self.list.is_some()
    }

    pub(crate) fn asks_for_calls(&self) -> bool {
        self.tree || self.peek.is_some()
    }

    /// Refuses names of files whose end says no form, before anything is read.
    ///
    /// # Errors
    /// As [`check_name`].
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.export.iter().try_for_each(|path| check_name(path, false))?;
        self.flame.iter().try_for_each(|path| check_name(path, true))
    }

    /// Refuses an object graph where a flag was given that only profiles know.
    ///
    /// # Errors
    /// Names the first such flag.
    pub(crate) fn refuse_graph(&self, file: &str, format: &str) -> Result<(), Failure> {
        let given = [
            ("--sample-type", self.sample_type.is_some()),
            ("--focus", self.focus.is_some()),
            ("--ignore", self.ignore.is_some()),
            ("--hide", self.hide.is_some()),
            ("--show", self.show.is_some()),
            ("--show-from", self.show_from.is_some()),
            ("--by", self.by.is_some()),
            ("--cum", self.cum),
            ("--tree", self.tree),
            ("--peek", self.peek.is_some()),
            ("--list", self.list.is_some()),
            ("--own", self.own.is_some()),
            ("--symbols", self.symbols.is_some()),
            ("--maps", self.maps.is_some()),
            ("--export", self.export.is_some()),
            ("--flame", self.flame.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(Failure::usage(format!(
                "`{file}`: expected a profile with `{flag}`, found {format}, an object graph"
            ))
            .hint("`leakscope analyze --help` lists the flags of profiles under a heading of their own")),
        }
    }
}
