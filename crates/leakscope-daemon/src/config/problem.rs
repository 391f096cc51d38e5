//! What is wrong with a configuration, where, and how it is shown: like rustc, with the line and a caret. Nothing that follows a word such as `password` is ever shown.

use std::fmt;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::Regex;

use super::secret::REDACTED;
use super::yaml::Place;

/// Most problems kept of one configuration; the rest is counted.
pub(super) const PROBLEMS_MAX: usize = 100;
/// Longest part of a source line shown, characters. Beyond: cut.
const SHOWN_CHARS_MAX: usize = 160;
/// Part of a source line that is searched for secrets, characters: far more than is shown of it.
const SEARCHED_CHARS_MAX: usize = 8_192;

/// One thing that is wrong, or suspicious, at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub width: usize,
    /// What was expected and what was found.
    pub message: String,
    /// What would have been allowed.
    pub allowed: Option<String>,
    /// What to do, as a suggestion.
    pub hint: Option<String>,
    /// The line as written, secrets hidden.
    pub source_line: String,
}

impl Problem {
    /// A problem with a file as a whole.
    pub fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
            width: 0,
            message: message.into(),
            allowed: None,
            hint: None,
            source_line: String::new(),
        }
    }

    /// Writes it after `severity` (`error`, `warning`).
    pub(super) fn render(&self, severity: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{severity}: {}", self.message)?;
        if self.line == 0 {
            writeln!(f, " --> {}", self.file)?;
        } else {
            let number = self.line.to_string();
            let pad = " ".repeat(number.len());
            let n_shown = self.source_line.chars().count();
            let indent = " ".repeat(self.column.saturating_sub(1).min(n_shown));
            let caret = "^".repeat(self.width.clamp(1, n_shown.saturating_sub(indent.len()).max(1)));
            writeln!(f, "{pad}--> {}:{}:{}", self.file, self.line, self.column)?;
            writeln!(f, "{pad} |\n{number} | {}\n{pad} | {indent}{caret}", self.source_line)?;
        }
        if let Some(allowed) = &self.allowed {
            writeln!(f, "allowed: {allowed}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

/// As an error, with its line and a caret.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render("error", f)
    }
}

impl std::error::Error for Problem {}

/// Everything that is wrong with a configuration, in the order of its places; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The problems, at most 100.
    pub problems: Vec<Problem>,
    /// How many more there were.
    pub n_more: usize,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.render("error", f)?;
        }
        if self.n_more > 0 {
            write!(f, "\nand {} more\n", self.n_more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// One file's text: what problems are shown in.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
    /// The folder that relative paths start from.
    pub(super) folder: PathBuf,
}

impl Source {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let folder = std::path::Path::new(name).parent().map(PathBuf::from).unwrap_or_default();
        Self { name: name.to_owned(), lines: text.lines().map(str::to_owned).collect(), folder }
    }

    pub(super) fn problem(
        &self,
        place: Place,
        message: String,
        allowed: Option<String>,
        hint: Option<String>,
    ) -> Problem {
        Problem {
            file: self.name.clone(),
            line: place.line,
            column: place.column,
            width: place.width,
            message,
            allowed,
            hint,
            source_line: self.shown_line(place.line),
        }
    }

    /// The line with everything hidden that may be a secret: what follows a telling word on it, and what hangs under such a word's line.
    fn shown_line(&self, line: usize) -> String {
        let Some(text) = line.checked_sub(1).and_then(|index| self.lines.get(index)) else { return String::new() };
        let masked = if self.hangs_under_secret(line - 1) || self.holds_hook(line - 1) {
            let indent = text.chars().take_while(|c| c.is_whitespace()).count();
            format!("{}{REDACTED}", " ".repeat(indent))
        } else {
            mask(&text.chars().take(SEARCHED_CHARS_MAX).collect::<String>())
        };
        // A tab is one character wide in the caret's line as well.
        masked.replace('\t', " ").chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect()
    }

    /// Whether the line holds the address of a webhook of a receiver.
    fn holds_hook(&self, index: usize) -> bool {
        let of_hooks = |line: &String| line.contains("webhook_configs") || line.contains("slack_configs");
        let Some(line) = self.lines.get(index).filter(|line| holds_hook_address(line)) else { return false };
        if of_hooks(line) {
            return true;
        }
        let mut below = line;
        for above in self.lines.iter().take(index).rev().filter(|line| !line.trim().is_empty()) {
            if hangs_under(below, above) {
                if of_hooks(above) {
                    return true;
                }
                below = above;
            }
        }
        false
    }

    /// Whether a line that this one hangs under opens a secret: a block scalar, a list or a continued text.
    fn hangs_under_secret(&self, index: usize) -> bool {
        let Some(mut below) = self.lines.get(index) else { return false };
        for above in self.lines.iter().take(index).rev().filter(|line| !line.trim().is_empty()) {
            if hangs_under(below, above) {
                if is_secret_leaf(above) {
                    return true;
                }
                below = above;
            }
        }
        false
    }
}

/// Whether a line holds the address of a webhook, which may hold a token.
fn holds_hook_address(line: &str) -> bool {
    line.contains("url") && line.contains("://")
}

/// Whether `below` is indented more than `above`, or is an item of a list that `above` opens.
fn hangs_under(below: &str, above: &str) -> bool {
    let is_item = |line: &str| line.trim_start().starts_with('-');
    let (lower, upper) = (indent_of(below), indent_of(above));
    upper < lower || (upper == lower && is_item(below) && !is_item(above))
}

fn indent_of(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).count()
}

#[expect(clippy::unwrap_used, reason = "the pattern is a constant that every test here compiles")]
fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap()
}

