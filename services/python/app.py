"""A small shopping-cart service on Flask, healthy or leaking in one chosen way.

It must not grow in any way that ``--leak`` did not ask for.
"""

import argparse
import collections
import ctypes
import functools
import gc
import hashlib
import html
import json
import mmap
import os
import pathlib
import platform
import random
import re
import resource
import signal
import sys
import tempfile
import threading
import time
import tracemalloc

import flask
import waitress.server

KIB = 1024
DEFAULT_RATE_BYTES = 64 * KIB
# Entries of the page cache, about 16 KiB each, so 4 MiB when full. Full: the oldest entry is evicted.
PAGE_CACHE_ENTRIES = 256
# Distinct carts that are asked for; far more than the cache holds, so that it fills and then evicts.
CART_REVISIONS = 4096
SESSION_TTL_S = 10.0
CART_LINES = 48
# Longer user names are cut, so that a client cannot choose how much a session holds.
USER_LENGTH_MAX = 64
REQUEST_DEADLINE_S = 5.0
WORKER_THREADS = 4
# Frames of a stack that `--profile` keeps: Flask and waitress take twelve below a route.
PROFILE_FRAMES = 10
HELD_BYTES_MAX = 1 << 30
HELD_BLOCK_BYTES = 4 * KIB
HELD_BLOCK_BYTES_MAX = 128 * KIB
HELD_DESCRIPTORS_MAX = 4096


# ---- command line ---------------------------------------------------------------------------------------------------

class Arguments(argparse.ArgumentParser):
    """Refuses with one line that lists what is valid."""

    def error(self, message):
        self.exit(2, f"{message} (valid flags: {', '.join(sorted(self._option_string_actions))})\n")


def whole_number(maximum):
    def parse(text):
        if not re.fullmatch("[0-9]+", text) or int(text) > maximum:
            raise argparse.ArgumentTypeError(f"wants a whole number from 0 to {maximum}, found `{text}`")
        return int(text)

    return parse


def leak_kind(text):
    if text not in LEAKS:
        raise argparse.ArgumentTypeError(f"unknown leak kind `{text}`; valid kinds: {', '.join(LEAKS)}")
    return text


def parse_arguments(argv):
    parser = Arguments(description="A cart service, healthy or leaking.", allow_abbrev=False, add_help=False)
    parser.add_argument("--port", type=whole_number(65535), default=0, metavar="N", help="port on 127.0.0.1; 0 takes a free one (default 0)")
    parser.add_argument("--leak", type=leak_kind, default="none", metavar="KIND", help=f"one of {', '.join(LEAKS)} (default none)")
    parser.add_argument("--rate", type=whole_number(1 << 30), default=DEFAULT_RATE_BYTES, metavar="BYTES_PER_REQUEST", help="bytes each work request leaks (default 65536)")
    parser.add_argument("--seed", type=whole_number((1 << 32) - 1), default=1, metavar="N", help="seed of the generated carts (default 1)")
    parser.add_argument("--profile", action="store_true", help="trace allocations, for /debug/heap")
    parser.add_argument("--exit-with-stdin", action="store_true", help="exit when standard input ends")
    parser.add_argument("--help", action="help", help="print this text")
    return parser.parse_args(argv)


# ---- the work -------------------------------------------------------------------------------------------------------


