// A stand-in for the daemon, for development and tests of the page only: serves dist/ and plausible, living API data.
// usage: node mock/server.mjs [--port 7078] [--services 8] [--time-scale 1] [--empty] [--tick-ms 1000]
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const args = new Map(process.argv.slice(2).join(' ').split(/\s*--/).filter(Boolean).map((part) => part.split(/[ =]/)));
const PORT = Number(args.get('port') ?? 7078);
const N_SERVICES = args.has('empty') ? 0 : Number(args.get('services') ?? 8);
const TIME_SCALE = Number(args.get('time-scale') ?? 1);
const TICK_MS = Number(args.get('tick-ms') ?? 1000);
const DIST = fileURLToPath(new URL('../dist/', import.meta.url));

const MIB = 1024 * 1024;
const HOUR = 3_600_000;
const STARTED = Date.now();
/** The made-up past, ms. */
const PAST = 6 * HOUR;
/** The policy the daemon sends too: the page must live with it. */
const CSP = "default-src 'self'; style-src 'self' 'unsafe-inline'";

const MODELS = [
  { name: 'node-cache', runtime: 'node', state: 'leaking', kind: 'managed', base: 96, perHour: 38, limit: 512, replicas: 3, signal: 'heap_after_gc', suspect: true },
  { name: 'checkout', runtime: 'jvm', state: 'leaking', kind: 'native', base: 410, perHour: 21, limit: 768, replicas: 2, signal: 'anon_rss', version: '2.14.0', restart: true },
  { name: 'session-gateway', runtime: 'go', state: 'suspect', kind: 'tasks', base: 64, perHour: 6.5, limit: 256, replicas: 1, signal: 'tasks', tasks: true },
  { name: 'search-api', runtime: 'python', state: 'recovered', kind: 'cache_fill', base: 180, perHour: 0.4, limit: 1024, replicas: 2, signal: 'rss' },
  { name: 'node-steady', runtime: 'node', state: 'steady', kind: 'unknown', base: 88, perHour: 0.03, limit: 512, replicas: 1, signal: 'heap_after_gc' },
  { name: 'go-steady', runtime: 'go', state: 'steady', kind: 'unknown', base: 41, perHour: -0.02, limit: null, replicas: 4, signal: 'heap_used', down: true },
  { name: 'python-steady', runtime: 'python', state: 'steady', kind: 'unknown', base: 132, perHour: 0.01, limit: 400, replicas: 1, signal: 'rss', opinion: true },
  { name: 'ledger-writer-with-a-rather-long-name-eu-central-1', runtime: 'native', state: 'too_early', kind: 'unknown', base: 23, perHour: 0, limit: null, replicas: 1, signal: null, version: '2026-11-20.4+build.77' },
];

/** Chance that is the same for the same words. */
function noise(...words) {
  let h = 2166136261;
  for (const c of words.join('/')) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  h ^= h >>> 15;
  h = Math.imul(h, 2246822507);
  return ((h ^ (h >>> 13)) >>> 0) / 2 ** 32;
}

const models = Array.from({ length: N_SERVICES }, (_, i) => {
  const model = MODELS[i % MODELS.length];
  if (i < MODELS.length) return model;
  const state = noise(i, 's') < 0.02 ? model.state : 'steady';
  return { ...model, name: `${model.name.slice(0, 18)}-${i}`, replicas: 1, state, perHour: state === 'steady' ? 0.02 : model.perHour * noise(i) };
});

const idOf = (model, replica) => Math.floor(noise(model.name, replica) * 2 ** 32).toString(16).padStart(8, '0').repeat(2);
const owners = new Map(models.flatMap((model) => Array.from({ length: model.replicas }, (_, r) => [idOf(model, r), { model, replica: r }])));
const iso = (ms) => new Date(ms).toISOString();
const growth = (model, replica) => model.perHour * (replica === 0 ? 1 : 0.72);

