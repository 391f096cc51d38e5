"""Writes which lines of a Python program hold its memory, as JSON that `leakscope analyze` and `leakscope diff` read.

One file, the standard library alone, Python 3.8 and later: copy it beside your program. See docs/python.md.

    import tracemalloc, leakscope_heap
    tracemalloc.start(10)                                # frames a stack; or PYTHONTRACEMALLOC=10 in the environment
    ...
    leakscope_heap.write("/var/tmp/heap-1.json")         # again later, then: leakscope diff /var/tmp/heap-*.json

    python leakscope_heap.py memray.bin heap.json        # what memray recorded, where memray is installed

It must not hold memory of its own between two snapshots beyond the few names that it caches.
"""

import argparse
import heapq
import json
import os
import platform
import sys
import tempfile
import time
import tracemalloc
import types
import warnings

__all__ = ["LowMemory", "snapshot", "snapshot_of_memray", "write"]

VERSION = 1
# Stacks that are kept one by one, those with most bytes. All others are added up in `rest`, so that nothing is lost.
STACKS_MAX = 5000
# A snapshot of tracemalloc needs so many times the memory that tracemalloc itself uses: it copies its table and makes Python objects of it.
SNAPSHOT_FACTOR = 4
# Source that is compiled for names of functions: bytes of one file, and of all files of a snapshot. Beyond: frames without names.
SOURCE_BYTES_MAX = 512 << 10
SOURCES_BYTES_MAX = 4 << 20
# Names of functions that are kept from snapshot to snapshot. Full: they are forgotten.
NAMES_MAX = 50_000
# What is said of blocks that no line of Python asked for.
NO_FRAMES = (("", 0, "<no Python frame>"),)

_names = {}


class LowMemory(RuntimeError):
    """A snapshot would need more memory than the process may still take."""


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
        pid=os.getpid(),
        python=platform.python_version(),
        rss_bytes=_rss_bytes(),
        requests_total=requests_total,
        traced_bytes=tracemalloc.get_traced_memory()[0],
        overhead_bytes=overhead_bytes,
        frames_max=tracemalloc.get_traceback_limit(),
    )
    _fill(document, _stacks_of_tracemalloc(), stacks_max)
    _name_functions(document)
    return document


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
            json.dump(document, file, separators=(",", ":"))
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise
    return path


# ---- stacks with their bytes ---------------------------------------------------------------------------------------

def _document(source, taken_at):
    return {"leakscope": "python-heap", "version": VERSION, "source": source, "taken_at": taken_at}


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
    left_bytes = SOURCES_BYTES_MAX
    for file in sorted(lines_of, key=bytes_of.get, reverse=True):
        source = _source_of(file, min(left_bytes, SOURCE_BYTES_MAX))
        left_bytes -= len(source)
        if len(_names) > NAMES_MAX:
            _names.clear()
        found = _functions_of(file, source)
        for line in lines_of[file]:
            _names[file, line] = found.get(line)
    for frame in frames:
        if frame[2] is None:
            frame[2] = _names.get((frame[0], frame[1]))


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
    # What is within comes later, and takes the lines of what it stands in.
    waiting = [(module, "<module>", "")]
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
    return names


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
