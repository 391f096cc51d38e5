// The verdict as words a person can act on. Pure.
import type { Service, Verdict } from './api-types';
import * as format from './format';

/** `Leaking: the managed heap has been growing by 3.3 MiB/h ...`. `timeScale` as in the status: hours are the detector's. */
export function sentence(service: Service, now: number, timeScale: number): string {
  switch (service.verdict.state) {
    case 'leaking': return `Leaking: ${growth(service, now, timeScale)}`;
    case 'suspect': return `Suspect: ${growth(service, now, timeScale)} Not yet enough evidence to raise the alarm.`;
    case 'recovered': return 'Recovered: it grew beyond the alarm boundary and has stopped growing.';
    case 'steady': return 'Steady: no growth that load, warm-up or a filling cache would not explain.';
    case 'too_early': return 'Too early to say: not enough samples of this process yet.';
  }
}

function growth(service: Service, now: number, timeScale: number): string {
  const { verdict } = service;
  const counted = countGrowth(verdict, timeScale);
  const subject = counted ? `the number of ${counted.what}` : (SUBJECTS[verdict.kind] ?? 'memory');
  const rate = verdict.growth_bytes_per_hour;
  const speed = rate ? ` by ${format.bytes(rate.mid)}/h` : counted ? ` by ${format.count(counted.perHour)}/h` : '';
  const since = verdict.since ? ` for ${format.duration((Math.max(0, now - Date.parse(verdict.since)) / 1000) * timeScale)}` : '';
  const clock = timeScale === 1 || speed + since === '' ? '' : ' (on the detector’s clock)';
  return `${subject} has been growing${speed}${since}${clock}.${limit(service)}`;
}

function limit(service: Service): string {
  const left = service.verdict.time_to_limit_s;
  if (!left) return service.limit_bytes === null ? ' No memory limit is known.' : '';
  const of = service.limit_bytes === null ? 'its limit' : `its limit of ${format.bytes(service.limit_bytes)}`;
  return ` At this pace it reaches ${of} in about ${format.duration(left.mid)}.`;
}

const SUBJECTS: Record<string, string> = {
  managed: 'the managed heap', native: 'native memory', tasks: 'memory held by tasks', descriptors: 'memory held by descriptors',
  cache_fill: 'a cache', load_growth: 'memory with the load', fragmentation: 'fragmented memory', unknown: 'memory',
};

/** Signals that are counted, not weighed, with a word short enough for a table. */
const COUNTED: Record<string, string> = { tasks: 'tasks', threads: 'threads', objects: 'objects', file_descriptors: 'fds' };

/** Growth of something counted, for an hour of the detector's clock; the fitted line is in real hours. Null where bytes grow. */
export function countGrowth(verdict: Verdict, timeScale: number): { what: string; perHour: number } | null {
  const what = verdict.signal === null ? undefined : COUNTED[verdict.signal];
  if (what === undefined || verdict.growth_bytes_per_hour !== null || verdict.fit === null) return null;
  return { what, perHour: Math.round(verdict.fit.per_hour.mid / timeScale) };
}
