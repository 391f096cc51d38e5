#!/usr/bin/env python3
"""Starts every example service, healthy and in each leaking mode, and checks what it promises.

usage: check.py [--runtimes node,python,go,java,rust] [--build-dir DIR] [--only TEXT]

Prints one line per case and closes with `N passed, N failed`; exit 1 when a case failed. A runtime that this host
lacks is skipped by name. Every wait is for a condition with a deadline; nothing sleeps for a fixed time.
"""

import argparse
import contextlib
import gzip
import http.client
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

SERVICES = Path(__file__).resolve().parent
ROOT = SERVICES.parent
RATE_BYTES = 65536
N_REQUESTS = 300
# Enough that a sample of every half mebibyte, as Go takes it, meets the leak a dozen times.
N_PROFILED = 100
# Retained bytes that must show in the resident set, as a share of the bytes leaked.
SHARE_MIN = 0.6
GROWTH_BYTES = int(SHARE_MIN * N_REQUESTS * RATE_BYTES)
# A JVM takes about 1 s on an idle core; the limit is for a machine that does other things.
START_DEADLINE_S = 60
REPLY_DEADLINE_S = 30
EXIT_DEADLINE_S = 15
SETTLE_DEADLINE_S = 5
POLL_S = 0.05


class Failed(Exception):
    """A promise that a service broke."""


def expect(holds, message):
    if not holds:
        raise Failed(message)


# ---- the runtimes ---------------------------------------------------------------------------------------------------