/** One signal of one replica at one time, bytes or counts. */
function valueAt({ model, replica }, signal, at) {
  const hours = (at - (STARTED - PAST)) / HOUR;
  const restartAt = model.restart && replica === 0 ? 3.1 : -1;
  const age = restartAt > 0 && hours > restartAt ? hours - restartAt : hours + 1;
  const capped = model.state === 'recovered' ? Math.min(age, 2.5) * 22 : growth(model, replica) * age;
  const step = Math.floor(at / 15000);
  const wiggle = (noise(model.name, replica, signal, step) - 0.5) * 0.015 * model.base;
  const saw = ((at / 1000 + replica * 37) % 95) / 95;
  const heap = model.base * 0.45 + capped;
  switch (signal) {
    case 'rss': return (model.base * 1.25 + capped * 1.02 + saw * model.base * 0.06 + wiggle) * MIB;
    case 'anon_rss': return (model.base * 1.05 + capped + saw * model.base * 0.06 + wiggle) * MIB;
    case 'heap_used': return model.runtime === 'native' ? undefined : (heap + saw * model.base * 0.28 + wiggle) * MIB;
    case 'heap_after_gc': return ['native', 'python'].includes(model.runtime) ? undefined : (heap + wiggle * 0.4) * MIB;
    case 'limit': return model.limit === null ? undefined : model.limit * MIB;
    case 'requests': return Math.round(3600 * (40 * age + (12 * (1 - Math.cos(hours * 1.3))) / 1.3) - (age < hours + 1 ? 3600 * (12 * (1 - Math.cos(restartAt * 1.3))) / 1.3 : 0));
    case 'tasks': return model.tasks ? Math.round(120 + growth(model, replica) * 90 * age + wiggle * 10) : undefined;
    case 'start_time': return Math.round(((restartAt > 0 && hours > restartAt ? STARTED - PAST + restartAt * HOUR : STARTED - PAST - HOUR)) / 1000);
    default: return undefined;
  }
}

function verdictOf(model, replica, at) {
  const grows = ['leaking', 'suspect'].includes(model.state);
  const rate = growth(model, replica);
  const scores = { leaking: 1.4 + rate / 60, suspect: 0.82, recovered: 0.55, steady: 0.12 + noise(model.name) * 0.2, too_early: 0 };
  const from = Math.max(at - 2 * HOUR, STARTED - PAST);
  const bytes = (mib) => mib * MIB;
  const owner = { model, replica };
  const perHour = model.tasks ? rate * 90 : bytes(rate);
  const limit = model.limit === null ? null : bytes(model.limit);
  const left = limit && rate > 0.5 && !model.tasks ? ((limit - valueAt(owner, 'rss', at)) / bytes(rate)) * 3600 : null;
  return {
    state: model.state, score: Math.max(0, scores[model.state] + (noise(model.name, Math.floor(at / 5000)) - 0.5) * 0.04), kind: model.kind, signal: model.signal,
    growth_bytes_per_hour: model.state === 'too_early' || model.tasks ? null : { low: bytes(rate * 0.86 - 0.1), mid: bytes(rate), high: bytes(rate * 1.13 + 0.1) },
    growth_bytes_per_request: grows && !model.tasks ? { low: bytes(rate * 0.8) / 144000, mid: bytes(rate) / 144000, high: bytes(rate * 1.2) / 144000 } : null,
    time_to_limit_s: left ? { low: left * 0.88, mid: left, high: model.state === 'suspect' ? null : left * 1.16 } : null,
    since: grows ? iso(from) : null,
    fit: model.signal && model.state !== 'too_early'
      ? { from_ms: from, to_ms: at, level: valueAt(owner, model.signal, from - (from % 95000)) ?? 0, per_hour: { low: perHour * 0.86, mid: perHour, high: perHour * 1.13 } }
      : null,
    reasons: grows
      ? [`the floor of ${model.signal} rose in 11 of the last 12 windows, by ${(rate * 2).toFixed(1)} MiB in 2 h`, 'the slope is positive with more than 99.9 % confidence (block bootstrap, 400 samples)', `growth follows the requests (${Math.round((rate * MIB) / 144000)} bytes each), not the time alone`, 'no slowing down: the second half grows as fast as the first']
      : model.state === 'too_early' ? ['40 s of samples; the verdict needs 5 min'] : ['the floor moved by less than 1 % in 2 h'],
  };
}

function targetOf(model, replica, at) {
  const owner = { model, replica };
  const down = Boolean(model.down) && replica === 3;
  const signals = {};
  for (const signal of ['rss', 'anon_rss', 'heap_used', 'heap_after_gc', 'limit', 'requests', 'tasks', 'start_time']) {
    const value = valueAt(owner, signal, at);
    if (value !== undefined) signals[signal] = value;
  }
  return {
    id: idOf(model, replica), job: model.version ? 'kubernetes-pods' : 'local', instance: `10.0.${replica}.${(model.name.length * 7) % 250}:8080`, service: model.name, version: model.version ?? null,
    runtime: model.runtime, labels: { zone: replica % 2 ? 'eu-1b' : 'eu-1a', team: 'shop' }, up: model.state === 'too_early' && replica > 0 ? null : !down,
    last_scrape_at: iso(at - (down ? 95_000 : (at % 15_000))), last_duration_ms: 2.1 + noise(model.name, replica) * 9,
    last_error: down ? 'connection refused: tcp connect to 10.0.3.63:8080 (os error 111); is the process running and listening on this port?' : null,
    interval_s: 15, signals, verdict: verdictOf(model, replica, at),
    opinion: model.opinion ? { leak_score: 0.1, status: 'healthy' } : null,
  };
}

