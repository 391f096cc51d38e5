"""Tells which lines of a Python program hold its memory, as JSON that `leakscope analyze` and `leakscope diff` read.

One file, the standard library alone, Python 3.8 and later: copy it beside your program. See docs/python.md.

    import leakscope_heap                                # for a running leakscope: one of these, nothing else
    app = leakscope_heap.wsgi(app)                       # Flask: app.wsgi_app = leakscope_heap.wsgi(app.wsgi_app)
    app = leakscope_heap.asgi(app)                       # Starlette, FastAPI, Django's ASGI
    leakscope_heap.serve(8399)                           # a program without a web server: on loopback

    import tracemalloc, leakscope_heap                   # for files by hand
    tracemalloc.start(10)                                # frames a stack; or PYTHONTRACEMALLOC=10 in the environment
    ...
    leakscope_heap.write("/var/tmp/heap-1.json")         # again later, then: leakscope diff /var/tmp/heap-*.json

    python leakscope_heap.py memray.bin heap.json        # what memray recorded, where memray is installed

It must not hold memory of its own between two snapshots beyond the few names that it caches, and must not trace anything until it is
asked to.
"""

import argparse
import gc
import functools
import heapq
import hmac
import json
import os
import platform
import sys
import tempfile
import threading
import time
import tracemalloc
import types
import urllib.parse
import warnings

__all__ = ["Busy", "LowMemory", "arm", "asgi", "disarm", "histogram", "look", "serve", "snapshot", "snapshot_of_memray", "write", "wsgi"]

VERSION = 1
# Stacks that are kept one by one, those with most bytes. All others are added up in `rest`, so that nothing is lost.
STACKS_MAX = 5000
# A snapshot of tracemalloc needs so many times the memory that tracemalloc itself uses: it copies its table and makes Python objects of it.
SNAPSHOT_FACTOR = 4
# Bytes that tracemalloc takes for a block that it traces, rounded up (measured: 57 in Python 3.8, 49 in 3.11 to 3.14).
TRACE_BYTES = 64
# Tracing begins where there is so many times the room that it would take if every block of today were traced.
ARM_FACTOR = 3
# Frames of a stack where nobody says how many: enough for the callers of a helper. Each more costs CPU time at each allocation.
FRAMES = 6
FRAMES_MAX = 50
# Seconds after the last request for a snapshot at which tracing stops by itself, and between two looks at that and at the room.
IDLE_S = 1800
WATCH_S = 5
# Share of a core from which tracing is too much for a program that took less than half of it before: at two looks in a row it stops,
# and does not begin again for so many seconds. A program that serves by one core would else answer later and later.
BUSY_SHARE = 0.9
BUSY_LOOKS = 2
BUSY_S = 900
# Objects that a histogram looks at, in one pass and in all, and seconds: beyond, it tells what the objects that it saw stand for.
TYPES_PASS_MAX = 50_000
TYPES_OBJECTS_MAX = 500_000
TYPES_S = 0.3
# Types that a histogram keeps, those with most bytes.
TYPES_MAX = 200
# Where the endpoint is, and the environment variable of the token that clients from elsewhere than this host must show.
PATH = "/debug/leakscope"
TOKEN_VARIABLE = "LEAKSCOPE_TOKEN"
# Source that is compiled for names of functions: bytes of one file, and of all files of a snapshot. Beyond: frames without names.
SOURCE_BYTES_MAX = 512 << 10
SOURCES_BYTES_MAX = 4 << 20
# Names of functions that are kept from snapshot to snapshot. Full: they are forgotten.
NAMES_MAX = 50_000
# What is said of blocks that no line of Python asked for.
NO_FRAMES = (("", 0, "<no Python frame>"),)

_names = {}
_LruCache = type(functools.lru_cache(maxsize=1)(len))


class LowMemory(RuntimeError):
    """A snapshot would need more memory than the process may still take."""


class Busy(RuntimeError):
    """Tracing took more CPU time than the program has left, and was stopped a short while ago."""


# ---- what people call ----------------------------------------------------------------------------------------------

