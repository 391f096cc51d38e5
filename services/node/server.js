// A small shopping-cart service on plain node:http, healthy or leaking in one chosen way.
// It must stay free of npm dependencies and must not grow in any way that `--leak` did not ask for.
'use strict';

const crypto = require('node:crypto');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const inspector = require('node:inspector');
const { PerformanceObserver, constants, monitorEventLoopDelay } = require('node:perf_hooks');
const v8 = require('node:v8');

const KIB = 1024;
const DEFAULT_RATE_BYTES = 64 * KIB;
/** Entries of the page cache, about 16 KiB each, so 4 MiB when full. Full: the oldest entry is evicted. */
const PAGE_CACHE_ENTRIES = 256;
/** Distinct carts that are asked for; far more than the cache holds, so that it fills and then evicts. */
const CART_REVISIONS = 4096;
const SESSION_TTL_MS = 10_000;
const SESSION_SWEEP_MS = 1_000;
const REQUEST_DEADLINE_MS = 5_000;
const CART_LINES = 48;
/** Longer user names are cut, so that a client cannot choose how much a session holds. */
const USER_LENGTH_MAX = 64;
/** Bytes between two samples of `--profile`: an eighth of V8's own interval, so that the small objects that stand for large buffers show. */
const PROFILE_INTERVAL_BYTES = 4 * KIB;
const HELD_BYTES_MAX = 1 << 30;
const HELD_BLOCK_BYTES = 4 * KIB;
const HELD_BLOCK_BYTES_MAX = 128 * KIB;
const HELD_DESCRIPTORS_MAX = 4096;

// Where memory is plentiful V8 grows its young generation to 32 MiB over minutes, which looks like a leak and is none.
// A growth factor of 1 keeps it at its first size. The flags that bound it (`--max-semi-space-size`) are read only at
// the start of the process, this one at every growth, so that no flag of node itself is needed. One that is given stands.
if (!process.execArgv.some((flag) => flag.includes('semi-space'))) v8.setFlagsFromString('--semi-space-growth-factor=1');

// ---- command line -------------------------------------------------------------------------------------------------

const FLAGS = {
  '--port': 'N                    port on 127.0.0.1; 0 takes a free one (default 0)',
  '--leak': 'KIND                 which leak to have (default none)',
  '--rate': 'BYTES_PER_REQUEST    bytes each work request leaks (default 65536)',
  '--seed': 'N                    seed of the generated carts (default 1)',
  '--profile': '                  sample allocations, for /debug/heapprofile',
  '--exit-with-stdin': '          exit when standard input ends',
  '--help': '                     print this text',
};

function usage() {
  const flags = Object.entries(FLAGS).map(([flag, text]) => `  ${flag} ${text}`);
  return `usage: node server.js [flags]\n${flags.join('\n')}\nleak kinds: ${Object.keys(LEAKS).join(', ')}\n`;
}

function refuse(message) {
  fs.writeSync(2, `${message}\n`);
  process.exit(2);
}

function wholeNumber(flag, text, max) {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text ?? '') || value > max) {
    refuse(`\`${flag}\` wants a whole number from 0 to ${max}, found \`${text ?? ''}\``);
  }
  return value;
}

function parseArguments(argv) {
  const options = { port: 0, leak: 'none', rate: DEFAULT_RATE_BYTES, seed: 1, profile: false, exitWithStdin: false };
  for (let index = 0; index < argv.length; index += 1) {
    const [flag, inline] = argv[index].split(/=(.*)/s);
    const value = () => (inline !== undefined ? inline : argv[(index += 1)]);
    switch (flag) {
      case '--port': options.port = wholeNumber(flag, value(), 65535); break;
      case '--rate': options.rate = wholeNumber(flag, value(), 1 << 30); break;
      case '--seed': options.seed = wholeNumber(flag, value(), 0xffffffff); break;
      case '--leak': options.leak = leakKind(value()); break;
      case '--profile': options.profile = true; break;
      case '--exit-with-stdin': options.exitWithStdin = true; break;
      case '--help': fs.writeSync(1, usage()); process.exit(0); break;
      default: refuse(`unknown flag \`${flag}\` (valid flags: ${Object.keys(FLAGS).join(', ')})`);
    }
  }
  return options;
}

function leakKind(text) {
  if (!Object.hasOwn(LEAKS, text ?? '')) {
    refuse(`\`--leak\` wants a leak kind, found \`${text ?? ''}\` (valid kinds: ${Object.keys(LEAKS).join(', ')})`);
  }
  return text;
}