def run(*command, cwd=None):
    """Runs a build step and returns what it printed."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    expect(done.returncode == 0, f"`{' '.join(map(str, command))}` failed:\n{done.stdout}")
    return done.stdout


class Node:
    name = "node"
    tools = ["node"]
    flags = ["--profile"]
    profiled_leak = "native-buffer"
    leaks = ["unbounded-cache", "listener", "timer-closure", "session-map", "promise", "native-buffer", "descriptor", "tiny-objects"]
    maps_files = False
    metrics = [
        "process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds", "process_heap_bytes",
        "nodejs_heap_size_total_bytes", "nodejs_heap_size_used_bytes", "nodejs_external_memory_bytes",
        'nodejs_heap_space_size_used_bytes{space="old"}', "nodejs_active_handles_total", "nodejs_version_info", "http_requests_total",
    ]

    def build(self, out):
        return ["node", SERVICES / "node" / "server.js"]

    def check_natural(self, service):
        expect(service.status_of("/debug/heapprofile") == 404, "`/debug/heapprofile` is there without `--profile`")

    def profiled(self, command):
        return [*command, "--profile"]

    def check_profile(self, service):
        profile = service.json("/debug/heapprofile")
        expect(sorted(profile) == ["head", "samples"] and profile["samples"], "`/debug/heapprofile` has no samples")
        expect("keepThumbnail" in json.dumps(profile["head"]), "`/debug/heapprofile` does not name `keepThumbnail`")


class Python:
    name = "python"
    tools = ["python3"]
    flags = ["--profile"]
    profiled_leak = "descriptor"
    leaks = ["module-list", "unbounded-cache", "session-map", "listener", "native-buffer", "descriptor", "tiny-objects", "thread"]
    maps_files = True
    metrics = [
        "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_start_time_seconds", "process_open_fds",
        'python_gc_objects_collected_total{generation="2"}', "python_gc_collections_total", "python_info", "flask_http_request_total",
    ]

    def build(self, out):
        requirements = SERVICES / "python" / "requirements.txt"
        python = out / "venv" / "bin" / "python"
        stamp = out / "venv" / "requirements.txt"
        if not stamp.exists() or stamp.read_text() != requirements.read_text():
            run("python3", "-m", "venv", out / "venv")
            run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements)
            shutil.copyfile(requirements, stamp)
        return [python, SERVICES / "python" / "app.py"]

    def check_natural(self, service):
        expect(service.status_of("/debug/heap") == 404, "`/debug/heap` is there without `--profile`")

    def profiled(self, command):
        return [*command, "--profile"]

    def check_profile(self, service):
        profile = service.json("/debug/heap")
        expect((profile["leakscope"], profile["source"]) == ("python-heap", "tracemalloc"), f"`/debug/heap` has the fields {sorted(profile)}")
        expect(profile["requests_total"] == N_PROFILED, f"`/debug/heap` counts {profile['requests_total']} requests")
        expect("open_connection" in json.dumps(profile["frames"]), "`/debug/heap` does not name `open_connection`")


class Go:
    name = "go"
    tools = ["go"]
    flags = []
    profiled_leak = "slice-retain"
    leaks = ["goroutine", "unbounded-cache", "session-map", "timer-closure", "slice-retain", "descriptor", "tiny-objects"]
    maps_files = True
    metrics = [
        "process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds", "go_memstats_heap_alloc_bytes",
        "go_memstats_heap_inuse_bytes", "go_memstats_next_gc_bytes", "go_memstats_heap_objects", "go_goroutines", "go_threads",
        "go_gc_gogc_percent", "go_info", "go_gc_duration_seconds_count", "http_requests_total",
    ]

    def build(self, out):
        run("go", "build", "-o", out / "go-service", ".", cwd=SERVICES / "go")
        return [out / "go-service"]

    def check_natural(self, service):
        variables = service.json("/debug/vars")
        expect(variables["memstats"]["HeapAlloc"] > 0, "`/debug/vars` has no memstats.HeapAlloc")
        expect(b"goroutine profile: total" in service.get("/debug/pprof/goroutine?debug=1"), "`/debug/pprof/goroutine` is no goroutine profile")

    def profiled(self, command):
        return command

    def check_profile(self, service):
        check_pprof(service, "/debug/pprof/heap?gc=1", b"keepOrderNumber")
        check_pprof(service, "/debug/pprof/goroutine", b"net/http.(*conn).serve")
        expect(b"\ncreated by " in service.get("/debug/pprof/goroutine?debug=2"), "`/debug/pprof/goroutine?debug=2` is no dump of goroutines")


class Java:
    name = "java"
    tools = ["java", "javac", "jcmd"]
    flags = []
    profiled_leak = "native-buffer"
    leaks = ["static-collection", "threadlocal", "session-map", "listener", "native-buffer", "unbounded-cache", "descriptor", "tiny-objects", "thread"]
    maps_files = True
    metrics = [
        'jvm_memory_used_bytes{area="heap"', 'jvm_memory_used_bytes{area="nonheap"', 'jvm_memory_max_bytes{area="heap"',
        'jvm_memory_committed_bytes{area="heap"', "jvm_gc_live_data_size_bytes", "jvm_threads_live_threads",
        'jvm_buffer_memory_used_bytes{id="direct"}', "process_start_time_seconds", "http_server_requests_seconds_count{",
    ]

    def build(self, out):
        run("javac", "-d", out / "java", SERVICES / "java" / "Service.java")
        return ["java", f"@{SERVICES / 'java' / 'jvm.options'}", "-cp", out / "java", "Service"]

    def check_natural(self, service):
        names = service.json("/actuator/metrics")["names"]
        expect("jvm.memory.used" in names, f"`/actuator/metrics` lists no jvm.memory.used: {names}")
        for name in names:
            metric = service.json(f"/actuator/metrics/{name}")
            expect(metric["name"] == name and metric["measurements"], f"`/actuator/metrics/{name}` has no measurement")
            expect(isinstance(metric["availableTags"], list), f"`/actuator/metrics/{name}` has no availableTags")
        value = lambda query: service.json(f"/actuator/metrics/jvm.memory.used{query}")["measurements"][0]["value"]
        expect(0 < value("?tag=area:heap") < value(""), "`?tag=area:heap` is not honoured")
        expect(service.status_of("/actuator/metrics/no.such") == 404, "an unknown actuator metric is no 404")
        expect(service.json("/actuator/health") == {"status": "UP"}, "`/actuator/health` is not UP")

    def profiled(self, command):
        return command

    def check_profile(self, service):
        histogram = run("jcmd", service.process.pid, "GC.class_histogram")
        expect("java.nio.DirectByteBuffer" in histogram, "`jcmd GC.class_histogram` does not name `java.nio.DirectByteBuffer`")


class Rust:
    name = "rust"
    tools = ["cargo"]
    flags = ["--profile"]
    profiled_leak = "native-buffer"
    leaks = ["unbounded-cache", "session-map", "task", "native-buffer", "channel", "descriptor", "tiny-objects"]
    maps_files = False
    metrics = ["process_resident_memory_bytes", "process_threads", "process_open_fds", "process_start_time_seconds", "tokio_alive_tasks", "http_requests_total"]

    def build(self, out):
        # With its profile first: cargo keeps one program of that name, and the other cases are about the one without.
        self._profiled = out / "rust-service-with-profile"
        shutil.copy(self._built("--features", "profile"), self._profiled)
        return [self._built()]

    def _built(self, *options):
        """In cargo's own target folder, whose dependencies the workspace shares; cargo says where the program is."""
        lines = run("cargo", "build", "--quiet", "-p", "example-service", "--message-format=json", *options, cwd=ROOT).splitlines()
        built = [json.loads(line).get("executable") for line in lines if line.startswith("{")]
        return next(path for path in built if path and Path(path).name == "example-service")

    def check_natural(self, service):
        expect(service.status_of("/debug/pprof/heap") == 404, "`/debug/pprof/heap` is there without `--profile`")

    def profiled(self, command):
        done = subprocess.run([*map(str, command), "--profile"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_DEADLINE_S)
        expect(done.returncode == 2 and "--features profile" in done.stderr, f"without its feature `--profile` exits {done.returncode} and says `{done.stderr.strip()}`")
        return [self._profiled, "--profile"]

    def check_profile(self, service):
        check_pprof(service, "/debug/pprof/heap", b"keep_thumbnail")
        text = service.get("/debug/pprof/heap?format=jemalloc", "text/plain")
        expect(text.startswith(b"heap_v2/131072\n") and b"\nMAPPED_LIBRARIES:\n" in text, f"`/debug/pprof/heap?format=jemalloc` begins with {text[:40]}")


RUNTIMES = [Node(), Python(), Go(), Java(), Rust()]


def check_pprof(service, path, name):
    """A gzipped profile of pprof that names a function."""
    packed = service.get(path)
    expect(packed[:2] == b"\x1f\x8b", f"`{path}` is no gzipped profile")
    expect(name in gzip.decompress(packed), f"`{path}` does not name `{name.decode()}`")


# ---- one running service --------------------------------------------------------------------------------------------


class Service:
    """A started service: its start line, and one kept connection to it."""

    def __init__(self, process):
        self.process = process
        self.start_line = json.loads(self._first_line(time.monotonic() + START_DEADLINE_S))
        self._connection = http.client.HTTPConnection(self.start_line["listening"].removeprefix("http://"), timeout=REPLY_DEADLINE_S)

    def _first_line(self, deadline):
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            expect(ready, f"no start line within {START_DEADLINE_S} s")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise Failed(f"exited with {self.process.wait(timeout=EXIT_DEADLINE_S)} before the start line")
            line += byte
        return line

    def reply(self, path, method="GET"):
        self._connection.request(method, path)
        reply = self._connection.getresponse()
        return reply, reply.read()

    def status_of(self, path):
        return self.reply(path)[0].status

    def get(self, path, content_type=""):
        reply, body = self.reply(path)
        expect(reply.status == 200, f"`{path}` answered {reply.status}: {body[:200]!r}")
        found = reply.getheader("content-type", "")
        expect(found.startswith(content_type), f"`{path}` is `{found}`, expected `{content_type}`")
        return body

    def json(self, path):
        return json.loads(self.get(path, "application/json"))

    def work(self, n_requests, more=""):
        for index in range(n_requests):
            self.get(f"/work?user=user-{index % 97}{more}")

    def hold(self, query):
        reply, body = self.reply(f"/hold?{query}", "POST")
        expect(reply.status == 200, f"`/hold?{query}` answered {reply.status}: {body[:200]!r}")
        return json.loads(body)

    def rss(self):
        return self.json("/status/memory")["memory_usage"]

    def close_stdin(self):
        """Ends the service's standard input; returns whether it then exited by itself."""
        self.process.stdin.close()
        return self._exited()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self._exited()

    def _exited(self):
        try:
            self.process.wait(timeout=EXIT_DEADLINE_S)
        except subprocess.TimeoutExpired:
            return False
        return True


@contextlib.contextmanager
def started(command, leak="none"):
    arguments = [*map(str, command), "--leak", leak, "--rate", str(RATE_BYTES), "--exit-with-stdin"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Service(process)
        finally:
            process.kill()


# ---- the cases ------------------------------------------------------------------------------------------------------


def start_line(runtime, command):
    with started(command) as service:
        line = service.start_line
        expect(sorted(line) == ["leak", "listening", "pid", "runtime"], f"start line has keys {sorted(line)}")
        expect(re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", line["listening"]), f"listens on `{line['listening']}`")
        expect((line["runtime"], line["leak"], line["pid"]) == (runtime.name, "none", service.process.pid), f"start line is {line}")


def work_document(runtime, command):
    with started(command) as service:
        reply = service.json("/work?user=%3Cada%3E")
        expect(reply["user"] == "<ada>" and reply["items"] > 0, f"`/work` answered {reply}")
        expect(re.fullmatch("[0-9a-f]{16,64}", reply["etag"]), f"`/work` has the etag `{reply['etag']}`")
        expect(service.json("/work")["user"] == "anonymous", "`/work` without a user is not anonymous")
        expect(service.status_of("/no-such-page") == 404, "an unknown path is no 404")


def same_seed_same_carts(runtime, command):
    replies = []
    for seed in ("7", "7", "8"):
        with started([*command, "--seed", seed]) as service:
            replies.append(service.json("/work?user=ada"))
    expect(replies[0] == replies[1], "two runs of one seed differ")
    expect(replies[0] != replies[2], "two seeds give the same cart")


def status_contract(runtime, command):
    with started(command) as service:
        service.work(3)
        memory = service.json("/status/memory")
        allowed = {"memory_usage", "heap_size", "heap_after_gc", "object_count", "limit", "requests_total", "start_time"}
        expect(set(memory) <= allowed, f"`/status/memory` has unknown fields {set(memory) - allowed}")
        expect(all(isinstance(value, (int, float)) for value in memory.values()), f"`/status/memory` is not all numbers: {memory}")
        expect(memory["requests_total"] == 3, f"requests_total is {memory['requests_total']} after 3 work requests")
        expect(abs(time.time() - memory["start_time"]) < START_DEADLINE_S, f"start_time is {memory['start_time']}")
        resident = int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        expect(0.7 < memory["memory_usage"] / resident < 1.4, f"memory_usage is {memory['memory_usage']}, the kernel says {resident}")


def host_and_opinion(runtime, command):
    with started(command) as service:
        host = service.json("/api/memory_usage")
        expect(sorted(host) == ["free", "percent", "total", "used"], f"`/api/memory_usage` is {host}")
        expect(host["total"] == host["used"] + host["free"] and 0 <= host["percent"] <= 100, f"`/api/memory_usage` is {host}")
        opinion = service.json("/api/leak_indicators")
        expect(sorted(opinion) == ["leak_score", "status"], f"`/api/leak_indicators` is {opinion}")
        expect(opinion["leak_score"] >= 0 and opinion["status"] in ("ok", "warning", "critical"), f"`/api/leak_indicators` is {opinion}")


def pages(runtime, command):
    with started(command) as service:
        page = service.get("/", "text/html").decode()
        expect(re.search(r'<td id="rss">[0-9]+\.[0-9] MB</td>', page), f"the status page has no resident memory: {page}")
        service.get("/healthz", "text/plain")


def natural_endpoints(runtime, command):
    with started(command) as service:
        service.work(3)
        text = service.get("/metrics", "text/plain").decode()
        for line in text.splitlines():
            expect(not line or line[0] == "#" or re.fullmatch(SAMPLE_LINE, line), f"`/metrics` has the line `{line}`")
        for name in runtime.metrics:
            expect(re.search(f"^{re.escape(name)}", text, re.MULTILINE), f"`/metrics` lacks `{name}`")
        runtime.check_natural(service)


def profile(runtime, command):
    """What `services/README.md` says of profiles: there when asked for, and it names who allocated what is alive."""
    with started(runtime.profiled(command), runtime.profiled_leak) as service:
        service.work(N_PROFILED)
        runtime.check_profile(service)


SAMPLE_LINE = r'[a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)*\})? [-+]?([0-9.]+([eE][-+]?[0-9]+)?|Inf|NaN)'


def exits_with_stdin(runtime, command):
    with started(command) as service:
        service.work(1)
        expect(service.close_stdin(), "still runs after its standard input ended")


def exits_on_sigterm(runtime, command):
    with started(command) as service:
        service.work(1)
        expect(service.terminate(), "still runs after SIGTERM")


def stays_without_flag(runtime, command):
    """Standard input at its end does not matter unless asked for: that is how init systems start services."""
    process = subprocess.Popen([*map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        line = json.loads(process.stdout.readline())
        connection = http.client.HTTPConnection(line["listening"].removeprefix("http://"), timeout=REPLY_DEADLINE_S)
        connection.request("GET", "/healthz")
        expect(connection.getresponse().status == 200, "does not answer without `--exit-with-stdin`")
        expect(process.poll() is None, "exited though `--exit-with-stdin` was not given")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def refuses_bad_flags(runtime, command):
    every = ["none", *runtime.leaks]
    flags = ["--port", "--leak", "--rate", "--seed", *runtime.flags, "--exit-with-stdin", "--help"]
    for arguments, wanted in [(["--leek"], flags), (["--leak", "gold"], every), (["--port", "many"], ["--port", "many"]), (["--rate", "-1"], ["--rate"]), (["--leak"], ["--leak"])]:
        done = subprocess.run([*map(str, command), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_DEADLINE_S)
        expect(done.returncode == 2, f"{arguments} exits {done.returncode}, expected 2")
        missing = [word for word in wanted if word not in done.stderr]
        expect(not missing and not done.stdout, f"{arguments} says `{done.stderr.strip()}`, lacks {missing}")


def helps(runtime, command):
    done = subprocess.run([*map(str, command), "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_DEADLINE_S)
    expect(done.returncode == 0, f"`--help` exits {done.returncode}")
    for word in ["--port", "--leak", "--rate", "--seed", *runtime.flags, "--exit-with-stdin", *runtime.leaks]:
        expect(word in re.sub(r"-\n\s+", "-", done.stdout), f"`--help` does not name `{word}`")


def growth(service):
    """Growth of the resident set over the second batch; the first fills caches and warms the runtime."""
    service.work(N_REQUESTS)
    warm = service.rss()
    service.work(N_REQUESTS)
    return warm


def healthy_stays(runtime, command):
    with started(command) as service:
        warm = growth(service)
        grown = service.rss() - warm
        expect(grown < GROWTH_BYTES, f"grew by {grown} bytes over {N_REQUESTS} requests, allowed {GROWTH_BYTES}")
        return f"{grown / 1e6:+.1f} MB"


def leaking_grows(runtime, command, leak):
    with started(command, leak) as service:
        expect(service.start_line["leak"] == leak, f"start line says the leak is `{service.start_line['leak']}`")
        warm = growth(service)
        deadline = time.monotonic() + SETTLE_DEADLINE_S
        while (grown := service.rss() - warm) < GROWTH_BYTES and time.monotonic() < deadline:
            select.select([], [], [], POLL_S)
        expect(grown >= GROWTH_BYTES, f"grew by {grown} bytes over {N_REQUESTS} requests, expected {GROWTH_BYTES}")
        return f"{grown / 1e6:+.1f} MB"


def leak_off_leaks_nothing(runtime, command):
    """A leaking service must not leak for requests that say so: a load can then choose which of them do."""
    with started(command, "session-map") as service:
        service.work(N_REQUESTS, "&leak=off")
        warm = service.rss()
        service.work(N_REQUESTS, "&leak=off")
        grown = service.rss() - warm
        expect(grown < GROWTH_BYTES, f"grew by {grown} bytes over {N_REQUESTS} requests with `leak=off`, allowed {GROWTH_BYTES}")


def holds_what_is_asked(runtime, command):
    mebibytes = 1 << 20
    with started(command) as service:
        expect(service.status_of("/hold?bytes=1") in (404, 405), "`GET /hold` changes something")
        service.work(3)
        before = service.rss()
        held = service.hold(f"bytes={64 * mebibytes}&block=65536")
        expect(held["bytes"] == 64 * mebibytes and held["blocks"] == 1024, f"`/hold` answered {held}")
        grown = service.rss() - before
        expect(grown > SHARE_MIN * 64 * mebibytes, f"holds 64 MiB and grew by {grown} bytes")
        for order in ("oldest", "random"):
            held = service.hold(f"bytes={32 * mebibytes}&renew={8 * mebibytes}&block=65536&order={order}")
            expect(held["bytes"] == 32 * mebibytes, f"`/hold` with `order={order}` answered {held}")
        held = service.hold("bytes=0&where=native")
        expect((held["bytes"], held["blocks"]) == (0, 0), f"`/hold` of nothing answered {held}")
        held = service.hold(f"bytes={mebibytes}&where=native&block=65536")
        expect(held["bytes"] == mebibytes, f"`/hold` with `where=native` answered {held}")
        expect(service.hold("descriptors=40")["descriptors"] == 40, "`/hold` opened no descriptors")
        n_open = len(os.listdir(f"/proc/{service.process.pid}/fd"))
        expect(service.hold("descriptors=0")["descriptors"] == 0, "`/hold` closed no descriptors")
        n_closed = n_open - len(os.listdir(f"/proc/{service.process.pid}/fd"))
        expect(n_closed == 40, f"`/hold` opened 40 descriptors and closed {n_closed}")
        if runtime.maps_files:
            expect(service.hold(f"mapped={8 * mebibytes}")["mapped"] == 8 * mebibytes, "`/hold` mapped nothing")
            expect(service.hold("mapped=0")["mapped"] == 0, "`/hold` unmapped nothing")
            service.work(1)


CASES = [
    start_line, work_document, same_seed_same_carts, status_contract, host_and_opinion, pages, natural_endpoints, profile, exits_with_stdin,
    exits_on_sigterm, stays_without_flag, refuses_bad_flags, helps, healthy_stays,
    leak_off_leaks_nothing, holds_what_is_asked,
]


def cases_of(runtime):
    for case in CASES:
        yield case.__name__.replace("_", "-"), case
    for leak in runtime.leaks:
        yield f"leak-{leak}", lambda runtime, command, leak=leak: leaking_grows(runtime, command, leak)


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def run(self, name, case):
        """Runs one case and prints its line; returns what it gave, or None when it failed."""
        try:
            given = case()
        except (Failed, OSError, ValueError, KeyError, http.client.HTTPException, subprocess.SubprocessError) as failure:
            self.failed += 1
            print(f"FAIL {name}: {failure if isinstance(failure, Failed) else repr(failure)}", flush=True)
            return None
        self.passed += 1
        print(f"ok   {name}" + (f" ({given})" if isinstance(given, str) else ""), flush=True)
        return given


def main():
    names = [runtime.name for runtime in RUNTIMES]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runtimes", default=",".join(names), help=f"which of {','.join(names)} (default all that this host has)")
    parser.add_argument("--build-dir", type=Path, default=ROOT / "target" / "services", help="where build outputs go (default target/services)")
    parser.add_argument("--only", default="", help="only cases whose name contains this text")
    options = parser.parse_args()
    chosen = options.runtimes.split(",")
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"unknown runtimes {', '.join(unknown)} (valid: {', '.join(names)})")
    tally = Tally()
    out = options.build_dir.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for runtime in RUNTIMES:
        if runtime.name not in chosen:
            continue
        missing = [tool for tool in runtime.tools if shutil.which(tool) is None]
        if missing:
            print(f"skip {runtime.name}: this host has no `{missing[0]}`")
            continue
        check_runtime(tally, runtime, out, options.only)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed else 0


def check_runtime(tally, runtime, out, only):
    command = tally.run(f"{runtime.name} build", lambda: runtime.build(out))
    if command is None:
        return
    for name, case in cases_of(runtime):
        if only in name:
            tally.run(f"{runtime.name} {name}", lambda: case(runtime, command))


if __name__ == "__main__":
    sys.exit(main())