class Dice:
    """Random numbers and texts of one seed, safe to share between threads."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._letters = "".join(self._random.choices("abcdefghijklmnopqrstuvwxyz", k=256 * KIB))

    def below(self, limit):
        return int(self._random.random() * limit)

    def text(self, length):
        start = self.below(len(self._letters) - length)
        return self._letters[start : start + length]

    def texts(self, n_bytes):
        """About ``n_bytes`` of strings of at most 1 KiB each; a slice of a string is a copy."""
        return [self.text(min(KIB, n_bytes - start)) for start in range(0, n_bytes, KIB)]


def build_cart(dice, user):
    lines = [
        {"sku": f"sku-{dice.below(100_000)}", "quantity": 1 + dice.below(9), "cents": dice.below(50_000), "note": dice.text(240)}
        for _ in range(CART_LINES)
    ]
    lines.sort(key=lambda line: (-line["cents"] * line["quantity"], line["sku"]))
    return {"user": user, "lines": lines, "total": sum(line["cents"] * line["quantity"] for line in lines)}


def render_cart(cart):
    rows = "".join(
        f"<tr><td>{line['sku']}</td><td>{line['quantity']}</td><td>{line['cents'] / 100:.2f}</td><td>{line['note']}</td></tr>\n"
        for line in cart["lines"]
    )
    return f"<h1>{html.escape(cart['user'])}</h1><table>{rows}</table>"


class BoundedPageCache:
    """Pages by recency: the oldest is evicted when there are more than ``capacity``."""

    def __init__(self, capacity):
        self._capacity = capacity
        self._pages = collections.OrderedDict()
        self._lock = threading.Lock()

    def get_or_render(self, key, cart):
        with self._lock:
            page = self._pages.pop(key, None)
            if page is None:
                page = render_cart(cart)
            self._pages[key] = page
            if len(self._pages) > self._capacity:
                self._pages.popitem(last=False)
            return page


class ExpiringSessions:
    """Sessions that end ``SESSION_TTL_S`` after their last request; the oldest stands first."""

    def __init__(self):
        self._sessions = collections.OrderedDict()
        self._lock = threading.Lock()

    def touch(self, user, cart, now):
        with self._lock:
            self._sessions.pop(user, None)
            self._sessions[user] = (now, [line["sku"] for line in cart["lines"]], cart["total"])
            while self._sessions and now - next(iter(self._sessions.values()))[0] > SESSION_TTL_S:
                self._sessions.popitem(last=False)


class Deadlines:
    """Deadlines of the requests in flight; each request cancels its own."""

    def __init__(self):
        self._at = {}

    def start(self, request_number, now):
        self._at[request_number] = now + REQUEST_DEADLINE_S

    def cancel(self, request_number):
        self._at.pop(request_number, None)


class Bus:
    """Calls its listeners by topic; whoever adds a listener has to remove it."""

    def __init__(self):
        self._listeners = collections.defaultdict(list)

    def add_listener(self, topic, listener):
        self._listeners[topic].append(listener)

    def remove_listener(self, topic, listener):
        self._listeners[topic].remove(listener)


class Shop:
    """Serves carts; everything a request registers it also removes, whatever happens in between."""

    def __init__(self, dice):
        self._dice = dice
        self._pages = BoundedPageCache(PAGE_CACHE_ENTRIES)
        self._sessions = ExpiringSessions()
        self._deadlines = Deadlines()
        self._bus = Bus()

    def serve(self, user, request_number):
        now = time.monotonic()
        repriced = []
        on_price_change = repriced.append
        self._deadlines.start(request_number, now)
        self._bus.add_listener("price-change", on_price_change)
        try:
            cart = build_cart(self._dice, user)
            self._sessions.touch(user, cart, now)
            page = self._pages.get_or_render(f"cart-{self._dice.below(CART_REVISIONS)}", cart)
            etag = hashlib.sha256((json.dumps(cart) + page).encode()).hexdigest()
            return {"user": user, "items": CART_LINES, "total": cart["total"], "repriced": bool(repriced), "etag": etag, "bytes": len(page)}
        finally:
            self._bus.remove_listener("price-change", on_price_change)
            self._deadlines.cancel(request_number)


# ---- the leaks ------------------------------------------------------------------------------------------------------
# Each is a mistake of production code, in a function or class of its own name, so that a heap analysis can point at it.

Request = collections.namedtuple("Request", "user number rate dice")

AUDIT_TRAIL = []


def append_audit_trail(request):
    """A debug list on module level that nobody ever reads or cuts."""
    AUDIT_TRAIL.append({"user": request.user, "number": request.number, "document": request.dice.texts(request.rate)})


@functools.lru_cache(maxsize=None)
def recommendations_for(user, request_number, rate, dice):
    """Cached for ever under a key that never comes again."""
    return {"user": user, "number": request_number, "texts": dice.texts(rate)}


def remember_recommendation(request):
    recommendations_for(request.user, request.number, request.rate, request.dice)


class SessionStore:
    """A session for each request of a client that sends no cookie, without an end."""

    def __init__(self):
        self.sessions = {}

    def open(self, request):
        session_id = hashlib.sha1(f"{request.user}/{request.number}".encode()).hexdigest()
        self.sessions[session_id] = {"user": request.user, "history": request.dice.texts(request.rate)}


SESSION_STORE = SessionStore()


def open_session(request):
    SESSION_STORE.open(request)


INVENTORY_BUS = Bus()


def subscribe_to_inventory(request):
    """The subscriber is gone after the response, its listener stays."""
    snapshot = request.dice.texts(request.rate)

    def on_stock_change(sku):
        return any(sku in text for text in snapshot)

    INVENTORY_BUS.add_listener("stock-change", on_stock_change)


LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.malloc.argtypes = [ctypes.c_size_t]
LIBC.free.argtypes = [ctypes.c_void_p]
LIBC.strdup.restype = ctypes.c_void_p
LIBC.strdup.argtypes = [ctypes.c_char_p]


def decode_thumbnail_natively(request):
    """What a binding does that forgets to free what a C library made for it: no Python object knows of these bytes."""
    LIBC.strdup(b"Z" * request.rate)


LOST_CONNECTIONS = []


def open_connection(request):
    """A connection that nobody returns to its pool, with the buffer that belongs to it."""
    LOST_CONNECTIONS.append((os.open("/dev/null", os.O_RDONLY), b"Z" * request.rate))


class TinyClick:
    """Millions of small objects instead of some large ones: each click knows the one before."""

    __slots__ = ("before", "at")
    last = None
    N_BYTES = 96  # two slots, an object header, that of the collector, and a number of its own

    def __init__(self, before, at):
        self.before = before
        self.at = at


def chain_clicks(request):
    for index in range(0, request.rate, TinyClick.N_BYTES):
        TinyClick.last = TinyClick(TinyClick.last, request.number * 1_000_000 + index)


RESERVED = threading.Event()


def reserve_in_background(request):
    """A worker that waits for an answer nobody sends; it holds its order for ever."""
    threading.Thread(target=wait_for_reservation, args=(request.dice.texts(request.rate),), daemon=True).start()


def wait_for_reservation(order):
    RESERVED.wait()
    order.append("reserved")


LEAKS = {
    "none": lambda request: None,
    "module-list": append_audit_trail,
    "unbounded-cache": remember_recommendation,
    "session-map": open_session,
    "listener": subscribe_to_inventory,
    "native-buffer": decode_thumbnail_natively,
    "descriptor": open_connection,
    "tiny-objects": chain_clicks,
    "thread": reserve_in_background,
}


# ---- what a client has it hold ----------------------------------------------------------------------------------------


class NativeBlock:
    """Bytes of the C library's allocator, as a C extension holds them."""

    def __init__(self, n_bytes):
        self._address = LIBC.malloc(n_bytes)
        self._n_bytes = n_bytes
        ctypes.memset(self._address, 0x5A, n_bytes)

    def __len__(self):
        return self._n_bytes

    def __del__(self):
        LIBC.free(self._address)