// ---- the work -----------------------------------------------------------------------------------------------------

/** Random numbers of one seed (mulberry32), so that two runs build the same carts. */
class Dice {
  constructor(seed) {
    this.state = seed >>> 0;
    this.bytes = Buffer.alloc(256 * KIB);
    for (let index = 0; index < this.bytes.length; index += 1) this.bytes[index] = 97 + this.below(26);
  }

  below(limit) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** A new string of its own memory; a slice or `repeat` would share or postpone it. */
  text(length) {
    const start = this.below(this.bytes.length - length);
    return this.bytes.latin1Slice(start, start + length);
  }

  /** About `bytes` of strings of at most 1 KiB each. */
  texts(bytes) {
    const texts = [];
    for (let left = bytes; left > 0; left -= KIB) texts.push(this.text(Math.min(left, KIB)));
    return texts;
  }
}

function buildCart(dice, user) {
  const lines = [];
  for (let index = 0; index < CART_LINES; index += 1) {
    lines.push({ sku: `sku-${dice.below(100_000)}`, quantity: 1 + dice.below(9), cents: dice.below(50_000), note: dice.text(240) });
  }
  lines.sort((a, b) => b.cents * b.quantity - a.cents * a.quantity || a.sku.localeCompare(b.sku));
  return { user, lines, total: lines.reduce((sum, line) => sum + line.cents * line.quantity, 0) };
}

function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

function renderCart(cart) {
  const rows = cart.lines.map((line) => `<tr><td>${line.sku}</td><td>${line.quantity}</td><td>${(line.cents / 100).toFixed(2)}</td><td>${line.note}</td></tr>\n`);
  return `<h1>${escapeHtml(cart.user)}</h1><table>${rows.join('')}</table>`;
}

/** Least recently used pages; a `Map` iterates in insertion order, so the first key is the oldest. */
class BoundedPageCache {
  constructor(capacity) {
    this.capacity = capacity;
    this.pages = new Map();
  }

  get(key) {
    const page = this.pages.get(key);
    if (page === undefined) return undefined;
    this.pages.delete(key);
    this.pages.set(key, page);
    return page;
  }

  put(key, page) {
    this.pages.set(key, page);
    if (this.pages.size > this.capacity) this.pages.delete(this.pages.keys().next().value);
  }
}

/** Sessions that end `SESSION_TTL_MS` after their last request. */
class ExpiringSessions {
  constructor() {
    this.sessions = new Map();
    setInterval(() => this.sweep(Date.now()), SESSION_SWEEP_MS).unref();
  }

  touch(user, cart, now) {
    this.sessions.set(user, { lastSeen: now, skus: cart.lines.map((line) => line.sku), total: cart.total });
  }

  sweep(now) {
    for (const [user, session] of this.sessions) {
      if (now - session.lastSeen > SESSION_TTL_MS) this.sessions.delete(user);
    }
  }
}

class Shop {
  constructor(dice) {
    this.dice = dice;
    this.pages = new BoundedPageCache(PAGE_CACHE_ENTRIES);
    this.sessions = new ExpiringSessions();
    this.bus = new EventEmitter();
  }

  /** One request: everything it registers it also removes, whatever happens in between. */
  serve(user) {
    let repriced = false;
    const onPriceChange = () => { repriced = true; };
    const deadline = setTimeout(() => this.bus.emit('late', user), REQUEST_DEADLINE_MS);
    this.bus.on('price-change', onPriceChange);
    try {
      const cart = buildCart(this.dice, user);
      this.sessions.touch(user, cart, Date.now());
      const page = this.page(`cart-${this.dice.below(CART_REVISIONS)}`, cart);
      const etag = crypto.createHash('sha256').update(JSON.stringify(cart)).update(page).digest('hex');
      return { user, items: cart.lines.length, total: cart.total, repriced, etag, bytes: page.length };
    } finally {
      this.bus.off('price-change', onPriceChange);
      clearTimeout(deadline);
    }
  }

  page(key, cart) {
    const cached = this.pages.get(key);
    if (cached !== undefined) return cached;
    const page = renderCart(cart);
    this.pages.put(key, page);
    return page;
  }
}

// ---- the leaks ----------------------------------------------------------------------------------------------------
// Each is a mistake of production code, in a function or class of its own name, so that a heap analysis can point at it.