def snapshot(stacks_max=STACKS_MAX, requests_total=None, force=False):
    """What tracemalloc knows of the blocks that live now, as a dict that can be written as JSON.

    `requests_total`: requests that the program has served so far, where it counts them; growth is then told per request.
    Raises RuntimeError where tracemalloc does not run, and LowMemory where the snapshot could exhaust the memory of the
    container or the host, unless `force`.
    """
    if not tracemalloc.is_tracing():
        raise RuntimeError("tracemalloc is not running: call tracemalloc.start(10) or set PYTHONTRACEMALLOC=10 at the start of the program")
    overhead_bytes = tracemalloc.get_tracemalloc_memory()
    headroom_bytes = _headroom_bytes()
    if not force and headroom_bytes is not None and headroom_bytes < SNAPSHOT_FACTOR * overhead_bytes:
        raise LowMemory(
            f"a snapshot needs about {SNAPSHOT_FACTOR * overhead_bytes} bytes, {headroom_bytes} are left; pass force=True to take it all the same"
        )
    document = _document("tracemalloc", time.time())
    document.update(
        _process(),
        requests_total=requests_total,
        traced_bytes=tracemalloc.get_traced_memory()[0],
        overhead_bytes=overhead_bytes,
        frames_max=tracemalloc.get_traceback_limit(),
    )
    _fill(document, _stacks_of_tracemalloc(), stacks_max)
    _name_functions(document)
    return document


def histogram(requests_total=None):
    """Objects by type, as a dict that can be written as JSON: also of what lived before anything was traced.

    Only objects that the garbage collector tracks: no strings, bytes and numbers; bytes are those of the objects themselves, without
    what they refer to. Takes a third of a second at most, however many there are.
    """
    document = _document("gc", time.time(), "python-types")
    document.update(_process(), requests_total=requests_total, **_types())
    return document


def arm(frames=FRAMES):
    """Begins to trace allocations, and says whether it did: False where they are traced already.

    Raises LowMemory where tracing could exhaust the memory of the container or the host, and Busy for a quarter of an hour after it
    took too much CPU time. Tracing stops by `disarm`, half an hour after the last snapshot, and when memory or CPU time become short.
    """
    with _watch.lock:
        if tracemalloc.is_tracing():
            return False
        if _watch.rests():
            raise Busy(f"tracing took more CPU time than there is, and rests for {BUSY_S} seconds")
        wanted_bytes = ARM_FACTOR * TRACE_BYTES * sys.getallocatedblocks()
        headroom_bytes = _headroom_bytes()
        if headroom_bytes is not None and headroom_bytes < wanted_bytes:
            raise LowMemory(f"tracing may need {wanted_bytes} bytes of room, {headroom_bytes} are left")
        tracemalloc.start(max(1, min(frames, FRAMES_MAX)))
        _watch.start()
        return True


def disarm():
    """Stops tracing where `arm` began it, and says whether it did; what the program itself started goes on."""
    with _watch.lock:
        return _watch.stop()


def look():
    """What a request for a snapshot would meet, as a dict; changes nothing and costs next to nothing."""
    tracing = tracemalloc.is_tracing()
    overhead_bytes = tracemalloc.get_tracemalloc_memory() if tracing else 0
    # Blocks of today: the most that tracing, which has not begun, could soon know of.
    n_blocks = overhead_bytes // TRACE_BYTES if tracing else sys.getallocatedblocks()
    document = {"leakscope": "python-look", "version": VERSION}
    document.update(
        _process(),
        armed=_watch.since is not None,
        tracing=tracing,
        frames_max=tracemalloc.get_traceback_limit() if tracing else None,
        traced_bytes=tracemalloc.get_traced_memory()[0],
        overhead_bytes=overhead_bytes,
        needed_bytes=SNAPSHOT_FACTOR * overhead_bytes if tracing else TRACE_BYTES * n_blocks,
        headroom_bytes=_headroom_bytes(),
        allocated_blocks=sys.getallocatedblocks(),
        threads=threading.active_count(),
    )
    return document