function serviceOf(model, at) {
  return {
    name: model.name, version: model.version ?? null, runtime: model.runtime, replicas: model.replicas, replicas_up: model.replicas - (model.down ? 1 : 0),
    verdict: verdictOf(model, 0, at), worst_target: idOf(model, 0), memory_bytes: valueAt({ model, replica: 0 }, 'rss', at), limit_bytes: model.limit === null ? null : model.limit * MIB,
    sparkline: Array.from({ length: 32 }, (_, i) => valueAt({ model, replica: 0 }, 'anon_rss', at - (31 - i) * 300_000 - ((at - (31 - i) * 300_000) % 95_000))),
    incident: model.state === 'leaking' ? models.indexOf(model) + 1 : null,
  };
}

function incidentOf(model, index) {
  const opened = STARTED - (index + 1) * 1_900_000;
  return {
    id: index + 1, service: model.name, targets: [idOf(model, 0)], state: model.state === 'leaking' ? (model.suspect ? 'explained' : 'open') : 'recovered', kind: model.kind, score: 1.9, opened_at: iso(opened),
    transitions: [
      { at: iso(opened), to: 'open', cause: 'score 1.02 crossed the alarm boundary 1.0 in 3 of 3 windows' },
      ...(model.state === 'recovered' ? [{ at: iso(opened + HOUR / 2), to: 'recovered', cause: 'no growth for 30 min' }] : []),
    ],
    captures: model.suspect
      ? [
        { id: 4, kind: 'v8-sampling', target: idOf(model, 0), service: model.name, instance: '10.0.0.7:8080', phase: 'middle', incident: index + 1, state: 'stored', began_at: iso(opened), ended_at: iso(opened + 900), predicted: { duration_s: 1, pause_s: 0.2, memory_bytes: MIB, size_bytes: 40_000 }, cost: { duration_s: 0.9, pause_s: 0.12, memory_bytes: MIB, size_bytes: 41_200 }, digest: 'ab12', redacted: false, note: 'the service leaks' },
        { id: 5, kind: 'v8-snapshot', target: idOf(model, 0), service: model.name, instance: '10.0.0.7:8080', phase: 'middle', incident: index + 1, state: 'refused', began_at: iso(opened + 1000), ended_at: iso(opened + 1000), predicted: { duration_s: 20, pause_s: 18, memory_bytes: 2000 * MIB, size_bytes: 400 * MIB }, cost: null, digest: null, redacted: false, note: 'a snapshot needs about 2 GB, 150 MB are free' },
      ]
      : [],
    suspects: model.suspect
      ? [{ title: 'Map `responses` in src/cache.js keeps every response', kind: 'object', name: 'Map', bytes: 61 * MIB, count: 48_211, share: 0.93, path: [{ edge: 'responses', name: 'module src/cache.js', id: 7 }, { edge: 'table', name: 'Map', id: 9 }], stack: [], location: { file: 'src/cache.js', line: 12, column: 7 }, confidence: 0.9, reason: 'grew in every one of 3 captures, nothing was ever removed', identity: '00ff', growth_bytes: 61 * MIB, growth_count: 48_211, grew_in_every_step: true }]
      : [],
  };
}

function statusOf(at) {
  const counts = { leaking: 0, suspect: 0, recovered: 0, steady: 0, too_early: 0 };
  for (const model of models) counts[model.state] += 1;
  return {
    version: '0.1.0', started_at: iso(STARTED), time_scale: TIME_SCALE, targets: owners.size, targets_up: owners.size - models.filter((model) => model.down).length, services: counts,
    memory_bytes: 41 * MIB + (at % 7) * 1000, storage: { writable: true, reason: null, bytes: 12 * MIB, dropped_samples: 0 }, config_reloaded: null, config_error: null,
  };
}

