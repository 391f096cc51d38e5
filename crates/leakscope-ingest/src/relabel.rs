//! Relabelling as Prometheus does it, for targets and for metrics alike.
//!
//! Source: Prometheus `model/relabel`, <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config>.

use std::collections::BTreeMap;

use regex::Regex;

use crate::error::RelabelError;
use crate::md5;
use crate::spec::PATTERN_BYTES_MAX;

/// Labels by name. An empty value is the same as no label.
pub type Labels = BTreeMap<String, String>;

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Writes the replacement to the target label where the expression matches.
    #[default]
    Replace,
    /// Drops what does not match.
    Keep,
    /// Drops what matches.
    Drop,
    /// Drops what differs from the target label.
    KeepEqual,
    /// Drops what equals the target label.
    DropEqual,
    /// Writes the hash of the source labels, modulo, to the target label.
    HashMod,
    /// Copies labels whose names match to the replacement.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Writes the source labels in lower case to the target label.
    Lowercase,
    /// Writes the source labels in upper case to the target label.
    Uppercase,
}

impl Action {
    /// Every action, in the order of the declaration.
    pub const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// The action of a configured name, in any case as in Prometheus.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name().eq_ignore_ascii_case(name))
    }
}

/// A rule as configured; `None` is the default of Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelabelConfig {
    /// Labels whose values are joined.
    pub source_labels: Vec<String>,
    /// Between them; default `;`.
    pub separator: Option<String>,
    /// Fully anchored; default `(.*)`.
    pub regex: Option<String>,
    /// The label to write to.
    pub target_label: Option<String>,
    /// With `$1`, `${1}`, `${name}`; default `$1`.
    pub replacement: Option<String>,
    /// For `hashmod`.
    pub modulus: Option<u64>,
    /// What to do.
    pub action: Action,
}

/// A compiled rule.
#[derive(Clone, Debug)]
pub struct Relabel {
    sources: Vec<String>,
    separator: String,
    regex: Regex,
    target: String,
    replacement: String,
    modulus: u64,
    action: Action,
}

/// Applies rules in order. `false`: dropped, `labels` is of no use any more.
pub fn relabel(rules: &[Relabel], labels: &mut Labels) -> bool {
    rules.iter().all(|rule| rule.apply(labels))
}

impl Relabel {
    /// Compiles rule number `rule` (from 1, for messages).
    ///
    /// # Errors
    /// [`RelabelError`] where Prometheus would refuse the rule too.
    pub fn compile(rule: usize, config: &RelabelConfig) -> Result<Self, RelabelError> {
        check_keys(rule, config)?;
        let regex = config.regex.as_deref().unwrap_or("(.*)");
        let bad =
            |error: regex::Error| RelabelError::Regex { rule, regex: regex.to_owned(), reason: error.to_string() };
        // By itself first: `a)|(b` would break out of the group that anchors it.
        Regex::new(regex).map_err(bad)?;
        let anchored = format!("^(?s:{regex})$");
        let regex = regex::RegexBuilder::new(&anchored).size_limit(PATTERN_BYTES_MAX).build().map_err(bad)?;
        Ok(Self {
            sources: config.source_labels.clone(),
            separator: config.separator.clone().unwrap_or_else(|| ";".to_owned()),
            regex,
            target: config.target_label.clone().unwrap_or_default(),
            replacement: config.replacement.clone().unwrap_or_else(|| "$1".to_owned()),
            modulus: config.modulus.unwrap_or(0).max(1),
            action: config.action,
        })
    }

    /// Whether the rule may change `__name__`, so that an unwanted metric may become a wanted one.
    pub(crate) fn may_rename(&self) -> bool {
        match self.action {
            Action::Replace => self.target == "__name__" || self.target.contains('$'),
            Action::HashMod | Action::Lowercase | Action::Uppercase => self.target == "__name__",
            Action::LabelMap => true,
            _ => false,
        }
    }

    /// Whether the rule may drop what it is applied to.
    pub(crate) fn may_drop(&self) -> bool {
        matches!(self.action, Action::Keep | Action::Drop | Action::KeepEqual | Action::DropEqual)
    }