def wsgi(app, path=PATH, token=None):
    """The WSGI application with the endpoint at `path`; see docs/python.md for who may ask."""
    endpoint = _Endpoint(path, token)

    def with_endpoint(environ, start_response):
        if not endpoint.is_at(environ.get("PATH_INFO", "")):
            return app(environ, start_response)
        headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        status, fields, body = endpoint.answer(method, query, environ.get("REMOTE_ADDR", ""), headers)
        start_response(status, fields)
        return [body]

    return with_endpoint


def asgi(app, path=PATH, token=None):
    """The ASGI application with the endpoint at `path`; see docs/python.md for who may ask."""
    import asyncio

    endpoint = _Endpoint(path, token)

    async def with_endpoint(scope, receive, send):
        if scope["type"] != "http" or not endpoint.is_at(scope["path"]):
            return await app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        peer = (scope.get("client") or ("",))[0]
        asked = (scope["method"], scope["query_string"].decode("latin-1"), peer, headers)
        # In a thread, so that the loop goes on with other requests.
        status, fields, body = await asyncio.get_running_loop().run_in_executor(None, endpoint.answer, *asked)
        fields = [(name.lower().encode(), value.encode()) for name, value in fields]
        await send({"type": "http.response.start", "status": int(status.split()[0]), "headers": fields})
        await send({"type": "http.response.body", "body": body})

    return with_endpoint


def serve(port=0, host="127.0.0.1", path=PATH, token=None):
    """Serves the endpoint in a thread of its own that does not keep the program from ending; returns the port."""
    import http.server

    endpoint = _Endpoint(path, token)

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self):
            at, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = ("404 Not Found", [("Content-Length", "0")], b"")
            if endpoint.is_at(at):
                answer = endpoint.answer(self.command, query, self.client_address[0], headers)
            status, fields, body = answer
            self.send_response(int(status.split()[0]))
            for name, value in fields:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_DELETE = do_POST = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="leakscope", daemon=True).start()
    return server.server_address[1]


def snapshot_of_memray(path, high_water=False, stacks_max=STACKS_MAX):
    """What a file of `memray run` or `memray attach` says of the blocks that were never freed, as the same dict.

    `high_water`: of those that lived when most memory was in use. Blocks of native code have the stack of Python that led to them.
    Raises ImportError where memray is not installed.
    """
    import memray

    with memray.FileReader(os.fspath(path)) as reader:
        metadata = reader.metadata
        records = reader.get_high_watermark_allocation_records if high_water else reader.get_leaked_allocation_records
        document = _document("memray", metadata.end_time.timestamp())
        document.update(pid=metadata.pid, moment="high-water" if high_water else "end")
        stacks = {}
        for record in records(merge_threads=True):
            frames = tuple((file, line, function) for function, file, line in record.stack_trace()) or NO_FRAMES
            size, count = stacks.get(frames, (0, 0))
            stacks[frames] = (size + record.size, count + record.n_allocations)
    document["traced_bytes"] = sum(size for size, _ in stacks.values())
    _fill(document, stacks, stacks_max)
    return document