class Held:
    """Memory that ``POST /hold`` sizes: no leak, since whoever asks for it can have it released."""

    def __init__(self, dice):
        self._dice = dice
        self._lock = threading.Lock()
        self._blocks = []
        self._bytes = 0
        self._descriptors = []
        self._mapped = MappedFile()

    def set(self, query):
        def number(name, fallback, maximum):
            text = query.get(name, "")
            return min(int(text), maximum) if re.fullmatch("[0-9]{1,10}", text) else fallback

        with self._lock:
            n_bytes = number("bytes", self._bytes, HELD_BYTES_MAX)
            block = max(1, number("block", HELD_BLOCK_BYTES, HELD_BLOCK_BYTES_MAX))
            make = NativeBlock if query.get("where") == "native" else self._dice.text
            self._release(max(self._bytes - n_bytes, 0) + number("renew", 0, HELD_BYTES_MAX), query.get("order"))
            while self._bytes + block <= n_bytes:
                self._blocks.append(make(block))
                self._bytes += block
            n_descriptors = number("descriptors", len(self._descriptors), HELD_DESCRIPTORS_MAX)
            while len(self._descriptors) < n_descriptors:
                self._descriptors.append(os.open("/dev/null", os.O_RDONLY))
            while len(self._descriptors) > n_descriptors:
                os.close(self._descriptors.pop())
            mapped = self._mapped.resize(number("mapped", self._mapped.n_bytes(), HELD_BYTES_MAX))
            return {"bytes": self._bytes, "blocks": len(self._blocks), "descriptors": n_descriptors, "mapped": mapped}

    def _release(self, n_bytes, order):
        freed = oldest = 0
        while freed < n_bytes and oldest < len(self._blocks):
            if order == "random":
                index = self._dice.below(len(self._blocks))
                self._blocks[index], self._blocks[-1] = self._blocks[-1], self._blocks[index]
                freed += len(self._blocks.pop())
            else:
                freed += len(self._blocks[oldest])
                oldest += 1
        del self._blocks[:oldest]
        self._bytes -= freed