    fn apply(&self, labels: &mut Labels) -> bool {
        match self.action {
            Action::Keep => return self.regex.is_match(&self.source(labels)),
            Action::Drop => return !self.regex.is_match(&self.source(labels)),
            Action::KeepEqual => return self.source(labels) == value(labels, &self.target),
            Action::DropEqual => return self.source(labels) != value(labels, &self.target),
            Action::Replace => self.replace(labels),
            Action::HashMod => {
                let digest = u128::from_be_bytes(md5::digest(self.source(labels).as_bytes()));
                // As Prometheus: the last 8 bytes, big-endian.
                let hash = digest as u64;
                set(labels, &self.target, (hash % self.modulus).to_string());
            }
            Action::LabelMap => self.map(labels),
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
            Action::Lowercase => set(labels, &self.target, self.source(labels).to_lowercase()),
            Action::Uppercase => set(labels, &self.target, self.source(labels).to_uppercase()),
        }
        true
    }

    fn source(&self, labels: &Labels) -> String {
        let mut joined = String::new();
        for (place, name) in self.sources.iter().enumerate() {
            if place > 0 {
                joined.push_str(&self.separator);
            }
            joined.push_str(value(labels, name));
        }
        joined
    }

    fn replace(&self, labels: &mut Labels) {
        let source = self.source(labels);
        let Some(captures) = self.regex.captures(&source) else { return };
        let mut target = String::new();
        captures.expand(&self.target, &mut target);
        if !is_label_name(&target) {
            return;
        }
        let mut written = String::new();
        captures.expand(&self.replacement, &mut written);
        set(labels, &target, written);
    }

    fn map(&self, labels: &mut Labels) {
        let mut mapped = Vec::new();
        for (name, value) in &*labels {
            if let Some(captures) = self.regex.captures(name) {
                let mut target = String::new();
                captures.expand(&self.replacement, &mut target);
                mapped.push((target, value.clone()));
            }
        }
        for (name, value) in mapped {
            set(labels, &name, value);
        }
    }
}

fn value<'a>(labels: &'a Labels, name: &str) -> &'a str {
    labels.get(name).map_or("", String::as_str)
}

fn set(labels: &mut Labels, name: &str, value: String) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.insert(name.to_owned(), value);
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn check_keys(rule: usize, config: &RelabelConfig) -> Result<(), RelabelError> {
    let action = config.action;
    let unused = |key| RelabelError::UnusedKey { rule, action: action.name(), key };
    let target = config.target_label.as_deref().unwrap_or_default();
    match action {
        Action::Keep | Action::Drop | Action::LabelMap => {}
        Action::LabelDrop | Action::LabelKeep => {
            let keys = [
                ("source_labels", !config.source_labels.is_empty()),
                ("separator", config.separator.is_some()),
                ("target_label", config.target_label.is_some()),
                ("modulus", config.modulus.is_some()),
                ("replacement", config.replacement.is_some()),
            ];
            if let Some((key, _)) = keys.into_iter().find(|(_, given)| *given) {
                return Err(unused(key));
            }
        }
        _ if target.is_empty() => return Err(RelabelError::NoTargetLabel { rule, action: action.name() }),
        Action::Replace => {
            // `$1` and `${name}` are filled in later.
            let template = target.replace(['$', '{', '}'], "_");
            if !is_label_name(&template) {
                return Err(RelabelError::LabelName { rule, key: "target_label", found: target.to_owned() });
            }
        }
        _ if !is_label_name(target) => {
            return Err(RelabelError::LabelName { rule, key: "target_label", found: target.to_owned() });
        }
        Action::HashMod if config.modulus.unwrap_or(0) == 0 => return Err(RelabelError::NoModulus { rule }),
        Action::KeepEqual | Action::DropEqual => {
            let keys = [
                ("regex", config.regex.is_some()),
                ("separator", config.separator.is_some()),
                ("modulus", config.modulus.is_some()),
                ("replacement", config.replacement.is_some()),
            ];
            if let Some((key, _)) = keys.into_iter().find(|(_, given)| *given) {
                return Err(unused(key));
            }
        }
        Action::HashMod | Action::Lowercase | Action::Uppercase => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