/** Keyed by a revision that never comes again, and nothing ever evicts. */
const recommendationCache = new Map();
class CachedRecommendation {
  constructor(user, texts) {
    this.user = user;
    this.texts = texts;
  }
}
function rememberRecommendation(request) {
  recommendationCache.set(`${request.user}@${request.number}`, new CachedRecommendation(request.user, request.dice.texts(request.rate)));
}

/** The subscriber is gone after the response, its listener stays; the warning about it was silenced. */
const inventoryBus = new EventEmitter().setMaxListeners(0);
function subscribeToInventory(request) {
  const snapshot = touchedBuffer(request);
  inventoryBus.on('stock-change', function onStockChange(sku) {
    return snapshot.includes(sku);
  });
}

/** A poll that was meant to end with the order, but nobody keeps its handle. */
function pollOrderForever(request) {
  const orderDocument = request.dice.texts(request.rate);
  setInterval(function pollOrder() {
    return orderDocument.length;
  }, 60_000).unref();
}

/** A session for each request of a client that sends no cookie, without an end. */
class SessionStore {
  constructor() {
    this.sessions = new Map();
  }

  open(request) {
    const id = crypto.createHash('sha1').update(`${request.user}/${request.number}`).digest('hex');
    this.sessions.set(id, { user: request.user, openedAt: Date.now(), history: request.dice.texts(request.rate) });
  }
}
const sessionStore = new SessionStore();
function openSession(request) {
  sessionStore.open(request);
}

/** Replies that never come: each waiting function keeps its order alive. */
const pendingReservations = new Map();
async function awaitReservation(request) {
  const order = request.dice.texts(request.rate);
  await new Promise((resolve) => pendingReservations.set(request.number, resolve));
  order.push('reserved');
}

/** Thumbnails outside the V8 heap: the heap looks fine, the resident set does not. */
const thumbnailBuffers = [];
function keepThumbnail(request) {
  thumbnailBuffers.push(touchedBuffer(request));
}

/** A connection for each request that nobody returns to its pool, with the buffer that belongs to it. */
const lostConnections = [];
function openConnection(request) {
  lostConnections.push({ descriptor: fs.openSync('/dev/null'), buffer: touchedBuffer(request) });
}

/** Millions of small objects instead of some large ones: each click knows the one before. */
let lastClick;
class TinyClick {
  constructor(at, before) {
    this.at = at;
    this.before = before;
  }
}
function chainClicks(request) {
  // Three words of header and two of fields.
  for (let left = request.rate; left > 0; left -= 40) lastClick = new TinyClick(left, lastClick);
}

/** A buffer of its own with every byte written, so that it is resident. */
function touchedBuffer(request) {
  const buffer = Buffer.allocUnsafeSlow(request.rate);
  for (let start = 0; start < buffer.length; start += request.dice.bytes.length) request.dice.bytes.copy(buffer, start);
  return buffer;
}

const LEAKS = {
  none: () => {},
  'unbounded-cache': rememberRecommendation,
  listener: subscribeToInventory,
  'timer-closure': pollOrderForever,
  'session-map': openSession,
  promise: (request) => { awaitReservation(request); },
  'native-buffer': keepThumbnail,
  descriptor: openConnection,
  'tiny-objects': chainClicks,
};

// ---- what a client has it hold --------------------------------------------------------------------------------------

/** Memory that `POST /hold` sizes: no leak, since whoever asks for it can have it released. */
class Held {
  constructor(dice) {
    this.dice = dice;
    this.blocks = [];
    this.bytes = 0;
    this.descriptors = [];
  }

  set(query) {
    const number = (name, fallback, max) => (/^[0-9]{1,10}$/.test(query.get(name) ?? '') ? Math.min(Number(query.get(name)), max) : fallback);
    const bytes = number('bytes', this.bytes, HELD_BYTES_MAX);
    const block = Math.max(1, number('block', HELD_BLOCK_BYTES, HELD_BLOCK_BYTES_MAX));
    const native = query.get('where') === 'native';
    const order = query.get('order') === 'random' ? 'random' : 'oldest';
    this.release(Math.max(this.bytes - bytes, 0) + number('renew', 0, HELD_BYTES_MAX), order);
    while (this.bytes + block <= bytes) {
      this.blocks.push(native ? touchedBuffer({ rate: block, dice: this.dice }) : this.dice.text(block));
      this.bytes += block;
    }
    const descriptors = number('descriptors', this.descriptors.length, HELD_DESCRIPTORS_MAX);
    while (this.descriptors.length < descriptors) this.descriptors.push(fs.openSync('/dev/null'));
    while (this.descriptors.length > descriptors) fs.closeSync(this.descriptors.pop());
    return { bytes: this.bytes, blocks: this.blocks.length, descriptors: this.descriptors.length };
  }

