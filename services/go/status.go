package main

import (
	"bufio"
	"encoding/json"
	"expvar"
	"fmt"
	"math"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Longer user names are cut, so that a client cannot choose how much a session holds.
const userLengthMax = 64

// The kernel counts process times in hundredths of a second on every architecture Go runs on.
const clockTicksPerSecond = 100

type status struct {
	requestsTotal atomic.Uint64
	startTime     float64
	mutex         sync.Mutex
	rssFirst      uint64
}

func routes(options options) http.Handler {
	dice := newDice(options.seed)
	shop := newShop(dice)
	held := &held{dice: dice}
	status := &status{startTime: processStartTime()}
	leak := leaks[options.leak]
	mux := http.NewServeMux()
	mux.HandleFunc("/work", func(writer http.ResponseWriter, request *http.Request) {
		user := request.URL.Query().Get("user")
		if user == "" {
			user = "anonymous"
		}
		user = strings.Clone(user[:min(len(user), userLengthMax)])
		reply, err := shop.serve(user)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		number := status.requestsTotal.Add(1)
		if request.URL.Query().Get("leak") != "off" {
			leak(workRequest{user, number, options.rateBytes, dice})
		}
		writeJSON(writer, reply)
	})
	mux.HandleFunc("/hold", func(writer http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodPost {
			http.NotFound(writer, request)
			return
		}
		holding, err := held.set(request.URL.Query())
		if err != nil {
			http.Error(writer, err.Error(), http.StatusInternalServerError)
			return
		}
		writeJSON(writer, holding)
	})
	mux.HandleFunc("/status/memory", func(writer http.ResponseWriter, _ *http.Request) { writeJSON(writer, status.memory()) })
	mux.HandleFunc("/api/memory_usage", func(writer http.ResponseWriter, _ *http.Request) { writeJSON(writer, hostMemory()) })
	mux.HandleFunc("/api/leak_indicators", func(writer http.ResponseWriter, _ *http.Request) { writeJSON(writer, status.indicators()) })
	mux.HandleFunc("/healthz", func(writer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(writer, "ok") })
	mux.HandleFunc("/metrics", func(writer http.ResponseWriter, _ *http.Request) {
		writer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprint(writer, status.exposition())
	})
	mux.Handle("/debug/vars", expvar.Handler())
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("/", func(writer http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/" {
			http.NotFound(writer, request)
			return
		}
		writer.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(writer, status.page())
	})
	return mux
}

func writeJSON(writer http.ResponseWriter, value any) {
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(value)
}

// memory is the status contract; the live heap is what the last mark phase found, unknown before the first one.
func (s *status) memory() map[string]any {
	fields := map[string]any{
		"memory_usage":   residentBytes(),
		"heap_size":      runtimeMetric("/memory/classes/heap/objects:bytes"),
		"object_count":   runtimeMetric("/gc/heap/objects:objects"),
		"requests_total": s.requestsTotal.Load(),
		"start_time":     s.startTime,
	}
	if live := runtimeMetric("/gc/heap/live:bytes"); live > 0 {
		fields["heap_after_gc"] = live
	}
	if limit, limited := memoryLimit(); limited {
		fields["limit"] = limit
	}
	return fields
}

func runtimeMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

// memoryLimit is GOMEMLIMIT where it is set, else the limit of the container, else there is none.
func memoryLimit() (uint64, bool) {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return uint64(limit), true
	}
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && limit < 1<<60 {
			return limit, true
		}
	}
	return 0, false
}

// indicators is growth since the first look: what a service that knows no better would say.
func (s *status) indicators() map[string]any {
	rss := residentBytes()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.rssFirst == 0 {
		s.rssFirst = rss
	}
	score := max(0, math.Round(100*(float64(rss)/float64(s.rssFirst)-1))/100)
	opinion := "ok"
	if score >= 2 {
		opinion = "critical"
	} else if score >= 0.5 {
		opinion = "warning"
	}
	return map[string]any{"leak_score": score, "status": opinion}
}

