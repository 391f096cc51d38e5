//! Reads mappings key by key and collects every problem: the set of valid keys is the set of keys that were asked for, so the two cannot disagree.

use std::path::{Path, PathBuf};
use std::time::Duration;

use leakscope_model::Bytes;

use super::problem::{PROBLEMS_MAX, Problem, Source, hide_user_info, is_telling};
use super::quantity::{parse_duration, parse_size};
use super::secret::{Secret, Sourced};
use super::yaml::{Key, Node, Place, Value};

/// Where a variable's value comes from; tests pass a table.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Longest found text that a message repeats, characters. Beyond: cut.
const FOUND_CHARS_MAX: usize = 60;

/// A value with the place it was read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A text with its place, as it is and as it was written. Messages show what was written: a variable may hold a secret.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) written: String,
    pub(super) place: Place,
}

pub(super) struct Reader<'a> {
    pub(super) sources: Vec<Source>,
    /// None: texts are taken as written.
    env: Option<Env<'a>>,
    pub(super) errors: Vec<(Place, Problem)>,
    pub(super) warnings: Vec<(Place, Problem)>,
    n_more: usize,
}

/// One mapping being read.
pub(super) struct Fields<'n> {
    /// How messages name it: `scrape_configs[0]`; empty at the root.
    pub(super) path: String,
    pub(super) place: Place,
    entries: Vec<(&'n Key, &'n Node, bool)>,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The value of `key`; an explicit null counts as absent, as in Prometheus.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        let (_, node, used) = self.entries.iter_mut().find(|(found, ..)| found.text == key)?;
        *used = true;
        (!node.is_null()).then_some(*node)
    }

    /// Whether `key` has a value; does not ask for it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(found, node, _)| found.text == key && !node.is_null())
    }

    /// Where `key` stands, else the mapping itself.
    pub(super) fn key_place(&self, key: &str) -> Place {
        self.entries.iter().find(|(found, ..)| found.text == key).map_or(self.place, |(found, ..)| found.place)
    }

    /// `key` as messages name it.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(env: Env<'a>) -> Self {
        Self { env: Some(env), ..Self::verbatim() }
    }

    /// A reader that puts no variables in.
    pub(super) fn verbatim() -> Self {
        Self { sources: Vec::new(), env: None, errors: Vec::new(), warnings: Vec::new(), n_more: 0 }
    }

    /// How many problems were dropped beyond [`PROBLEMS_MAX`].
    pub(super) fn n_more(&self) -> usize {
        self.n_more
    }

    pub(super) fn error(&mut self, place: Place, message: String, allowed: Option<String>, hint: Option<String>) {
        if self.errors.len() >= PROBLEMS_MAX {
            self.n_more += 1;
            return;
        }
        if let Some(problem) = self.problem(place, message, allowed, hint) {
            self.errors.push((place, problem));
        }
    }

    pub(super) fn warn(&mut self, place: Place, message: String, hint: Option<String>) {
        if self.warnings.len() < PROBLEMS_MAX
            && let Some(problem) = self.problem(place, message, None, hint)
        {
            self.warnings.push((place, problem));
        }
    }

    /// A key that is read for the sake of Prometheus' files and does nothing here.
    pub(super) fn without_effect(&mut self, fields: &Fields<'_>, key: &'static str, instead: &str) {
        let message = format!("`{}` has no effect in leakscope", fields.path_of(key));
        self.warn(fields.key_place(key), message, Some(instead.to_owned()));
    }

    fn problem(&self, place: Place, message: String, allowed: Option<String>, hint: Option<String>) -> Option<Problem> {
        Some(self.sources.get(place.file)?.problem(place, message, allowed, hint))
    }

    /// `node` as a mapping; anything else is a problem.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, path: &str) -> Option<Fields<'n>> {
        let Value::Mapping(entries) = &node.value else {
            self.expected("a mapping of keys", node, path, None);
            return None;
        };
        let entries = entries.iter().map(|(key, node)| (key, node, false)).collect();
        Some(Fields { path: path.to_owned(), place: node.place, entries, asked: Vec::new() })
    }

    /// The mapping under `key`, read by `read` and closed; `None` when absent or no mapping.
    pub(super) fn section<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        read: impl FnOnce(&mut Self, &mut Fields<'_>) -> T,
    ) -> Option<T> {
        let node = fields.take(key)?;
        let path = fields.path_of(key);
        self.mapping(node, &path, read)
    }

    /// `node` as a mapping, read by `read` and closed.
    pub(super) fn mapping<T>(
        &mut self,
        node: &Node,
        path: &str,
        read: impl FnOnce(&mut Self, &mut Fields<'_>) -> T,
    ) -> Option<T> {
        let mut fields = self.fields(node, path)?;
        let value = read(self, &mut fields);
        self.close(&fields);
        Some(value)
    }

    /// Each element of the list under `key` with its path; empty when absent.
    pub(super) fn items<'n>(&mut self, fields: &mut Fields<'n>, key: &'static str) -> Vec<(&'n Node, String)> {
        let Some(node) = fields.take(key) else { return Vec::new() };
        let path = fields.path_of(key);
        let Value::List(items) = &node.value else {
            self.expected("a list", node, &path, None);
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, item)| (item, format!("{path}[{index}]"))).collect()
    }

    /// Each mapping of the list under `key`, read by `read` and closed.
    pub(super) fn list<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        mut read: impl FnMut(&mut Self, &mut Fields<'_>) -> Option<T>,
    ) -> Vec<T> {
        let items = self.items(fields, key);
        items.into_iter().filter_map(|(node, path)| self.mapping(node, &path, &mut read).flatten()).collect()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn close(&mut self, fields: &Fields<'_>) {
        for (key, _, used) in &fields.entries {
            if !used {
                self.unknown_key(key, fields);
            }
        }
    }

    fn unknown_key(&mut self, key: &Key, fields: &Fields<'_>) {
        if self.errors.len() >= PROBLEMS_MAX {
            self.n_more += 1;
            return;
        }
        let place_name = if fields.path.is_empty() { String::new() } else { format!(" in `{}`", fields.path) };
        let mut allowed = fields.asked.clone();
        allowed.sort_unstable();
        allowed.dedup();
        let looks_like_key =
            key.text.len() <= 64 && key.text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let message = if looks_like_key {
            format!("unknown key `{}`{place_name}", key.text)
        } else {
            format!("expected a key{place_name}, found other text of {} characters", key.text.chars().count())
        };
        let hint = nearest(&key.text, &allowed)
            .map(|near| format!("did you mean `{near}`?"))
            .or_else(|| elsewhere(&key.text).map(str::to_owned));
        self.error(key.place, message, Some(words(&allowed)), hint);
    }

    /// Reports that `node` is not `what`.
    pub(super) fn expected(&mut self, what: &str, node: &Node, path: &str, hint: Option<&str>) {
        let found = match &node.value {
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Scalar { .. } if node.is_null() => "nothing".to_owned(),
            Value::Scalar { .. } if is_telling(path) => "a text".to_owned(),
            Value::Scalar { text, .. } => found_text(text),
        };
        let of = if path.is_empty() { String::new() } else { format!(" for `{path}`") };
        self.error(node.place, format!("expected {what}{of}, found {found}"), None, hint.map(str::to_owned));
    }

    /// The text under `key` with variables put in.
    pub(super) fn text(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Text> {
        let node = fields.take(key)?;
        let path = fields.path_of(key);
        self.text_of(node, &path)
    }

    /// The text of one scalar with variables put in.
    pub(super) fn text_of(&mut self, node: &Node, path: &str) -> Option<Text> {
        let raw = self.raw_text_of(node, path)?;
        let Some(env) = self.env else { return Some(raw) };
        match super::env::expand(&raw.value, env) {
            Ok(value) => Some(Text { value, ..raw }),
            Err(problem) => {
                self.error(node.place, problem.message, None, Some(problem.hint));
                None
            }
        }
    }

    /// The text under `key` as written: for regular expressions and their replacements, where `$` has its own meaning.
    pub(super) fn raw_text(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<Text> {
        let node = fields.take(key)?;
        let path = fields.path_of(key);
        self.raw_text_of(node, &path)
    }

    pub(super) fn raw_text_of(&mut self, node: &Node, path: &str) -> Option<Text> {
        if let Value::Scalar { text, .. } = &node.value
            && !node.is_null()
        {
            return Some(Text { value: text.clone(), written: text.clone(), place: node.place });
        }
        self.expected("a text", node, path, None);
        None
    }

    /// A scalar under `key` made into a value by `parse`, which gets the text with variables put in.
    pub(super) fn scalar<T>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        what: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let node = fields.take(key)?;
        let path = fields.path_of(key);
        if !matches!(node.value, Value::Scalar { .. }) {
            self.expected(what, node, &path, None);
            return None;
        }
        let text = self.text_of(node, &path)?;
        let parsed = parse(&text.value);
        if parsed.is_none() {
            self.expected(what, node, &path, None);
        }
        Some(At { value: parsed?, place: node.place })
    }

    pub(super) fn duration(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<At<Duration>> {
        self.scalar(fields, key, "a duration such as `15s` or `1h30m`", parse_duration)
    }

    pub(super) fn size(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<At<Bytes>> {
        self.scalar(fields, key, "a size such as `10MB` or `512KiB`", parse_size)
    }

    pub(super) fn boolean(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<bool> {
        let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        };
        self.scalar(fields, key, "`true` or `false`", parse).map(|at| at.value)
    }

    pub(super) fn count(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<At<u64>> {
        self.scalar(fields, key, "a whole number", |text| text.parse().ok())
    }

    /// A finite number of at least 0.
    pub(super) fn number(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<At<f64>> {
        self.scalar(fields, key, "a number", |text| text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0))
    }

    /// One of a few words, as Prometheus reads actions.
    pub(super) fn choice_in_any_case<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<At<T>> {
        let text = self.text(fields, key)?;
        self.choose(fields, key, &Text { value: text.value.to_ascii_lowercase(), ..text }, choices)
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<At<T>> {
        let text = self.text(fields, key)?;
        self.choose(fields, key, &text, choices)
    }

    fn choose<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        text: &Text,
        choices: &[(&'static str, T)],
    ) -> Option<At<T>> {
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(At { value: *value, place: text.place });
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let hint = nearest(&text.value, &names).map(|near| format!("did you mean `{near}`?"));
        let message = format!("`{}` does not know {}", fields.path_of(key), found_text(&text.written));
        self.error(text.place, message, Some(words(&names)), hint);
        None
    }

    /// A path; a relative one starts at the folder of the file that names it.
    pub(super) fn path(&mut self, fields: &mut Fields<'_>, key: &'static str) -> Option<At<PathBuf>> {
        let text = self.text(fields, key)?;
        if text.value.is_empty() {
            self.error(
                text.place,
                format!("expected a path for `{}`, found an empty text", fields.path_of(key)),
                None,
                None,
            );
            return None;
        }
        Some(At { value: self.resolve(text.place, &text.value), place: text.place })
    }

    pub(super) fn resolve(&self, place: Place, path: &str) -> PathBuf {
        let folder = self.sources.get(place.file).map_or(Path::new(""), |source| source.folder.as_path());
        folder.join(path)
    }

    /// A text that stands under `key` or in the file under `file_key`; both is a problem.
    pub(super) fn sourced(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        file_key: &'static str,
    ) -> Option<At<Sourced<String>>> {
        let place = fields.key_place(key);
        let inline = self.text(fields, key);
        let file = self.path(fields, file_key);
        match (inline, file) {
            (Some(_), Some(file)) => {
                let message =
                    format!("`{}` and `{}` exclude each other", fields.path_of(key), fields.path_of(file_key));
                self.error(file.place, message, None, Some(format!("keep `{file_key}`")));
                None
            }
            (Some(text), None) => Some(At { value: Sourced::Inline(text.value), place }),
            (None, Some(file)) => Some(At { value: Sourced::File(file.value), place: file.place }),
            (None, None) => None,
        }
    }

    /// As [`Reader::sourced`], for what must not be shown.
    pub(super) fn secret(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
        file_key: &'static str,
    ) -> Option<At<Sourced<Secret>>> {
        let found = self.sourced(fields, key, file_key)?;
        let value = match found.value {
            Sourced::Inline(text) => Sourced::Inline(Secret::new(text)),
            Sourced::File(path) => Sourced::File(path),
        };
        Some(At { value, place: found.place })
    }
}

/// The word of `allowed` that `text` was most likely meant to be: at most a third of it differs.
fn nearest<'w>(text: &str, allowed: &[&'w str]) -> Option<&'w str> {
    if text.len() > 64 {
        return None;
    }
    let text = text.to_ascii_lowercase().replace('-', "_");
    let distance = |word: &str| strsim::damerau_levenshtein(&text, word);
    let best = allowed.iter().copied().min_by_key(|word| distance(word))?;
    let longest = text.len().max(best.len());
    (distance(best) * 3 <= longest || best.starts_with(&text) && text.len() >= 3).then_some(best)
}

/// What to say of keys that are right elsewhere, or in Prometheus.
fn elsewhere(key: &str) -> Option<&'static str> {
    Some(match key {
        "targets" => "`targets` stands in an element of `static_configs`",
        "kubernetes_sd_configs" | "dns_sd_configs" | "consul_sd_configs" | "ec2_sd_configs" | "docker_sd_configs" => {
            "leakscope reads `static_configs`, `file_sd_configs` and `http_sd_configs`"
        }
        "alertmanagers" | "alert_relabel_configs" => {
            "write `receivers: [{name: ..., alertmanager_configs: [{urls: [...]}]}]`"
        }
        "require_tls" => "write `encryption: starttls`, `tls` or `none`",
        "rule_files" | "remote_write" | "remote_read" | "tracing" | "evaluation_interval" => {
            "a key of Prometheus that leakscope has no use for; remove it"
        }
        _ => return None,
    })
}

/// Found text for a message: quoted and cut.
pub(super) fn found_text(text: &str) -> String {
    let text = hide_user_info(text);
    let shown: String = text.chars().filter(|c| !c.is_control()).take(FOUND_CHARS_MAX).collect();
    if shown.len() < text.len() { format!("`{shown}…`") } else { format!("`{shown}`") }
}

/// Words for a message: `a`, `b`, `c`.
pub(super) fn words(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