/// A word that a secret may follow, with what stands between the two.
static TELLING_WORD: LazyLock<Regex> = LazyLock::new(|| {
    constant(concat!(
        r"(?-u)(?:[A-Za-z0-9_-]*(?:[Pp][Aa][Ss][Ss]|[Pp][Ww][Dd]|[Ss][Ee][Cc][Rr][Ee][Tt]|[Tt][Oo][Kk][Ee][Nn]|",
        r"[Cc][Rr][Ee][Dd]|[Bb][Ee][Aa][Rr][Ee][Rr]|[Aa][Uu][Tt][Hh]|-----BEGIN)[A-Za-z0-9_-]*)",
        r#"["']?\s*:?\s*"#
    ))
});
/// Any key of a mapping.
static ANY_KEY: LazyLock<Regex> = LazyLock::new(|| constant(r#"\b([A-Za-z0-9_-]+)["']?\s*:\s*"#));
/// User and password before a host.
static USER_INFO: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"(?:([A-Za-z][A-Za-z0-9+.-]*://)[^\s"'@]*|[^\s"'\[\]{},/:]*:[^\s"'@]*)@"#));

/// `line` with everything after a telling word replaced, and user and password in addresses; names of files and of variables stay.
fn mask(line: &str) -> String {
    let telling = TELLING_WORD.find_iter(line).filter(|found| {
        let word = found.as_str().trim_end().trim_end_matches([':', '"', '\'', ' ']);
        let is_variable = line.get(..found.start()).is_some_and(|before| before.ends_with("${"));
        !word.ends_with("_file") && !is_variable
    });
    let nearly = ANY_KEY.captures_iter(line).filter(|found| is_secret_name(&found[1])).filter_map(|found| found.get(0));
    let ends = telling.chain(nearly).map(|found| found.end());
    match ends.filter(|end| *end < line.len()).min() {
        Some(end) => format!("{}{REDACTED}", hide_user_info(line.get(..end).unwrap_or_default())),
        None => hide_user_info(line),
    }
}

/// Whether what stands at `path` (`scrape_configs[0].authorization`) may be a secret, so that no message may repeat it.
pub(super) fn is_telling(path: &str) -> bool {
    TELLING_WORD.is_match(path) || path.rsplit('.').next().is_some_and(is_secret_name)
}

/// `text` without the user and password that stand before a host.
pub(super) fn hide_user_info(text: &str) -> String {
    USER_INFO.replace_all(text, "${1}<secret>@").into_owned()
}

/// Whether the last thing on this line is a key whose value is a secret.
fn is_secret_leaf(line: &str) -> bool {
    let key = line.split_once(':').map_or("", |(key, _)| key);
    let lower = key.to_ascii_lowercase();
    is_secret_name(key)
        || lower.trim_start().starts_with("basic_auth_users")
        || (["pass", "pwd", "secret", "token", "cred"].iter().any(|word| lower.contains(word))
            && !lower.ends_with("_file"))
}

/// Whether a key is, or is nearly, one that holds a secret.
fn is_secret_name(key: &str) -> bool {
    let key = key.trim_start_matches([' ', '\t', '-', '{', '"', '\'']).trim_end_matches([' ', '"', '\'']);
    key == "key"
        || ["password", "credentials", "bearer_token", "routing_key", "api_url"].iter().any(|secret| {
            let distance = strsim::damerau_levenshtein(key, secret);
            key.len() < 40 && distance <= 3
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_telling_word_is_hidden() {
        for (line, shown) in [
            ("  password: hunter2", "  password: <secret>"),
            ("basic_auth: {username: a, password: hunter2, x: y}", "basic_auth: <secret>"),
            ("  pasword: hunter2", "  pasword: <secret>"),
            ("  paswrd: hunter2", "  paswrd: <secret>"),
            ("  password hunter2", "  password <secret>"),
            ("  \"password\": hunter2", "  \"password\": <secret>"),
            ("  key: MIIEvQ", "  key: <secret>"),
            ("  password_file: /run/secret", "  password_file: /run/secret"),
            ("  Authorization: Bearer abc", "  Authorization: <secret>"),
            ("  url: http://me:hunter2@sd/targets", "  url: http://<secret>@sd/targets"),
            ("  targets: [\"me:hunter2@sd:80\"]", "  targets: [\"<secret>@sd:80\"]"),
            ("{username: a, pasword: hunter2}", "{username: a, pasword: <secret>"),
            ("{cert: a, key: [hunter2]}", "{cert: a, key: <secret>"),
            ("  scrape_interval: ${SHOP_TOKEN}", "  scrape_interval: ${SHOP_TOKEN}"),
            ("- job_name: shop", "- job_name: shop"),
            ("  password:", "  password:"),
        ] {
            assert_eq!(mask(line), shown);
        }
    }

    #[test]
    fn lines_beside_a_secret_are_shown() {
        let source =
            Source::new("a.yaml", "- job: a\n  bearer_token: abc\n  relabel:\n  - {a: b}\n  - c: d\n- job: b\n");
        let shown: Vec<String> = (1..=6).map(|line| source.shown_line(line)).collect();
        assert_eq!(shown, ["- job: a", "  bearer_token: <secret>", "  relabel:", "  - {a: b}", "  - c: d", "- job: b"]);
    }

    #[test]
    fn lines_under_a_secret_are_hidden() {
        let source = Source::new(
            "a.yaml",
            "basic_auth:\n  password: |\n    hunter2\n    x\n  username: me\n  credentials:\n  - abc\n",
        );
        let shown: Vec<String> = (1..=7).map(|line| source.shown_line(line)).collect();
        assert_eq!(
            shown,
            [
                "basic_auth:",
                "  password: <secret>",
                "    <secret>",
                "    <secret>",
                "  username: me",
                "  credentials:",
                "  <secret>"
            ]
        );
    }
}