  release(bytes, order) {
    let oldest = 0;
    for (let freed = 0; freed < bytes && oldest < this.blocks.length;) {
      let block = this.blocks[oldest];
      if (order === 'random') {
        const index = this.dice.below(this.blocks.length);
        block = this.blocks[index];
        this.blocks[index] = this.blocks.at(-1);
        this.blocks.pop();
      } else {
        oldest += 1;
      }
      freed += block.length;
      this.bytes -= block.length;
    }
    this.blocks.splice(0, oldest);
  }
}

// ---- what the service says about itself -----------------------------------------------------------------------------

const GC_KINDS = {
  [constants.NODE_PERFORMANCE_GC_MAJOR]: 'major',
  [constants.NODE_PERFORMANCE_GC_MINOR]: 'minor',
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL]: 'incremental',
  [constants.NODE_PERFORMANCE_GC_WEAKCB]: 'weakcb',
};
const GC_BUCKETS_SECONDS = [0.001, 0.01, 0.1, 1, 2, 5];

class GarbageCollections {
  constructor() {
    this.byKind = new Map();
    /** Heap in use when the observer hears of a full collection, so a little above the true live heap. */
    this.heapAfterGc = undefined;
    new PerformanceObserver((list) => this.observe(list.getEntries())).observe({ entryTypes: ['gc'] });
  }

  observe(entries) {
    for (const entry of entries) {
      const kind = GC_KINDS[entry.detail.kind] ?? 'unknown';
      const seen = this.byKind.get(kind) ?? { count: 0, sum: 0, buckets: GC_BUCKETS_SECONDS.map(() => 0) };
      const seconds = entry.duration / 1000;
      seen.count += 1;
      seen.sum += seconds;
      GC_BUCKETS_SECONDS.forEach((bound, index) => { if (seconds <= bound) seen.buckets[index] += 1; });
      this.byKind.set(kind, seen);
      if (kind === 'major') this.heapAfterGc = process.memoryUsage().heapUsed;
    }
  }
}

/** V8's sampling heap profiler: where what is still alive was allocated. It collects garbage before it answers. */
class HeapProfile {
  constructor() {
    this.session = new inspector.Session();
    this.session.connect();
    // Without `includeObjectsCollectedBy...`: what was collected is no longer in the profile.
    this.post('HeapProfiler.startSampling', { samplingInterval: PROFILE_INTERVAL_BYTES });
  }

  /** A session within the process answers before `post` returns. */
  post(method, parameters) {
    let answer;
    this.session.post(method, parameters, (failure, result) => {
      if (failure) throw new Error(`${method}: ${failure.message}`);
      answer = result;
    });
    return answer;
  }

  taken() {
    return this.post('HeapProfiler.getSamplingProfile').profile;
  }
}

function fieldsOf(path) {
  const fields = {};
  for (const line of fs.readFileSync(path, 'utf8').split('\n')) {
    const match = /^(\w+):\s+(\d+)/.exec(line);
    if (match) fields[match[1]] = Number(match[2]) * (line.endsWith('kB') ? KIB : 1);
  }
  return fields;
}

function hostMemory() {
  const { MemTotal: total, MemAvailable: free } = fieldsOf('/proc/meminfo');
  return { total, used: total - free, free, percent: Math.round(1000 * (total - free) / total) / 10 };
}

class Status {
  constructor(leak) {
    this.leak = leak;
    this.requestsTotal = 0;
    this.startTime = Date.now() / 1000 - process.uptime();
    this.collections = new GarbageCollections();
    this.rssFirst = undefined;
    this.loopDelay = monitorEventLoopDelay();
    this.loopDelay.enable();
  }

  memory() {
    return {
      memory_usage: process.memoryUsage.rss(),
      heap_size: process.memoryUsage().heapUsed,
      heap_after_gc: this.collections.heapAfterGc,
      limit: v8.getHeapStatistics().heap_size_limit,
      requests_total: this.requestsTotal,
      start_time: this.startTime,
    };
  }

  /** Growth since the first look: what a service that knows no better would say. */
  indicators() {
    const rss = process.memoryUsage.rss();
    this.rssFirst ??= rss;
    const score = Math.max(0, Math.round(100 * (rss / this.rssFirst - 1)) / 100);
    return { leak_score: score, status: score < 0.5 ? 'ok' : score < 2 ? 'warning' : 'critical' };
  }

