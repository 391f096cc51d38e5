//! Containers and process groups that a page describes: cAdvisor and the kubelet, kube-state-metrics, OpenTelemetry's kubeletstats, Coroot's agent, process-exporter.
//!
//! Rows of pods (`container=""`) and of the pause container (`container="POD"`) have no part and fall out in `harvest`.

use leakscope_model::Signal::{
    AnonRss, FileDescriptors, HeapUsed, Limit, OomKills, PageCache, Rss, StartTime, Threads,
};

use super::Role::{Is, Restarts, Usage, WorkingSet};
use super::Scope::{Container, Group};
use super::When::{self, Absent, Present};
use super::{Row, is, otel, row};

const MEMORY: &[When] = &[When::Is("resource", "memory")];
const CADVISOR: &[When] = &[Absent("k8s_container_name"), Absent("container_id")];
const KUBELETSTATS: &[When] = &[Present("k8s_container_name")];

pub(super) const ROWS: &[Row] = &[
    is("container_memory_rss", AnonRss).at(Container),
    is("container_resources_memory_rss_bytes", AnonRss).at(Container),
    otel("container.memory.rss", "_bytes", "", Is(AnonRss)).when(KUBELETSTATS).at(Container),
    row("container_memory_working_set_bytes", WorkingSet).when(CADVISOR).at(Container),
    otel("container.memory.working_set", "_bytes", "", WorkingSet).when(KUBELETSTATS).at(Container),
    row("container_memory_usage_bytes", Usage).when(CADVISOR).at(Container),
    otel("container.memory.usage", "_bytes", "", Usage).when(KUBELETSTATS).at(Container),
    is("container_memory_cache", PageCache).at(Container),
    is("container_resources_memory_cache_bytes", PageCache).at(Container),
    is("container_spec_memory_limit_bytes", Limit).at(Container),
    is("container_resources_memory_limit_bytes", Limit).at(Container),
    is("kube_pod_container_resource_limits", Limit).when(MEMORY).at(Container),
    otel("k8s.container.memory.limit.current", "_bytes", "", Is(Limit)).at(Container),
    otel("k8s.container.memory.limit.desired", "_bytes", "", Is(Limit)).at(Container),
    otel("k8s.container.memory_limit", "_bytes", "", Is(Limit)).at(Container),
    is("container_oom_events_total", OomKills).at(Container),
    is("container_oom_kills_total", OomKills).at(Container),
    is("container_file_descriptors", FileDescriptors).at(Container),
    is("container_threads", Threads).at(Container),
    is("container_start_time_seconds", StartTime).at(Container),
    is("kube_pod_container_state_started", StartTime).at(Container),
    row("kube_pod_container_status_restarts_total", Restarts).at(Container),
    otel("k8s.container.restart.count", "", "", Restarts).at(Container),
    otel("k8s.container.restarts", "", "", Restarts).at(Container),
    is("container_jvm_heap_used_bytes", HeapUsed).at(Container),
    is("container_dotnet_memory_heap_size_bytes", HeapUsed).at(Container).sum(),
    is("namedprocess_namegroup_memory_bytes", Rss).when(&[When::Is("memtype", "resident")]).at(Group),
    is("namedprocess_namegroup_num_threads", Threads).at(Group),
    is("namedprocess_namegroup_open_filedesc", FileDescriptors).at(Group),
    is("namedprocess_namegroup_oldest_start_time_seconds", StartTime).at(Group),
];
