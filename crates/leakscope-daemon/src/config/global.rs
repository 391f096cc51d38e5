//! `global`: what holds for every job that says nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use leakscope_model::Bytes;

use super::limits;
use super::reader::{Fields, Reader};
use super::scrape::read_labels;

/// The defaults of all jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// How often targets are scraped.
    pub scrape_interval: Duration,
    /// How long one scrape may take.
    pub scrape_timeout: Duration,
    /// Labels of this leakscope, put on what leaves it.
    pub external_labels: BTreeMap<String, String>,
    /// Largest page.
    pub body_size_limit: Bytes,
    /// Most samples of a page; 0 is no limit.
    pub sample_limit: u32,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            scrape_interval: Duration::from_secs(15),
            scrape_timeout: Duration::from_secs(10),
            external_labels: BTreeMap::new(),
            body_size_limit: Bytes(10 << 20),
            sample_limit: 50_000,
        }
    }
}

impl Global {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let defaults = Self::default();
        let interval =
            limits::interval(reader, fields, "scrape_interval").map_or(defaults.scrape_interval, |at| at.value);
        let timeout = limits::interval(reader, fields, "scrape_timeout");
        if let Some(timeout) = &timeout
            && timeout.value > interval
        {
            limits::timeout_too_long(reader, fields, timeout, interval);
        }
        let external_labels = read_labels(reader, fields, "external_labels");
        Self {
            scrape_interval: interval,
            scrape_timeout: timeout.map_or(defaults.scrape_timeout, |at| at.value).min(interval),
            external_labels,
            body_size_limit: limits::body_size(reader, fields).unwrap_or(defaults.body_size_limit),
            sample_limit: limits::samples(reader, fields).unwrap_or(defaults.sample_limit),
        }
    }
}