func (s *status) page() string {
	return fmt.Sprintf(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cart service</title></head><body>
<h1>Cart service (go)</h1>
<table>
<tr><th>Resident memory</th><td id="rss">%.1f MB</td></tr>
<tr><th>Heap in use</th><td id="heap">%.1f MB</td></tr>
<tr><th>Work requests</th><td id="requests">%d</td></tr>
<tr><th>Uptime</th><td id="uptime">%.0f s</td></tr>
</table>
</body></html>
`, float64(residentBytes())/1e6, float64(runtimeMetric("/memory/classes/heap/objects:bytes"))/1e6,
		s.requestsTotal.Load(), float64(time.Now().UnixMilli())/1000-s.startTime)
}

func residentBytes() uint64 {
	_, resident := pageCounts()
	return resident
}

// pageCounts is the virtual and the resident size in bytes.
func pageCounts() (virtual, resident uint64) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, 0
	}
	fmt.Sscan(string(text), &virtual, &resident)
	page := uint64(os.Getpagesize())
	return virtual * page, resident * page
}

// processStartTime is in Unix seconds, from the kernel's ticks since boot.
func processStartTime() float64 {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return float64(time.Now().UnixMilli()) / 1000
	}
	afterName := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks, _ := strconv.ParseFloat(afterName[19], 64)
	return procField("/proc/stat", "btime") + ticks/clockTicksPerSecond
}

// procField is the first number after a name in a file of lines such as `MemTotal:  123 kB`.
func procField(path, name string) float64 {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if len(words) > 1 && strings.TrimSuffix(words[0], ":") == name {
			value, _ := strconv.ParseFloat(words[1], 64)
			return value
		}
	}
	return 0
}

func hostMemory() map[string]any {
	total := uint64(procField("/proc/meminfo", "MemTotal")) * kib
	free := uint64(procField("/proc/meminfo", "MemAvailable")) * kib
	percent := math.Round(1000*float64(total-free)/float64(total)) / 10
	return map[string]any{"total": total, "used": total - free, "free": free, "percent": percent}
}

// exposition is what client_golang's default registry prints, in Prometheus text format 0.0.4.
func (s *status) exposition() string {
	var text strings.Builder
	metric := func(name, kind, help string, value float64) {
		plain, _, _ := strings.Cut(name, "{")
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n%s %s\n", plain, help, plain, kind, name, strconv.FormatFloat(value, 'g', -1, 64))
	}
	collectionSummary(&text)
	goMetrics(metric)
	memoryMetrics(metric)
	s.processMetrics(metric)
	metric(`http_requests_total{code="200",method="get"}`, "counter", "Requests served.", float64(s.requestsTotal.Load()))
	return text.String()
}

func collectionSummary(text *strings.Builder) {
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&stats)
	name := "go_gc_duration_seconds"
	fmt.Fprintf(text, "# HELP %s A summary of the wall-time pause (stop-the-world) duration in garbage collection cycles.\n# TYPE %s summary\n", name, name)
	for index, pause := range stats.PauseQuantiles {
		fmt.Fprintf(text, "%s{quantile=\"%g\"} %g\n", name, float64(index)/4, pause.Seconds())
	}
	fmt.Fprintf(text, "%s_sum %g\n%s_count %d\n", name, stats.PauseTotal.Seconds(), name, stats.NumGC)
}

func goMetrics(metric func(name, kind, help string, value float64)) {
	metric("go_gc_gogc_percent", "gauge", "Heap size target percentage configured by the user, otherwise 100.", float64(runtimeMetric("/gc/gogc:percent")))
	metric("go_gc_gomemlimit_bytes", "gauge", "Go runtime memory limit configured by the user, otherwise math.MaxInt64.", float64(debug.SetMemoryLimit(-1)))
	metric("go_goroutines", "gauge", "Number of goroutines that currently exist.", float64(runtime.NumGoroutine()))
	metric(fmt.Sprintf("go_info{version=%q}", runtime.Version()), "gauge", "Information about the Go environment.", 1)
	threads, _ := runtime.ThreadCreateProfile(nil)
	metric("go_threads", "gauge", "Number of OS threads created.", float64(threads))
}

func memoryMetrics(metric func(name, kind, help string, value float64)) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	gauges := []struct {
		name, help string
		value      uint64
	}{
		{"alloc_bytes", "Number of bytes allocated in heap and currently in use.", stats.Alloc},
		{"buck_hash_sys_bytes", "Number of bytes used by the profiling bucket hash table.", stats.BuckHashSys},
		{"gc_sys_bytes", "Number of bytes used for garbage collection system metadata.", stats.GCSys},
		{"heap_alloc_bytes", "Number of heap bytes allocated and currently in use.", stats.HeapAlloc},
		{"heap_idle_bytes", "Number of heap bytes waiting to be used.", stats.HeapIdle},
		{"heap_inuse_bytes", "Number of heap bytes that are in use.", stats.HeapInuse},
		{"heap_objects", "Number of currently allocated objects.", stats.HeapObjects},
		{"heap_released_bytes", "Number of heap bytes released to OS.", stats.HeapReleased},
		{"heap_sys_bytes", "Number of heap bytes obtained from system.", stats.HeapSys},
		{"mcache_inuse_bytes", "Number of bytes in use by mcache structures.", stats.MCacheInuse},
		{"mcache_sys_bytes", "Number of bytes used for mcache structures obtained from system.", stats.MCacheSys},
		{"mspan_inuse_bytes", "Number of bytes in use by mspan structures.", stats.MSpanInuse},
		{"mspan_sys_bytes", "Number of bytes used for mspan structures obtained from system.", stats.MSpanSys},
		{"next_gc_bytes", "Number of heap bytes when next garbage collection will take place.", stats.NextGC},
		{"other_sys_bytes", "Number of bytes used for other system allocations.", stats.OtherSys},
		{"stack_inuse_bytes", "Number of bytes obtained from system for stack allocator in non-CGO environments.", stats.StackInuse},
		{"stack_sys_bytes", "Number of bytes obtained from system for stack allocator.", stats.StackSys},
		{"sys_bytes", "Number of bytes obtained from system.", stats.Sys},
	}
	for _, gauge := range gauges {
		metric("go_memstats_"+gauge.name, "gauge", gauge.help, float64(gauge.value))
	}
	metric("go_memstats_last_gc_time_seconds", "gauge", "Number of seconds since 1970 of last garbage collection.", float64(stats.LastGC)/1e9)
	metric("go_memstats_alloc_bytes_total", "counter", "Total number of bytes allocated in heap until now, even if released already.", float64(stats.TotalAlloc))
	metric("go_memstats_mallocs_total", "counter", "Total number of heap objects allocated, both live and gc-ed.", float64(stats.Mallocs))
	metric("go_memstats_frees_total", "counter", "Total number of heap objects frees.", float64(stats.Frees))
}

func (s *status) processMetrics(metric func(name, kind, help string, value float64)) {
	virtual, resident := pageCounts()
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	var descriptors syscall.Rlimit
	syscall.Getrlimit(syscall.RLIMIT_NOFILE, &descriptors)
	open, _ := os.ReadDir("/proc/self/fd")
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", cpu.Seconds())
	metric("process_max_fds", "gauge", "Maximum number of open file descriptors.", float64(descriptors.Cur))
	metric("process_open_fds", "gauge", "Number of open file descriptors.", float64(max(len(open)-1, 0)))
	metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", float64(resident))
	metric("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", s.startTime)
	metric("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", float64(virtual))
	metric("process_virtual_memory_max_bytes", "gauge", "Maximum amount of virtual memory available in bytes.", math.MaxUint64)
}