def write(path, document=None, **options):
    """Writes a snapshot, one that is taken now where none is given (`options` as for `snapshot`).

    Nobody but the owner may read the file, and it appears whole or not at all.
    """
    if document is None:
        document = snapshot(**options)
    path = os.path.abspath(os.fspath(path))
    descriptor, unfinished = tempfile.mkstemp(prefix=".leakscope-", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.writelines(_encoded(document))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
    return path


def _encoded(document):
    """The document as JSON, in pieces: the encoder lets no other thread run while it is at one."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    before = "{"
    for name, value in document.items():
        yield f"{before}{encode(name)}:"
        before = ","
        if not isinstance(value, list) or len(value) <= 200:
            yield encode(value)
            continue
        for start in range(0, len(value), 200):
            yield ("," if start else "[") + encode(value[start:start + 200])[1:-1]
        yield "]"
    yield "}\n"


# ---- tracing that ends by itself -----------------------------------------------------------------------------------

class _Watch:
    """Stops what `arm` began: nobody asked for long, or memory or CPU time became short. All but `asked` under `lock`."""

    def __init__(self):
        self.lock = threading.RLock()
        self.since = self.asked_at = self.busy_at = None
        self.ended = threading.Event()

    def start(self):
        self.since, self.ended = time.time(), threading.Event()
        self.asked()
        threading.Thread(target=self.run, args=(self.ended,), name="leakscope", daemon=True).start()

    def asked(self):
        self.asked_at = time.monotonic()

    def stop(self):
        if self.since is None:
            return False
        self.since = None
        self.ended.set()
        tracemalloc.stop()
        return True

    def rests(self):
        return self.busy_at is not None and time.monotonic() - self.busy_at < BUSY_S

    def run(self, ended):
        share_before = _cpu_share(0, _started_at() or time.time())
        used_s, at, n_busy = time.process_time(), time.time(), 0
        while not ended.wait(WATCH_S):
            share = _cpu_share(used_s, at)
            used_s, at = time.process_time(), time.time()
            n_busy = n_busy + 1 if share > BUSY_SHARE and share_before < BUSY_SHARE / 2 else 0
            with self.lock:
                if ended.is_set():
                    return
                if n_busy >= BUSY_LOOKS:
                    self.busy_at = time.monotonic()
                if n_busy >= BUSY_LOOKS or time.monotonic() - self.asked_at > IDLE_S or self.is_short():
                    self.stop()

    def is_short(self):
        headroom_bytes = _headroom_bytes()
        return headroom_bytes is not None and headroom_bytes < tracemalloc.get_tracemalloc_memory()

    def forked(self):
        # The thread that would stop it is not in the child.
        self.lock = threading.RLock()
        self.stop()


_watch = _Watch()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_watch.forked)


def _cpu_share(used_s, since):
    """Of a core, since a time at which so much CPU time was used."""
    return (time.process_time() - used_s) / max(time.time() - since, 0.01)


# ---- the endpoint --------------------------------------------------------------------------------------------------

class _Endpoint:
    """Answers requests, whatever server they came through."""

    def __init__(self, path, token):
        self.path = path
        self.token = token if token is not None else os.environ.get(TOKEN_VARIABLE) or None
        self.under_way = threading.Lock()

    def is_at(self, path):
        return path.rstrip("/") == self.path

    def answer(self, method, query, peer, headers):
        """Status, header fields and body. `headers`: by lower case names."""
        refused = self.refusal(peer, headers)
        if refused:
            return _reply(*refused)
        wanted = urllib.parse.parse_qs(query, keep_blank_values=True)
        if method == "DELETE":
            return _reply("200 OK", {"stopped": disarm()})
        if method != "GET":
            return _reply("405 Method Not Allowed", {"error": f"expected GET or DELETE, found {method}"})
        if "look" in wanted:
            return _reply("200 OK", look())
        frames = wanted.get("frames", [str(FRAMES)])[-1]
        if not (frames.isdigit() and len(frames) < 5 and 1 <= int(frames) <= FRAMES_MAX):
            return _reply("400 Bad Request", {"error": f"expected frames from 1 to {FRAMES_MAX}"})
        if not self.under_way.acquire(blocking=False):
            return _reply("409 Conflict", {"error": "a snapshot is under way"})
        try:
            return _reply("200 OK", histogram() if "types" in wanted else self.snapshot(int(frames)))
        except LowMemory as error:
            return _reply("503 Service Unavailable", {"error": str(error), "reason": "low-memory"})
        except Busy as error:
            return _reply("503 Service Unavailable", {"error": str(error), "reason": "busy"})
        finally:
            self.under_way.release()

    def snapshot(self, frames):
        armed = arm(frames)
        _watch.asked()
        document = snapshot()
        document["armed"] = armed
        if armed:
            # Stacks say nothing yet; types tell what lived before.
            document.update(_types())
        return document

    def refusal(self, peer, headers):
        """Why the client may not ask, as status and body: it needs the token where there is one, and must else be on this host."""
        if self.token is not None:
            shown = headers.get("authorization", "")
            if hmac.compare_digest(shown.encode(), f"Bearer {self.token}".encode()):
                return None
            return "401 Unauthorized", {"error": f"expected `Authorization: Bearer` and the token of {TOKEN_VARIABLE}"}
        # Through a proxy on this host all clients are on this host; a page in a browser here asks for whoever wrote it.
        passed_on = any(name in headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via", "origin", "sec-fetch-site"))
        if _is_loopback(peer) and _is_loopback(_host_of(headers.get("host", ""))) and not passed_on:
            return None
        return "403 Forbidden", {"error": f"only clients on this host may ask, others where {TOKEN_VARIABLE} is set"}


def _answer_in(path):
    """Leaves what the endpoint would answer in a file: for a script of leakscope's, see `sys.remote_exec`."""
    try:
        document = _Endpoint(PATH, "").snapshot(FRAMES)
    except (LowMemory, Busy):
        document = histogram()
    except Exception as error:
        document = {"error": type(error).__name__}
    write(path, document)


def _reply(status, document):
    body = "".join(_encoded(document)).encode("ascii")
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
    if status.startswith("401"):
        fields.append(("WWW-Authenticate", "Bearer"))
    return status, fields, body


def _host_of(host):
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(host):
    return host == "localhost" or host == "::1" or host.startswith(("127.", "::ffff:127."))


# ---- objects by type -----------------------------------------------------------------------------------------------

def _types():
    """What the garbage collector tracks, by type: names, objects and bytes, those with most bytes first."""
    objects = gc.get_objects()
    n_objects = len(objects)
    # In passes over the whole list, whose neighbours are of one age and often of one type: where time is up, what was seen is a sample of all.
    n_passes = 16 + n_objects // TYPES_PASS_MAX
    deadline = time.perf_counter() + TYPES_S
    amounts, n_seen = {}, 0
    for first in range(n_passes):
        if n_seen >= TYPES_OBJECTS_MAX or time.perf_counter() >= deadline:
            break
        piece = objects[first::n_passes]
        n_seen += len(piece)
        for one in piece:
            kind = type(one)
            amount = amounts.get(kind)
            if amount is None:
                amount = amounts[kind] = [0, 0, _sizer(kind)]
            amount[0] += 1
            amount[1] += amount[2](one)
    del objects
    scale = n_objects / n_seen if n_seen else 1
    kept = heapq.nlargest(TYPES_MAX, amounts.items(), key=lambda entry: entry[1][1])
    rows = []
    for kind, (count, size, _) in kept:
        name, file = _name_of(kind)
        rows.append({"name": name, "file": file, "count": round(count * scale), "bytes": round(size * scale)})
    return {"objects": n_objects, "objects_seen": n_seen, "types": rows}


def _sizer(kind):
    """What tells the size of an object without running code of the program."""
    for base in type.__dict__["__mro__"].__get__(kind):
        sizer = type.__dict__["__dict__"].__get__(base).get("__sizeof__")
        if sizer is not None:
            return sizer if isinstance(sizer, types.MethodDescriptorType) else object.__sizeof__
    return object.__sizeof__


def _name_of(kind):
    """Module and name, and the file of the module where it has one; without running code of the program."""
    module = type.__dict__["__dict__"].__get__(kind).get("__module__")
    name = type.__dict__["__qualname__"].__get__(kind)
    if not isinstance(module, str) or module == "builtins":
        return name, None
    file = getattr(sys.modules.get(module), "__dict__", {}).get("__file__")
    return f"{module}.{name}", file if isinstance(file, str) else None


# ---- stacks with their bytes ---------------------------------------------------------------------------------------

def _document(source, taken_at, kind="python-heap"):
    return {"leakscope": kind, "version": VERSION, "source": source, "taken_at": taken_at}


def _stacks_of_tracemalloc():
    """Stacks, leaf first, with their bytes and blocks."""
    # The public `take_snapshot` gives the same tuples behind objects that cost as much again.
    try:
        from _tracemalloc import _get_traces
        traces = _get_traces()
    except ImportError:
        traces = tracemalloc.take_snapshot().traces._traces
    sizes_of = {}
    next_trace, last, add = traces.pop, None, None
    # This loop makes no object of its own: tracemalloc would look at the stack of each, which costs ten times the loop. Each trace is
    # let go at once, and neighbours often have one and the same stack.
    while traces:
        trace = next_trace()
        if trace[2] is not last:
            last = trace[2]
            add = sizes_of.setdefault(last, []).append
        add(trace[1])
    own_file = _stacks_of_tracemalloc.__code__.co_filename
    stacks = {}
    while sizes_of:
        frames, sizes = sizes_of.popitem()
        if not frames or frames[0][0] != own_file:
            stacks[frames] = (sum(sizes), len(sizes))
    return stacks


def _fill(document, stacks, stacks_max):
    """Adds the biggest stacks, their frames each once, and the rest."""
    kept = heapq.nlargest(stacks_max, stacks.items(), key=lambda stack: stack[1][0])
    rest_bytes = sum(size for size, _ in stacks.values()) - sum(size for _, (size, _) in kept)
    rest_count = sum(count for _, count in stacks.values()) - sum(count for _, (_, count) in kept)
    numbers = {}
    rows = []
    for frames, (size, count) in kept:
        stack = [numbers.setdefault(tuple(frame), len(numbers)) for frame in frames or NO_FRAMES]
        rows.append({"frames": stack, "bytes": size, "count": count})
    document["frames"] = [list(frame) if len(frame) == 3 else [*frame, None] for frame in numbers]
    document["stacks"] = rows
    document["rest"] = {"stacks": len(stacks) - len(kept), "bytes": rest_bytes, "count": rest_count}


# ---- names of functions --------------------------------------------------------------------------------------------

def _name_functions(document):
    """Names the functions of the frames, those of the files with most bytes first."""
    bytes_of = {}
    frames = document["frames"]
    for stack in document["stacks"]:
        for file in {frames[number][0] for number in stack["frames"]}:
            bytes_of[file] = bytes_of.get(file, 0) + stack["bytes"]
    lines_of = {}
    for file, line, name in frames:
        if name is None and (file, line) not in _names:
            lines_of.setdefault(file, set()).add(line)
    modules = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__dict__", {}).get("__file__")
        if file in lines_of:
            modules.setdefault(file, []).append(module)
    left_bytes = SOURCES_BYTES_MAX
    for file in sorted(lines_of, key=bytes_of.get, reverse=True):
        if len(_names) > NAMES_MAX:
            _names.clear()
        lines = lines_of[file]
        found = _functions_alive(file, modules.get(file, ()))
        if not found.keys() >= lines:
            # Code that ran once, as that of modules: only its source knows it.
            source = _source_of(file, min(left_bytes, SOURCE_BYTES_MAX))
            left_bytes -= len(source)
            found = {**_functions_of(file, source), **found}
        for line in lines:
            _names[file, line] = found.get(line)
    for frame in frames:
        if frame[2] is None:
            frame[2] = _names.get((frame[0], frame[1]))


def _functions_alive(file, modules):
    """Line to the qualified name of the function whose code stands there, by the functions of the modules: cheaper than their source."""
    names = {}
    for module in modules:
        waiting = list(vars(module).values())
        for one in waiting[:]:
            if isinstance(one, type) and vars(one).get("__module__") == module.__name__:
                waiting += vars(one).values()
        for one in waiting:
            # What decorators of the standard library put around functions.
            for _ in range(8):
                if isinstance(one, types.FunctionType):
                    break
                if isinstance(one, property):
                    one = one.fget
                elif isinstance(one, (staticmethod, classmethod)):
                    one = one.__func__
                elif isinstance(one, _LruCache):
                    one = one.__wrapped__
            if isinstance(one, types.FunctionType) and one.__code__.co_filename == file:
                _name_code(one.__code__, one.__qualname__, one.__qualname__ + ".<locals>.", names)
    return names


def _source_of(file, bytes_max):
    """Empty where the file is no source, cannot be read or is larger."""
    try:
        if not file.endswith((".py", ".pyw")) or os.path.getsize(file) > bytes_max:
            return b""
        with open(file, "rb") as opened:
            return opened.read(bytes_max)
    except (OSError, ValueError):
        return b""


def _functions_of(file, source):
    """Line to the qualified name of the function whose code stands there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = compile(source, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    names = {}
    _name_code(module, "<module>", "", names)
    return names


def _name_code(code, name, prefix, names):
    """Adds the lines of a piece of code and of all within: what is within comes later, and takes the lines of what it stands in."""
    waiting = [(code, name, prefix)]
    for code, name, prefix in waiting:
        names.update(dict.fromkeys(_lines_of(code), name))
        for inner in code.co_consts:
            if not isinstance(inner, types.CodeType):
                continue
            if inner.co_name.startswith("<"):
                # Comprehensions and lambdas belong to the function that they stand in.
                nameless = inner.co_name if name == "<module>" and inner.co_name == "<lambda>" else name
                waiting.append((inner, nameless, prefix))
                continue
            # Written as CPython does: `Store.put`, `serve.<locals>.reply`. Code of classes has no locals of its own (CO_NEWLOCALS).
            inside = ".<locals>." if inner.co_flags & 0x02 else "."
            waiting.append((inner, prefix + inner.co_name, prefix + inner.co_name + inside))


def _lines_of(code):
    if hasattr(code, "co_lines"):
        return {line for _, _, line in code.co_lines() if line}
    lines, line = {code.co_firstlineno}, code.co_firstlineno
    # Before 3.10: pairs of bytes, a step in the code and one in the source.
    for step in code.co_lnotab[1::2]:
        line += step - 256 if step >= 128 else step
        lines.add(line)
    return lines


# ---- memory of the process -----------------------------------------------------------------------------------------

def _process():
    return {
        "pid": os.getpid(),
        "python": platform.python_version(),
        "process_started_at": _started_at(),
        "rss_bytes": _rss_bytes(),
    }


def _started_at():
    """Seconds since the Unix epoch; None where the kernel does not say."""
    try:
        ticks = int(_text("/proc/self/stat").rpartition(")")[2].split()[19])
        booted_at = next(int(line.split()[1]) for line in _text("/proc/stat").splitlines() if line.startswith("btime "))
        return booted_at + ticks / os.sysconf("SC_CLK_TCK")
    except (IndexError, StopIteration, ValueError):
        return None


def _rss_bytes():
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _headroom_bytes():
    """Bytes that the process may still take before its container or host is out of memory; None where nobody says."""
    bounds = []
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            bounds.append(int(line.split()[1]) * 1024)
    for line in _text("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            bounds += _cgroup_headrooms("/sys/fs/cgroup", path, "memory.max", "memory.current", "inactive_file ")
        elif "memory" in controllers.split(","):
            bounds += _cgroup_headrooms(
                "/sys/fs/cgroup/memory", path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "
            )
    return min(bounds) if bounds else None


def _cgroup_headrooms(root, path, limit, usage, reclaimable):
    """What is left in a control group and in each above it, page cache that can be dropped included."""
    while True:
        folder = root + path.rstrip("/")
        limit_bytes, used_bytes = _text(f"{folder}/{limit}").strip(), _text(f"{folder}/{usage}").strip()
        if limit_bytes.isdigit() and used_bytes.isdigit():
            stat = _text(f"{folder}/memory.stat").splitlines()
            cache_bytes = sum(int(line.split()[1]) for line in stat if line.startswith(reclaimable))
            yield int(limit_bytes) - int(used_bytes) + cache_bytes
        if path in ("", "/"):
            return
        path = path.rsplit("/", 1)[0]


def _text(path):
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


# ---- command line --------------------------------------------------------------------------------------------------

def main(arguments=None):
    parser = argparse.ArgumentParser(description="Turns a file of memray into JSON that leakscope reads.")
    parser.add_argument("memray", help="file that `memray run` or `memray attach` wrote")
    parser.add_argument("json", help="file to write")
    parser.add_argument("--high-water", action="store_true", help="what lived when most memory was in use, instead of what was never freed")
    parser.add_argument("--stacks", type=int, default=STACKS_MAX, metavar="N", help=f"stacks to keep one by one (default {STACKS_MAX})")
    chosen = parser.parse_args(arguments)
    try:
        document = snapshot_of_memray(chosen.memray, chosen.high_water, chosen.stacks)
        write(chosen.json, document)
    except (ImportError, OSError) as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
