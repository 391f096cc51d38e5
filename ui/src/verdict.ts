// The verdict as one sentence a person can act on. Pure.
import type { Service } from './api-types';
import * as format from './format';

/** `Leaking: the managed heap has been growing by 3.3 MiB/h ...`. Where the detector's hour is not a real one, it says so. */
export function sentence(service: Service, now: number, realClock: boolean): string {
  const { verdict } = service;
  switch (verdict.state) {
    case 'leaking': return `Leaking: ${growth(service, now, realClock)}`;
    case 'suspect': return `Suspect: ${growth(service, now, realClock)} Not yet enough evidence to raise the alarm.`;
    case 'recovered': return 'Recovered: it grew beyond the alarm boundary and has stopped growing.';
    case 'steady': return 'Steady: no growth that load, warm-up or a filling cache would not explain.';
    case 'too_early': return 'Too early to say: not enough samples of this process yet.';
  }
}

function growth(service: Service, now: number, realClock: boolean): string {
  const { verdict } = service;
  const subject = SUBJECTS[verdict.kind] ?? 'memory';
  const rate = verdict.growth_bytes_per_hour;
  const speed = rate ? ` by ${format.bytes(rate.mid)}/h${realClock ? '' : ' (of the detector’s clock)'}` : '';
  const since = verdict.since ? ` for ${format.duration(Math.max(0, now - Date.parse(verdict.since)) / 1000)}` : '';
  return `${subject} has been growing${speed}${since}.${limit(service)}`;
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
