//! How the pages of one job are to be read: configured once, compiled once, shared by all its targets.

use leakscope_model::Signal;
use regex::Regex;
use scraper::Selector;

use crate::dialect::Table;
use crate::error::SpecError;
use crate::relabel::{Relabel, RelabelConfig};

/// Bytes a compiled pattern may take.
pub(crate) const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Mappings of one job. More are ignored; there are 16 signals.
const MAPPINGS_MAX: usize = 1_024;

/// What format a page has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Told from the content type and the first bytes, at every scrape anew.
    #[default]
    Auto,
    /// Prometheus text 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0; `# EOF` is required.
    OpenMetrics,
    /// Go's `/debug/vars`.
    Expvar,
    /// leakscope's own JSON contract.
    Status,
    /// One document of Spring's `/actuator/metrics/{name}`.
    Actuator,
    /// An answer of Jolokia, single or bulk.
    Jolokia,
    /// Any JSON, read by configured pointers only.
    Json,
    /// HTML, read by configured selectors only.
    Html,
}

impl Format {
    /// Every format, in the order of the declaration.
    pub const ALL: [Self; 9] = [
        Self::Auto,
        Self::Prometheus,
        Self::OpenMetrics,
        Self::Expvar,
        Self::Status,
        Self::Actuator,
        Self::Jolokia,
        Self::Json,
        Self::Html,
    ];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Prometheus => "prometheus",
            Self::OpenMetrics => "openmetrics",
            Self::Expvar => "expvar",
            Self::Status => "status",
            Self::Actuator => "actuator",
            Self::Jolokia => "jolokia",
            Self::Json => "json",
            Self::Html => "html",
        }
    }

    /// The format of a configured name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// Bounds of one scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Samples on a page, after metric relabelling; 0 is no limit. More: the scrape fails.
    pub sample_limit: u32,
    /// Bytes of one line of a text format. More: the scrape fails.
    pub line_bytes: usize,
    /// Bytes of a JSON or HTML body. More: the scrape fails.
    pub buffered_bytes: usize,
}

impl Default for Limits {
    /// No sample limit, 64 KiB a line, 4 MiB of JSON or HTML.
    fn default() -> Self {
        Self { sample_limit: 0, line_bytes: 64 << 10, buffered_bytes: 4 << 20 }
    }
}

/// Where a configured signal is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A JSON pointer (RFC 6901) to a number or to text with a unit.
    Pointer(String),
    /// A CSS selector; of its first element's text the first quantity, or what `pattern` captures (its first group, else all of it).
    Selector {
        /// The selector.
        css: String,
        /// The pattern.
        pattern: Option<String>,
    },
    /// A metric with these labels; several series add up.
    Metric {
        /// Its name.
        name: String,
        /// Labels that must have these values.
        labels: Vec<(String, String)>,
    },
}

/// One configured signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// The signal.
    pub signal: Signal,
    /// Where it is found.
    pub source: Source,
    /// Plain numbers are multiplied by this: 1048576.0 for a field in MiB. Text with a unit of its own is not.
    pub factor: f64,
}

/// How the pages of one job are to be read, as configured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageConfig {
    /// Their format.
    pub format: Format,
    /// Prefixes that the exporters put before every metric name, with their separator: `myapp_`.
    pub prefixes: Vec<String>,
    /// Configured signals; they win over what the dialects find.
    pub mappings: Vec<Mapping>,
    /// Rules for every sample; empty for nearly all jobs.
    pub metric_relabel: Vec<RelabelConfig>,
}

/// A compiled [`PageConfig`]: shared by the targets of a job.
#[derive(Debug)]
pub struct PageSpec {
    pub(crate) format: Format,
    pub(crate) table: Table,
    pub(crate) json: Vec<JsonMapping>,
    pub(crate) html: Vec<HtmlMapping>,
    pub(crate) metrics: Vec<MetricMapping>,
    pub(crate) relabel: Vec<Relabel>,
}

#[derive(Clone, Debug)]
pub(crate) struct JsonMapping {
    pub(crate) signal: Signal,
    pub(crate) pointer: String,
    pub(crate) factor: f64,
}

#[derive(Debug)]
pub(crate) struct HtmlMapping {
    pub(crate) signal: Signal,
    pub(crate) css: String,
    pub(crate) selector: Selector,
    pub(crate) pattern: Option<Regex>,
    pub(crate) factor: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct MetricMapping {
    pub(crate) signal: Signal,
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) factor: f64,
}

impl Default for PageSpec {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            table: Table::compile(&[], &[]),
            json: Vec::new(),
            html: Vec::new(),
            metrics: Vec::new(),
            relabel: Vec::new(),
        }
    }
}

impl PageSpec {
    /// Compiles a configuration; about 0.1 ms and 60 KiB without patterns.
    ///
    /// # Errors
    /// [`SpecError`] by the first mapping or rule that cannot be used.
    pub fn compile(config: &PageConfig) -> Result<Self, SpecError> {
        let mut spec = Self { format: config.format, ..Self::default() };
        for mapping in config.mappings.iter().take(MAPPINGS_MAX) {
            spec.add(mapping)?;
        }
        for (index, rule) in config.metric_relabel.iter().enumerate() {
            spec.relabel.push(Relabel::compile(index + 1, rule)?);
        }
        spec.table = Table::compile(&config.prefixes, &spec.metrics);
        Ok(spec)
    }

    /// The format as configured.
    pub fn format(&self) -> Format {
        self.format
    }

    fn add(&mut self, mapping: &Mapping) -> Result<(), SpecError> {
        let Mapping { signal, factor, .. } = *mapping;
        if !(factor.is_finite() && factor > 0.0) {
            return Err(SpecError::Factor { signal, factor: factor.to_string() });
        }
        match &mapping.source {
            Source::Pointer(pointer) => {
                if !pointer.is_empty() && !pointer.starts_with('/') {
                    return Err(SpecError::Pointer { signal, pointer: pointer.clone() });
                }
                self.json.push(JsonMapping { signal, pointer: pointer.clone(), factor });
            }
            Source::Selector { css, pattern } => {
                let bad = |reason: String| SpecError::Selector { signal, selector: css.clone(), reason };
                let selector = Selector::parse(css).map_err(|error| bad(error.to_string()))?;
                let pattern = pattern.as_deref().map(|pattern| compile_pattern(signal, pattern)).transpose()?;
                self.html.push(HtmlMapping { signal, css: css.clone(), selector, pattern, factor });
            }
            Source::Metric { name, labels } => {
                if name.is_empty() {
                    return Err(SpecError::MetricName { signal });
                }
                self.metrics.push(MetricMapping { signal, name: name.clone(), labels: labels.clone(), factor });
            }
        }
        Ok(())
    }
}

fn compile_pattern(signal: Signal, pattern: &str) -> Result<Regex, SpecError> {
    regex::RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| SpecError::Pattern {
        signal,
        pattern: pattern.to_owned(),
        reason: error.to_string(),
    })
}