class MappedFile:
    """A file in the page cache that is mapped as well: resident, but the kernel's to take back. It has no name."""

    def __init__(self):
        self._map = None

    def n_bytes(self):
        return len(self._map) if self._map else 0

    def resize(self, n_bytes):
        before = self.n_bytes()
        if n_bytes == 0:
            self._map = None
        elif self._map is None:
            with tempfile.TemporaryFile() as file:
                file.truncate(n_bytes)
                self._map = mmap.mmap(file.fileno(), n_bytes)
        elif n_bytes != before:
            self._map.resize(n_bytes)
        if n_bytes > before:
            self._map[before:] = b"z" * (n_bytes - before)
        return n_bytes


# ---- what the service says about itself -------------------------------------------------------------------------------


def fields_of(path):
    fields = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            match = re.match(r"(\w+):\s+(\d+)( kB)?", line)
            if match:
                fields[match[1]] = int(match[2]) * (KIB if match[3] else 1)
    return fields


def page_counts():
    """Total and resident bytes of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        total, resident = statm.read().split()[:2]
    return int(total) * resource.getpagesize(), int(resident) * resource.getpagesize()


def process_start_time():
    """Unix seconds, from the kernel's ticks since boot."""
    with open("/proc/self/stat", encoding="ascii") as stat:
        ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/stat", encoding="ascii") as lines:
        boot = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def container_limit():
    """Bytes this container may use, or None where there is no limit."""
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as limit:
                text = limit.read().strip()
        except OSError:
            continue
        if text.isdigit() and int(text) < 1 << 60:
            return int(text)
    return None


def host_memory():
    fields = fields_of("/proc/meminfo")
    total, free = fields["MemTotal"], fields["MemAvailable"]
    return {"total": total, "used": total - free, "free": free, "percent": round(100 * (total - free) / total, 1)}


