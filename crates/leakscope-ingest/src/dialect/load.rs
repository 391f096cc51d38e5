//! Requests served, in order of preference, summed over label sets. Scrapes are not load: `promhttp_*` is left out and so are series of the metrics path.

use leakscope_model::Signal::Requests;

use super::Role::Is;
use super::When::{self, NotScrape};
use super::{Row, is, otel, suffix};

const LOAD: &[When] = &[NotScrape];

const fn load(name: &'static str) -> Row {
    is(name, Requests).when(LOAD).sum()
}

pub(super) const ROWS: &[Row] = &[
    otel("http.server.request.duration", "_seconds", "_count", Is(Requests)).when(LOAD).sum(),
    load("http_server_requests_seconds_count"),
    load("http_request_duration_seconds_count"),
    load("http_requests_received_total"),
    load("http_requests_total"),
    load("grpc_server_handled_total"),
    otel("rpc.server.duration", "_milliseconds", "_count", Is(Requests)).sum(),
    otel("rpc.server.duration", "_seconds", "_count", Is(Requests)).sum(),
    load("flask_http_request_total"),
    load("django_http_requests_total_by_method_total"),
    load("starlette_requests_total"),
    load("rack_requests_total"),
    load("rack_request_duration_seconds_count"),
    load("istio_requests_total"),
    load("envoy_cluster_upstream_rq_total"),
    load("kafka_consumer_fetch_manager_records_consumed_total"),
    otel("http.server.duration", "_milliseconds", "_count", Is(Requests)).when(LOAD).sum(),
    load("http_request_duration_ms_count"),
    load("flask_http_request_duration_seconds_count"),
    load("http_server_requests_total"),
    load("requests_total"),
    suffix("_records_consumed_total", Is(Requests)).sum(),
];
