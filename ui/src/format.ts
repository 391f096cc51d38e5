// Numbers, durations and times as people read them: binary units, three significant digits, narrow words.
import type { Interval } from './api-types';

const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const MINUS = '\u2212';
const THIN = '\u202f';

/** `212 MiB`, `1.5 GiB`, `0 B`; negative numbers with a true minus. */
export function bytes(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  let size = Math.abs(value);
  let unit = 0;
  while (size >= 1023.5 && unit < BINARY.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${value < 0 && size > 0 ? MINUS : ''}${digits(size, unit === 0 && Number.isInteger(size))} ${BINARY[unit]}`;
}

/** The same with a plus on growth: `+3.3 MiB`. */
export function signedBytes(value: number): string {
  return value > 0 ? `+${bytes(value)}` : bytes(value);
}

/** `+3.3 MiB/h`. */
export const perHour = (value: number): string => `${signedBytes(value)}/h`;
/** `+812 B/req`. */
export const perRequest = (value: number): string => `${signedBytes(value)}/req`;

/** `95 %: +2.9 MiB … +3.7 MiB/h`. */
export function intervalOf(interval: Interval, unit: string): string {
  const high = interval.high === null ? 'unbounded' : signedBytes(interval.high);
  return `95 % interval: ${signedBytes(interval.low)} to ${high} ${unit}`;
}

/** `12 s`, `2 h 10 min`, `3 d 4 h`, `5 y`: the two largest units. */
export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds)) return '–';
  const s = Math.max(0, seconds);
  if (s < 0.9995) return s === 0 ? '0 s' : `${digits(s * 1000, false)} ms`;
  if (s < 9.95) return `${digits(s, Number.isInteger(s))} s`;
  if (s < 59.5) return `${Math.round(s)} s`;
  const minutes = Math.round(s / 60);
  if (minutes < 10) return two(Math.floor(Math.round(s) / 60), 'min', Math.round(s) % 60, 's');
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, 'h', minutes % 60, 'min');
  const wholeHours = Math.round(s / 3600);
  const days = Math.floor(wholeHours / 24);
  if (days < 30) return two(days, 'd', wholeHours % 24, 'h');
  if (days < 730) return `${Math.round(s / 86400)} d`;
  return `${Math.round(s / 31_557_600)} y`;
}

/** `1 h 40 min to 3 h`, `more than 2 h`: an interval of durations. */
export function durationInterval(interval: Interval): string {
  if (interval.high === null) return `95 % interval: more than ${duration(interval.low)}`;
  return `95 % interval: ${duration(interval.low)} to ${duration(interval.high)}`;
}

/** `just now`, `12 s ago`, `2 h 10 min ago`. */
export function ago(at: string | number | null, now: number): string {
  if (at === null) return 'never';
  const ms = typeof at === 'number' ? at : Date.parse(at);
  if (Number.isNaN(ms)) return '–';
  const seconds = Math.round((now - ms) / 1000);
  return seconds < 2 ? 'just now' : `${duration(seconds)} ago`;
}

/** Local date and time to the second, `2026-11-20 12:20:08`. */
export function dateTime(at: string | number | null): string {
  if (at === null) return '–';
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return '–';
  const pad = (n: number): string => String(n).padStart(2, '0');
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())} `
    + `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}

/** `0.42`, `1.7`, `12`: two significant places around the boundary, fewer above. */
export function score(value: number): string {
  if (value < 0.005) return '0';
  return value >= 9.95 ? String(Math.round(value)) : value.toFixed(value >= 0.995 ? 1 : 2);
}

/** `73 %`; tiny shares are `<1 %`. */
export function percent(ratio: number): string {
  const value = ratio * 100;
  return value > 0 && value < 1 ? `<1${THIN}%` : `${Math.round(value)}${THIN}%`;
}

/** `1,240`, `12.4 k`, `3.1 M`. */
export function count(value: number): string {
  const size = Math.abs(value);
  if (size < 10_000) return Number.isInteger(value) ? value.toLocaleString('en-US') : digits(value, false);
  if (size < 999_500) return `${digits(value / 1e3, false)} k`;
  if (size < 999_500_000) return `${digits(value / 1e6, false)} M`;
  return `${digits(value / 1e9, false)} G`;
}

/** A signal's value in its unit. */
export function signalValue(signal: string, value: number, now: number): string {
  if (signal === 'start_time') return ago(value * 1000, now);
  return BYTE_SIGNALS.has(signal) ? bytes(value) : count(value);
}

const BYTE_SIGNALS = new Set([
  'rss', 'anon_rss', 'heap_used', 'heap_after_gc', 'heap_committed', 'external', 'limit', 'page_cache',
]);

const RUNTIMES: Record<string, string> = {
  go: 'Go', node: 'Node.js', jvm: 'JVM', python: 'Python', dotnet: '.NET', native: 'native', unknown: 'unknown',
};
/** A runtime's own spelling. */
export const runtime = (name: string): string => RUNTIMES[name] ?? name;

const STATES: Record<string, string> = {
  leaking: 'leaking', suspect: 'suspect', recovered: 'recovered', steady: 'steady', too_early: 'too early',
};
/** A verdict's state in words. */
export const state = (name: string): string => STATES[name] ?? name.replaceAll('_', ' ');

const KINDS: Record<string, string> = {
  managed: 'managed heap', native: 'native memory', tasks: 'tasks', descriptors: 'file descriptors',
  cache_fill: 'cache filling up', load_growth: 'growth with load', fragmentation: 'fragmentation', unknown: 'unknown kind',
};
/** What kind of growth it is, in words. */
export const kind = (name: string): string => KINDS[name] ?? name.replaceAll('_', ' ');

const SIGNALS: Record<string, string> = {
  rss: 'resident', anon_rss: 'anonymous', heap_used: 'heap used', heap_after_gc: 'heap after GC',
  heap_committed: 'heap committed', external: 'external buffers', limit: 'limit', objects: 'live objects',
  tasks: 'tasks', threads: 'threads', file_descriptors: 'file descriptors', requests: 'requests',
  gc_count: 'collections', start_time: 'started', oom_kills: 'OOM kills', page_cache: 'page cache',
};
/** A signal's name in words. */
export const signal = (name: string): string => SIGNALS[name] ?? name.replaceAll('_', ' ');

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** About three significant digits without trailing zeros: 1.53, 12.4, 212. */
function digits(value: number, whole: boolean): string {
  if (whole) return String(value);
  const size = Math.abs(value);
  const text = value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
  const trimmed = text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  return trimmed.replace(/^-/, MINUS);
}

/** `2.9 to 3.7 MiB/h`: an interval below its estimate. */
export function intervalShort(interval: Interval, unit: string): string {
  return interval.high === null ? `at least ${signedBytes(interval.low)}${unit}` : `${signedBytes(interval.low)} to ${signedBytes(interval.high)}${unit}`;
}

/** `1 h 40 min to 3 h`. */
export function durationShort(interval: Interval): string {
  return interval.high === null ? `at least ${duration(interval.low)}` : `${duration(interval.low)} to ${duration(interval.high)}`;
}