class Status:
    def __init__(self):
        self.start_time = process_start_time()
        self._requests_total = 0
        self._lock = threading.Lock()
        self._rss_first = None

    def next_request_number(self):
        with self._lock:
            self._requests_total += 1
            return self._requests_total

    def memory(self):
        """CPython knows neither its heap size nor what is live; its count of allocated blocks is cheap."""
        fields = {
            "memory_usage": page_counts()[1],
            "object_count": sys.getallocatedblocks(),
            "limit": container_limit(),
            "requests_total": self._requests_total,
            "start_time": self.start_time,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def indicators(self):
        """Growth since the first look: what a service that knows no better would say."""
        rss = page_counts()[1]
        self._rss_first = self._rss_first or rss
        score = max(0.0, round(rss / self._rss_first - 1, 2))
        return {"leak_score": score, "status": "ok" if score < 0.5 else "warning" if score < 2 else "critical"}

    def page(self):
        memory = self.memory()
        return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cart service</title></head><body>
<h1>Cart service (python)</h1>
<table>
<tr><th>Resident memory</th><td id="rss">{memory["memory_usage"] / 1e6:.1f} MB</td></tr>
<tr><th>Allocated blocks</th><td id="objects">{memory["object_count"]}</td></tr>
<tr><th>Work requests</th><td id="requests">{memory["requests_total"]}</td></tr>
<tr><th>Uptime</th><td id="uptime">{time.time() - self.start_time:.0f} s</td></tr>
</table>
</body></html>
"""


def go_float(value):
    """The number as prometheus_client prints it: `53166080` is `5.316608e+07`."""
    text = repr(float(value))
    dot = text.find(".")
    if value > 0 and dot > 6 and "e" not in text:
        mantissa = f"{text[0]}.{text[1:dot]}{text[dot + 1:]}".rstrip("0.")
        return f"{mantissa}e+{dot - 1:02d}"
    return text


def exposition(status):
    """What prometheus_client's default registry prints, and the counter of prometheus_flask_exporter."""
    text = []

    def metric(name, kind, help_text, samples):
        text.append(f"# HELP {name} {help_text}\n# TYPE {name} {kind}\n")
        text.extend(f"{name}{labels} {go_float(value)}\n" for labels, value in samples)

    collector_metrics(metric)
    process_metrics(metric, status)
    requests = status.memory()["requests_total"]
    metric("flask_http_request_total", "counter", "Total number of HTTP requests", [('{method="GET",status="200"}', requests)])
    return "".join(text)


def collector_metrics(metric):
    generations = gc.get_stats()
    by_generation = lambda field: [(f'{{generation="{index}"}}', stats[field]) for index, stats in enumerate(generations)]
    metric("python_gc_objects_collected_total", "counter", "Objects collected during gc", by_generation("collected"))
    metric("python_gc_objects_uncollectable_total", "counter", "Uncollectable objects found during GC", by_generation("uncollectable"))
    metric("python_gc_collections_total", "counter", "Number of times this generation was collected", by_generation("collections"))
    major, minor, patch = platform.python_version_tuple()
    version = f'{{implementation="{platform.python_implementation()}",major="{major}",minor="{minor}",patchlevel="{patch}",version="{platform.python_version()}"}}'
    metric("python_info", "gauge", "Python platform information", [(version, 1)])


def process_metrics(metric, status):
    total, resident = page_counts()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    metric("process_virtual_memory_bytes", "gauge", "Virtual memory size in bytes.", [("", total)])
    metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", [("", resident)])
    metric("process_start_time_seconds", "gauge", "Start time of the process since unix epoch in seconds.", [("", status.start_time)])
    metric("process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", [("", usage.ru_utime + usage.ru_stime)])
    metric("process_open_fds", "gauge", "Number of open file descriptors.", [("", len(os.listdir("/proc/self/fd")) - 1)])
    metric("process_max_fds", "gauge", "Maximum number of open file descriptors.", [("", resource.getrlimit(resource.RLIMIT_NOFILE)[0])])


def agent():
    """The one file that leakscope gives to Python programs; a demo has it beside the services."""
    here = pathlib.Path(__file__).resolve()
    sys.path += [str(folder / "agents" / "python") for folder in here.parents[1:3]]
    import leakscope_heap

    return leakscope_heap


def heap_profile(status):
    """The route of `--profile`: which lines hold memory, traced from the start."""

    def snapshot():
        document = agent().snapshot(requests_total=status.memory()["requests_total"])
        # As the snippet writes it: Flask would sort the keys.
        return flask.Response(json.dumps(document), mimetype="application/json")

    return snapshot


# ---- the server -----------------------------------------------------------------------------------------------------


def build_app(options):
    app = flask.Flask(__name__)
    dice = Dice(options.seed)
    shop = Shop(dice)
    held = Held(dice)
    status = Status()
    leak = LEAKS[options.leak]

    @app.get("/work")
    def work():
        user = (flask.request.args.get("user") or "anonymous")[:USER_LENGTH_MAX]
        number = status.next_request_number()
        reply = shop.serve(user, number)
        if flask.request.args.get("leak") != "off":
            leak(Request(user, number, options.rate, dice))
        return reply

    @app.post("/hold")
    def hold():
        return held.set(flask.request.args)

    app.get("/status/memory")(status.memory)
    app.get("/api/memory_usage")(host_memory)
    app.get("/api/leak_indicators")(status.indicators)
    app.get("/")(status.page)
    if options.profile:
        app.get("/debug/heap")(heap_profile(status))

    @app.get("/metrics")
    def metrics():
        return flask.Response(exposition(status), content_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/healthz")
    def healthz():
        return flask.Response("ok\n", mimetype="text/plain")

    # `/debug/leakscope`: traces nothing until leakscope asks.
    app.wsgi_app = agent().wsgi(app.wsgi_app)
    return app


def exit_with_stdin():
    while os.read(0, 4096):
        pass
    os._exit(0)  # A thread other than the main one cannot raise SystemExit for the process.


def main():
    options = parse_arguments(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if options.profile:
        tracemalloc.start(PROFILE_FRAMES)
    try:
        # `select`, waitress's default, ends with descriptor 1024, which the leak of descriptors reaches.
        server = waitress.server.create_server(
            build_app(options), host="127.0.0.1", port=options.port, threads=WORKER_THREADS, asyncore_use_poll=True
        )
    except OSError as failure:
        sys.exit(f"cannot listen on 127.0.0.1:{options.port}: {failure}")
    if options.exit_with_stdin:
        threading.Thread(target=exit_with_stdin, daemon=True).start()
    listening = f"http://127.0.0.1:{server.effective_port}"
    print(json.dumps({"listening": listening, "runtime": "python", "leak": options.leak, "pid": os.getpid()}), flush=True)
    server.run()


if __name__ == "__main__":
    main()