  page() {
    const memory = this.memory();
    const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cart service</title></head><body>
<h1>Cart service (node)</h1>
<table>
<tr><th>Resident memory</th><td id="rss">${megabytes(memory.memory_usage)}</td></tr>
<tr><th>Heap in use</th><td id="heap">${megabytes(memory.heap_size)}</td></tr>
<tr><th>Work requests</th><td id="requests">${memory.requests_total}</td></tr>
<tr><th>Uptime</th><td id="uptime">${process.uptime().toFixed(0)} s</td></tr>
</table>
</body></html>
`;
  }
}

/** The default metrics of prom-client 15 in Prometheus text format 0.0.4. */
function exposition(status) {
  const text = [];
  const metric = (name, type, help, samples) => {
    text.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const [labels, value, suffix = ''] of samples) text.push(`${name}${suffix}${labels} ${value}`);
    text.push('');
  };
  processMetrics(metric, status);
  loopAndHandleMetrics(metric, status);
  heapMetrics(metric);
  collectionMetrics(metric, status.collections);
  metric('http_requests_total', 'counter', 'Requests served, by route.', [[labels({ method: 'GET', route: '/work', status: '200' }), status.requestsTotal]]);
  return `${text.join('\n')}\n`;
}

function labels(pairs) {
  return `{${Object.entries(pairs).map(([name, value]) => `${name}="${value}"`).join(',')}}`;
}

function processMetrics(metric, status) {
  const cpu = process.cpuUsage();
  const memory = fieldsOf('/proc/self/status');
  const maxFds = /Max open files\s+(\d+)/.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0;
  metric('process_cpu_user_seconds_total', 'counter', 'Total user CPU time spent in seconds.', [['', cpu.user / 1e6]]);
  metric('process_cpu_system_seconds_total', 'counter', 'Total system CPU time spent in seconds.', [['', cpu.system / 1e6]]);
  metric('process_cpu_seconds_total', 'counter', 'Total user and system CPU time spent in seconds.', [['', (cpu.user + cpu.system) / 1e6]]);
  metric('process_start_time_seconds', 'gauge', 'Start time of the process since unix epoch in seconds.', [['', Math.floor(status.startTime)]]);
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory size in bytes.', [['', memory.VmRSS]]);
  metric('process_virtual_memory_bytes', 'gauge', 'Virtual memory size in bytes.', [['', memory.VmSize]]);
  // prom-client calls the data segment a heap: `VmData` is many times the V8 heap.
  metric('process_heap_bytes', 'gauge', 'Process heap size in bytes.', [['', memory.VmData]]);
  metric('process_open_fds', 'gauge', 'Number of open file descriptors.', [['', fs.readdirSync('/proc/self/fd').length - 1]]);
  metric('process_max_fds', 'gauge', 'Maximum number of open file descriptors.', [['', maxFds]]);
}

function countByName(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([type, count]) => [labels({ type }), count]);
}

function loopAndHandleMetrics(metric, status) {
  const lag = status.loopDelay;
  const seconds = (nanoseconds) => (Number.isFinite(nanoseconds) ? nanoseconds / 1e9 : 0);
  metric('nodejs_eventloop_lag_mean_seconds', 'gauge', 'The mean of the recorded event loop delays.', [['', seconds(lag.mean)]]);
  metric('nodejs_eventloop_lag_p50_seconds', 'gauge', 'The 50th percentile of the recorded event loop delays.', [['', seconds(lag.percentile(50))]]);
  metric('nodejs_eventloop_lag_p99_seconds', 'gauge', 'The 99th percentile of the recorded event loop delays.', [['', seconds(lag.percentile(99))]]);
  lag.reset();
  const resources = process.getActiveResourcesInfo();
  metric('nodejs_active_resources', 'gauge', 'Number of active resources that are currently keeping the event loop alive, grouped by async resource type.', countByName(resources));
  metric('nodejs_active_resources_total', 'gauge', 'Total number of active resources.', [['', resources.length]]);
  // prom-client reads the same undocumented lists.
  const handles = process._getActiveHandles();
  metric('nodejs_active_handles', 'gauge', 'Number of active libuv handles grouped by handle type. Every handle type is C++ class name.', countByName(handles.map((handle) => handle.constructor?.name ?? 'unknown')));
  metric('nodejs_active_handles_total', 'gauge', 'Total number of active handles.', [['', handles.length]]);
  metric('nodejs_active_requests_total', 'gauge', 'Total number of active requests.', [['', process._getActiveRequests().length]]);
}

function heapMetrics(metric) {
  const memory = process.memoryUsage();
  metric('nodejs_heap_size_total_bytes', 'gauge', 'Process heap size from Node.js in bytes.', [['', memory.heapTotal]]);
  metric('nodejs_heap_size_used_bytes', 'gauge', 'Process heap size used from Node.js in bytes.', [['', memory.heapUsed]]);
  metric('nodejs_external_memory_bytes', 'gauge', 'Node.js external memory size in bytes.', [['', memory.external]]);
  const spaces = v8.getHeapSpaceStatistics();
  const bySpace = (field) => spaces.map((space) => [labels({ space: space.space_name.replace('_space', '') }), space[field]]);
  metric('nodejs_heap_space_size_total_bytes', 'gauge', 'Process heap space size total from Node.js in bytes.', bySpace('space_size'));
  metric('nodejs_heap_space_size_used_bytes', 'gauge', 'Process heap space size used from Node.js in bytes.', bySpace('space_used_size'));
  metric('nodejs_heap_space_size_available_bytes', 'gauge', 'Process heap space size available from Node.js in bytes.', bySpace('space_available_size'));
  const [major, minor, patch] = process.versions.node.split('.');
  metric('nodejs_version_info', 'gauge', 'Node.js version info.', [[labels({ version: process.version, major, minor, patch }), 1]]);
}

function collectionMetrics(metric, collections) {
  const samples = [];
  for (const [kind, seen] of collections.byKind) {
    GC_BUCKETS_SECONDS.forEach((le, index) => samples.push([labels({ le, kind }), seen.buckets[index], '_bucket']));
    samples.push([labels({ le: '+Inf', kind }), seen.count, '_bucket'], [labels({ kind }), seen.sum, '_sum'], [labels({ kind }), seen.count, '_count']);
  }
  metric('nodejs_gc_duration_seconds', 'histogram', 'Garbage collection duration by kind, one of major, minor, incremental or weakcb.', samples);
}

// ---- the server ---------------------------------------------------------------------------------------------------

function routes(options) {
  const dice = new Dice(options.seed);
  const shop = new Shop(dice);
  const status = new Status(options.leak);
  const held = new Held(dice);
  const leak = LEAKS[options.leak];
  const json = (value) => ['application/json', JSON.stringify(value)];
  const profile = options.profile ? new HeapProfile() : undefined;
  return {
    ...(profile && { '/debug/heapprofile': () => json(profile.taken()) }),
    '/work': (query) => {
      const user = (query.get('user') || 'anonymous').slice(0, USER_LENGTH_MAX);
      const reply = shop.serve(user);
      status.requestsTotal += 1;
      if (query.get('leak') !== 'off') leak({ user, number: status.requestsTotal, rate: options.rate, dice });
      return json(reply);
    },
    'POST /hold': (query) => json(held.set(query)),
    '/status/memory': () => json(status.memory()),
    '/api/memory_usage': () => json(hostMemory()),
    '/api/leak_indicators': () => json(status.indicators()),
    '/metrics': () => ['text/plain; version=0.0.4; charset=utf-8', exposition(status)],
    '/healthz': () => ['text/plain; charset=utf-8', 'ok\n'],
    '/': () => ['text/html; charset=utf-8', status.page()],
  };
}

function answer(table, request, response) {
  const url = new URL(request.url, 'http://localhost');
  const route = request.method === 'POST' ? `POST ${url.pathname}` : url.pathname;
  if (!Object.hasOwn(table, route)) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found\n');
    return;
  }
  const [type, body] = table[route](url.searchParams);
  response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body);
}

function main() {
  const options = parseArguments(process.argv.slice(2));
  const table = routes(options);
  const server = http.createServer((request, response) => {
    try {
      answer(table, request, response);
    } catch (failure) {
      response.writeHead(500, { 'content-type': 'text/plain' }).end(`${failure.message}\n`);
    }
  });
  server.on('error', (failure) => {
    fs.writeSync(2, `cannot listen on 127.0.0.1:${options.port}: ${failure.message}\n`);
    process.exit(1);
  });
  server.listen(options.port, '127.0.0.1', () => {
    const listening = `http://127.0.0.1:${server.address().port}`;
    fs.writeSync(1, `${JSON.stringify({ listening, runtime: 'node', leak: options.leak, pid: process.pid })}\n`);
  });
  process.on('SIGTERM', () => process.exit(0));
  if (options.exitWithStdin) {
    process.stdin.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
  }
}

main();
