// Samples to what is drawn: paths, gaps, restarts, request rate, the fitted band and its forecast. Pure.
import type { Fit, Series } from '../api-types';

export type Point = readonly [ms: number, value: number | null];

const MS_PER_HOUR = 3_600_000;
/** A start time that moves less is the same process, s: some exporters compute it from the uptime. */
const START_JITTER_S = 5;

export const BYTE_SIGNALS = ['rss', 'anon_rss', 'heap_used', 'heap_after_gc'] as const;

/** A sparkline's line and area; null when there is nothing to draw. A flat series lies in the middle. */
export function sparkPath(values: readonly number[], width: number, height: number):
  { line: string; area: string; end: [number, number] } | null {
  if (values.length < 2) return null;
  const low = Math.min(...values);
  const high = Math.max(...values);
  // Below 4 % of the value a wiggle is noise: it must not look like growth.
  const span = Math.max(high - low, Math.abs(high) * 0.04) || 1;
  const base = low - (span - (high - low)) / 2;
  const pad = 2;
  const points = values.map((value, index): [number, number] => [
    round((index / (values.length - 1)) * (width - 2 * pad) + pad),
    round(height - pad - ((value - base) / span) * (height - 2 * pad)),
  ]);
  const line = `M${points.map((point) => point.join(' ')).join('L')}`;
  return { line, area: `${line}V${height}H${pad}Z`, end: points[points.length - 1] as [number, number] };
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** The points with a null where the series was silent for long: the line breaks there. */
export function withGaps(points: readonly (readonly [number, number])[], gapMs: number): Point[] {
  const out: Point[] = [];
  let before: number | null = null;
  for (const [at, value] of points) {
    if (before !== null && at - before > gapMs) out.push([before + 1, null]);
    out.push([at, value]);
    before = at;
  }
  return out;
}

/** A silence that is no longer the rhythm of scraping or of downsampling, ms. */
export function gapOf(points: readonly (readonly [number, number])[], scrapeMs: number, bucketMs: number): number {
  const steps: number[] = [];
  for (let i = 1; i < points.length; i += 1) steps.push((points[i]?.[0] ?? 0) - (points[i - 1]?.[0] ?? 0));
  steps.sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length * 0.9)] ?? 0;
  return 3 * Math.max(scrapeMs, bucketMs, Math.min(usual, 2 * Math.max(scrapeMs, bucketMs)));
}

/** When the process started anew, ms: jumps of its start time, or a counter of requests that fell. */
export function restarts(series: readonly Series[]): number[] {
  const starts = series.find((one) => one.signal === 'start_time');
  if (starts) {
    return changes(starts.points, (before, now) => Math.abs(now - before) > START_JITTER_S)
      .map(([at, value]) => Math.min(at, value * 1000));
  }
  const requests = series.find((one) => one.signal === 'requests');
  return requests ? changes(requests.points, (before, now) => now < before).map(([at]) => at) : [];
}

function changes(points: Series['points'], changed: (before: number, now: number) => boolean): Series['points'] {
  return points.filter((point, index) => {
    const before = points[index - 1];
    return before !== undefined && changed(before[1], point[1]);
  });
}

/** Requests per second from counters, in even buckets, added up over the replicas; a fall is a restart from zero. */
export function requestRate(counters: readonly Series['points'][], from: number, to: number, buckets: number): Point[] {
  const width = (to - from) / buckets;
  if (!(width > 0)) return [];
  const sums: (number | null)[] = new Array<number | null>(buckets).fill(null);
  for (const points of counters) addRate(sums, points, from, width);
  return sums.map((perSecond, index) => [from + (index + 0.5) * width, perSecond]);
}

