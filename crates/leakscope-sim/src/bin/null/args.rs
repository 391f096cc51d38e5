//! What is asked for on the command line.

use leakscope_sim::null::Family;

/// The words that are understood.
const USAGE: &str = "usage: null [--years 100] [--seed 1] [--family NAME] [--list] [--write]";

/// A run, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Args {
    /// Service-years over all families.
    pub(crate) years: f64,
    pub(crate) seed: u64,
    /// The one family to run: those whose name begins so.
    pub(crate) family: String,
    /// Whether each alarm is listed, with what was drawn and the reasons.
    pub(crate) list: bool,
    /// Whether the page goes into docs/.
    pub(crate) write: bool,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { years: 100.0, seed: 1, family: String::new(), list: false, write: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("expected a value after `{word}`\n{USAGE}"));
            match word.as_str() {
                "--years" => args.years = number(&value()?, |years: &f64| *years > 0.0 && *years <= 1e6)?,
                "--seed" => args.seed = number(&value()?, |_: &u64| true)?,
                "--family" => args.family = value()?,
                "--list" => args.list = true,
                "--write" => args.write = true,
                _ => return Err(format!("argument `{word}` not known\n{USAGE}")),
            }
        }
        if args.write && !args.family.is_empty() {
            return Err(format!("only a run of every family is written into docs/\n{USAGE}"));
        }
        if Family::ALL.into_iter().any(|family| args.wants(family)) {
            return Ok(args);
        }
        let names: Vec<&str> = Family::ALL.into_iter().map(Family::name).collect();
        Err(format!("family `{}` not known (known: {})", args.family, names.join("; ")))
    }

    pub(crate) fn wants(&self, family: Family) -> bool {
        family.name().starts_with(&self.family)
    }
}

fn number<T: std::str::FromStr>(text: &str, allowed: impl Fn(&T) -> bool) -> Result<T, String> {
    let parsed = text.parse().ok().filter(allowed);
    parsed.ok_or_else(|| format!("expected a positive number, found `{text}`\n{USAGE}"))
}
