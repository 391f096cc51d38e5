//! A job as configured to a job ready to scrape: page reader and relabelling compiled once, shared by all its targets.

use std::sync::Arc;

use leakscope_ingest::{Format, Limits, PageConfig, PageSpec, Relabel, SpecError};

use super::global::Global;
use super::http::HttpClient;
use super::scrape::{HttpSd, Scheme, ScrapeConfig};

/// Everything a scrape needs that its target does not bring.
#[derive(Debug)]
pub struct ScrapeJob {
    /// The job as configured, defaults put in.
    pub config: ScrapeConfig,
    /// How its pages are read.
    pub page: Arc<PageSpec>,
    /// Bounds of a page's content; bytes of the whole body are `config.body_size_limit`.
    pub limits: Limits,
    /// Rules for its targets.
    pub relabel: Vec<Relabel>,
}

/// The job that processes found on this host belong to.
pub const LOCAL_JOB: &str = "local";

impl ScrapeJob {
    /// Compiles a job.
    ///
    /// # Errors
    /// [`SpecError`] by the first mapping or rule that cannot be used; none when the job comes out of [`super::Config::parse`], which has compiled each already.
    pub fn compile(config: ScrapeConfig) -> Result<Arc<Self>, SpecError> {
        let page = PageSpec::compile(&PageConfig {
            format: config.format,
            prefixes: config.metric_prefixes.clone(),
            mappings: config.signals.clone(),
            metric_relabel: config.metric_relabel_configs.clone(),
        })?;
        let mut relabel = Vec::with_capacity(config.relabel_configs.len());
        for (index, rule) in config.relabel_configs.iter().enumerate() {
            relabel.push(Relabel::compile(index + 1, rule)?);
        }
        let limits = Limits { sample_limit: config.sample_limit, ..Limits::default() };
        Ok(Arc::new(Self { config, page: Arc::new(page), limits, relabel }))
    }

    /// The job of processes found on this host: the global times and limits, any known format, no redirects.
    pub fn local(global: &Global) -> Arc<Self> {
        let config = ScrapeConfig {
            http: HttpClient { follow_redirects: false, ..HttpClient::default() },
            ..ScrapeConfig::named(LOCAL_JOB, global)
        };
        let limits = Limits { sample_limit: config.sample_limit, ..Limits::default() };
        Arc::new(Self { config, page: Arc::default(), limits, relabel: Vec::new() })
    }
}

impl ScrapeJob {
    /// The job by which the list of targets at an `http_sd_configs` URL is asked for.
    pub(crate) fn of_list(source: &HttpSd, global: &Global) -> Arc<Self> {
        let scheme = if source.url.starts_with("https:") { Scheme::Https } else { Scheme::Http };
        let config =
            ScrapeConfig { scheme, http: source.http.clone(), ..ScrapeConfig::named("http_sd_configs", global) };
        Arc::new(Self { config, page: Arc::default(), limits: Limits::default(), relabel: Vec::new() })
    }
}

impl ScrapeConfig {
    /// A job with every default and no targets.
    pub fn named(job_name: &str, global: &Global) -> Self {
        Self {
            job_name: job_name.to_owned(),
            scrape_interval: global.scrape_interval,
            scrape_timeout: global.scrape_timeout,
            metrics_path: "/metrics".to_owned(),
            scheme: Scheme::Http,
            params: std::collections::BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            enable_compression: true,
            http: HttpClient::default(),
            body_size_limit: global.body_size_limit,
            sample_limit: global.sample_limit,
            static_configs: Vec::new(),
            file_sd_configs: Vec::new(),
            http_sd_configs: Vec::new(),
            relabel_configs: Vec::new(),
            metric_relabel_configs: Vec::new(),
            format: Format::Auto,
            signals: Vec::new(),
            metric_prefixes: Vec::new(),
            further_paths: Vec::new(),
            runtime: None,
            service: None,
        }
    }
}