/** First, smallest, largest and last of each bucket, as the daemon does it. */
function seriesOf(owner, signal, from, to, points) {
  const start = Math.max(from, STARTED - PAST);
  const bucket = Math.max(15_000, (to - from) / points);
  const out = [];
  for (let at = start; at <= to; at += bucket) {
    const kept = new Map();
    const n = Math.min(12, Math.max(1, Math.floor(bucket / 15_000)));
    const all = Array.from({ length: n }, (_, i) => [Math.round(at + (i * bucket) / n), valueAt(owner, signal, at + (i * bucket) / n)]).filter(([t, v]) => v !== undefined && t <= to);
    if (all.length === 0) continue;
    const by = [...all].sort((a, b) => a[1] - b[1]);
    for (const point of [all[0], by[0], by[by.length - 1], all[all.length - 1]]) kept.set(point[0], point);
    out.push(...[...kept.values()].sort((a, b) => a[0] - b[0]));
  }
  return out;
}

const severity = ['leaking', 'suspect', 'recovered', 'steady', 'too_early'];
const page = (rows, params, key) => {
  const limit = Math.min(1000, Number(params.get('limit') ?? 100));
  const first = Number(params.get('cursor') ?? 0);
  return { [key]: rows.slice(first, first + limit), next_cursor: first + limit < rows.length ? String(first + limit) : null };
};

function api(path, params) {
  const at = Date.now();
  const [head, id] = path.split('/').map(decodeURIComponent);
  if (head === 'status') return statusOf(at);
  if (head === 'services' && id === undefined) {
    return page(models.map((model) => serviceOf(model, at)).sort((a, b) => severity.indexOf(a.verdict.state) - severity.indexOf(b.verdict.state) || b.verdict.score - a.verdict.score), params, 'services');
  }
  if (head === 'services') {
    const model = models.find((one) => one.name === id && (params.get('version') === null || one.version === params.get('version')));
    return model && { service: serviceOf(model, at), replicas: Array.from({ length: model.replicas }, (_, r) => targetOf(model, r, at)) };
  }
  if (head === 'targets') return page([...owners.values()].map(({ model, replica }) => targetOf(model, replica, at)), params, 'targets');
  if (head === 'incidents') {
    const all = models.filter((model) => ['leaking', 'recovered'].includes(model.state)).map((model) => incidentOf(model, models.indexOf(model)));
    return id === undefined ? page(all.reverse(), params, 'incidents') : all.find((one) => String(one.id) === id);
  }
  if (head === 'series') {
    const owner = owners.get(params.get('target'));
    const from = Number(params.get('start')) * 1000;
    const to = Math.min(at, Number(params.get('end')) * 1000);
    const units = { requests: 'counter', tasks: 'count', start_time: 'unix_seconds' };
    return owner && {
      target: params.get('target'),
      series: params.get('signal').split(',').map((signal) => ({ signal, unit: units[signal] ?? 'bytes', points: seriesOf(owner, signal, from, to, Number(params.get('points') ?? 400)) })).filter((series) => series.points.length > 0),
    };
  }
  return undefined;
}

/** Services that change per tick: all of a few, some of many. */
function events(response) {
  let id = 0;
  const send = (type, body) => response.write(`id: ${(id += 1)}\nevent: ${type}\ndata: ${JSON.stringify(body)}\n\n`);
  send('status', statusOf(Date.now()));
  const timer = setInterval(() => {
    const at = Date.now();
    const changed = models.filter((model) => noise(model.name, at) < Math.max(0.1, Math.min(1, 8 / models.length)));
    send('services', { services: changed.map((model) => serviceOf(model, at)) });
    if (id % 5 === 0) send('status', statusOf(at));
  }, TICK_MS);
  response.on('close', () => clearInterval(timer));
}

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

async function file(path, response) {
  const name = normalize(path === '/' ? '/index.html' : path);
  try {
    const body = await readFile(join(DIST, name));
    response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-security-policy': CSP, 'cache-control': 'no-cache' }).end(body);
  } catch {
    response.writeHead(404).end('not found');
  }
}

createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  if (url.pathname === '/api/v1/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    return events(response);
  }
  if (!url.pathname.startsWith('/api/v1/')) return void file(decodeURIComponent(url.pathname), response);
  const body = api(url.pathname.slice('/api/v1/'.length), url.searchParams);
  if (body === undefined) {
    const problem = { type: '/problems/not-found', title: 'Not found', status: 404, detail: `nothing at ${url.pathname}`, instance: url.pathname };
    return void response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
  }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}).listen(PORT, '127.0.0.1', () => console.log(`mock leakscope with ${models.length} services on http://127.0.0.1:${PORT}`));