/** Spreads each step of a counter evenly over the buckets it spans; a bucket is divided by the time that was seen of it. */
function addRate(sums: (number | null)[], points: Series['points'], from: number, width: number): void {
  const increases = new Float64Array(sums.length);
  const seenMs = new Float64Array(sums.length);
  for (let i = 1; i < points.length; i += 1) {
    const [t0, v0] = points[i - 1] as [number, number];
    const [t1, v1] = points[i] as [number, number];
    if (t1 <= t0) continue;
    const perMs = (v1 >= v0 ? v1 - v0 : v1) / (t1 - t0);
    const first = Math.max(0, Math.floor((t0 - from) / width));
    const last = Math.min(sums.length - 1, Math.floor((t1 - from) / width));
    for (let b = first; b <= last; b += 1) {
      const overlap = Math.min(t1, from + (b + 1) * width) - Math.max(t0, from + b * width);
      if (overlap <= 0) continue;
      increases[b] = (increases[b] ?? 0) + perMs * overlap;
      seenMs[b] = (seenMs[b] ?? 0) + overlap;
    }
  }
  increases.forEach((increase, b) => {
    const seen = seenMs[b] ?? 0;
    if (seen > 0) sums[b] = (sums[b] ?? 0) + (increase / seen) * 1000;
  });
}

export interface Band {
  /** The fitted window. */
  from: number;
  to: number;
  /** Where the dashed forecast ends. */
  end: number;
  /** When the forecast meets the limit, if it does before `end`. */
  meets: number | null;
  mid(at: number): number;
  low(at: number): number;
  high(at: number): number;
}

/** The fitted line as a band. The slope's interval turns about the middle of the window, where a fitted line is known best. */
export function bandOf(fit: Fit, limit: number | null, forecastMsMax: number): Band {
  const centre = (fit.from_ms + fit.to_ms) / 2;
  const slope = fit.per_hour.mid / MS_PER_HOUR;
  const mid = (at: number): number => fit.level + slope * (at - fit.from_ms);
  const steep = (fit.per_hour.high ?? 2 * fit.per_hour.mid - fit.per_hour.low) / MS_PER_HOUR;
  const shallow = fit.per_hour.low / MS_PER_HOUR;
  const turned = (rate: number, at: number): number => mid(centre) + rate * (at - centre);
  const end = fit.to_ms + Math.max(0, Math.min(fit.to_ms - fit.from_ms, forecastMsMax));
  const crossing = limit !== null && slope > 0 ? fit.from_ms + (limit - fit.level) / slope : null;
  const meets = crossing !== null && crossing >= fit.to_ms && crossing <= end ? crossing : null;
  return {
    from: fit.from_ms,
    to: fit.to_ms,
    end: meets ?? end,
    meets,
    mid,
    low: (at) => Math.min(turned(shallow, at), turned(steep, at)),
    high: (at) => Math.max(turned(shallow, at), turned(steep, at)),
  };
}

/** Range choices of the service page; `all` is everything the store has. */
export const RANGES = [
  ['15m', '15 min', 900_000],
  ['1h', '1 h', 3_600_000],
  ['6h', '6 h', 21_600_000],
  ['24h', '24 h', 86_400_000],
  ['all', 'all', null],
] as const;
export type RangeName = (typeof RANGES)[number][0];

export const rangeOf = (text: string | null): RangeName => RANGES.find(([name]) => name === text)?.[0] ?? '1h';

/** Round steps for a memory axis in powers of two, so that ticks read 128 MiB and not 134.2 MB. */
export function binarySplits(min: number, max: number, wanted: number): number[] {
  const rough = (max - min) / Math.max(1, wanted);
  if (!(rough > 0) || !Number.isFinite(rough)) return [min];
  const unit = 1024 ** Math.max(0, Math.floor(Math.log(rough) / Math.log(1024)));
  const steps = [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 512, 1024];
  const step = (steps.find((one) => one * unit >= rough) ?? 1024) * unit;
  const splits: number[] = [];
  for (let at = Math.ceil(min / step) * step; at <= max + step * 1e-9; at += step) splits.push(at);
  return splits;
}

/** Labels of a time axis: seconds only where ticks are closer than a minute, the date where the day changes. */
export function timeLabels(splits: readonly number[], stepMs: number): string[] {
  let day = '';
  return splits.map((at) => {
    const time = new Date(at);
    const pad = (n: number): string => String(n).padStart(2, '0');
    const date = `${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
    const newDay = day !== '' && day !== date;
    day = date;
    if (stepMs >= 86_400_000) return date;
    const clock = `${pad(time.getHours())}:${pad(time.getMinutes())}${stepMs < 60_000 ? `:${pad(time.getSeconds())}` : ''}`;
    return newDay ? `${clock}\n${date}` : clock;
  });
}
