//! Command line flags of the commands: `--name value`, `--name=value` and `--name`. Unknown ones are errors.

use std::time::Duration;

/// Flags not yet asked for. A command takes what it knows and then calls [`Args::finish`].
pub(crate) struct Args {
    rest: Vec<String>,
}

impl Args {
    pub(crate) fn new(arguments: &[String]) -> Self {
        Self { rest: arguments.to_vec() }
    }

    /// Whether `--name` stands there.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() < before
    }

    /// The value of `--name value` or `--name=value`.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>, String> {
        let joined = format!("{name}=");
        let Some(at) = self.rest.iter().position(|argument| argument == name || argument.starts_with(&joined)) else {
            return Ok(None);
        };
        let argument = self.rest.remove(at);
        if let Some(value) = argument.strip_prefix(&joined) {
            return Ok(Some(value.to_owned()));
        }
        if at == self.rest.len() {
            return Err(format!("expected a value after `{name}`, found the end"));
        }
        Ok(Some(self.rest.remove(at)))
    }

    /// The duration of `--name 60s`, or `default`.
    pub(crate) fn duration(&mut self, name: &str, default: Duration) -> Result<Duration, String> {
        self.value(name)?.map_or(Ok(default), |text| parse_duration(&text))
    }

    /// The whole numbers of `--name 1000,5000`, or `default`.
    pub(crate) fn counts(&mut self, name: &str, default: &[usize]) -> Result<Vec<usize>, String> {
        let Some(text) = self.value(name)? else {
            return Ok(default.to_vec());
        };
        let parse = |part: &str| {
            part.parse().map_err(|_| format!("expected whole numbers after `{name}`, found `{part}` in `{text}`"))
        };
        text.split(',').map(parse).collect()
    }

    /// The first argument that is not a flag.
    pub(crate) fn word(&mut self) -> Option<String> {
        let at = self.rest.iter().position(|argument| !argument.starts_with('-'))?;
        Some(self.rest.remove(at))
    }

    /// Refuses whatever nobody asked for.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.rest.first() {
            None => Ok(()),
            Some(argument) => Err(format!("argument `{argument}` not known (see `cargo xtask help`)")),
        }
    }
}

/// `90`, `90s`, `500ms`, `20m` and `1h` as a duration; a bare number is seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let milliseconds_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(format!("expected a duration such as `90s`, `500ms`, `20m` or `1h`, found `{text}`")),
    };
    let count: u64 =
        digits.parse().map_err(|_| format!("expected a duration such as `90s`, found `{text}` without a number"))?;
    Ok(Duration::from_millis(count.saturating_mul(milliseconds_per_unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args { rest: line.split_whitespace().map(str::to_owned).collect() }
    }

    #[test]
    fn both_spellings_of_a_value_are_read() {
        assert_eq!(args("--for 60s").value("--for"), Ok(Some("60s".to_owned())));
        assert_eq!(args("--for=60s").value("--for"), Ok(Some("60s".to_owned())));
        assert_eq!(args("--quick").value("--for"), Ok(None));
    }

    #[test]
    fn a_flag_without_its_value_says_so() {
        assert_eq!(args("--for").value("--for"), Err("expected a value after `--for`, found the end".to_owned()));
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        let mut given = args("--quick --slow");
        assert!(given.switch("--quick"));
        assert_eq!(given.finish(), Err("argument `--slow` not known (see `cargo xtask help`)".to_owned()));
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("20m"), Ok(Duration::from_mins(20)));
        assert!(parse_duration("s").is_err());
        assert!(parse_duration("5 parsecs").is_err());
    }
}
