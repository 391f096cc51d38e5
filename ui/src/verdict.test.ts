// The sentence says what grows, how fast, for how long and until when.
import { expect, test } from 'vitest';
import type { Service, Verdict } from './api-types';
import { sentence } from './verdict';

const HOUR = 3_600_000;
const MIB = 2 ** 20;
const around = (mid: number) => ({ low: mid * 0.9, mid, high: mid * 1.1 });

function service(verdict: Partial<Verdict>, limit: number | null = null): Service {
  return {
    name: 'a', version: null, runtime: 'go', replicas: 1, replicas_up: 1, worst_target: 'id', memory_bytes: null, limit_bytes: limit, sparkline: [], incident: null,
    verdict: { state: 'leaking', score: 2, kind: 'managed', signal: 'rss', growth_bytes_per_hour: null, growth_bytes_per_request: null, time_to_limit_s: null, since: null, fit: null, reasons: [], ...verdict },
  };
}

test('a leak of bytes with its limit', () => {
  const one = service({ growth_bytes_per_hour: around(38 * MIB), since: '1970-01-01T00:00:00.000Z', time_to_limit_s: around(7800) }, 512 * MIB);
  expect(sentence(one, 2 * HOUR, 1)).toBe(
    'Leaking: the managed heap has been growing by 38 MiB/h for 2 h. At this pace it reaches its limit of 512 MiB in about 2 h 10 min.');
});

test('in compressed time every duration is the detector’s', () => {
  const one = service({ growth_bytes_per_hour: around(MIB), since: '1970-01-01T00:00:00.000Z' });
  expect(sentence(one, HOUR / 30, 60)).toBe(
    'Leaking: the managed heap has been growing by 1 MiB/h for 2 h (on the detector’s clock). No memory limit is known.');
});

test('a leak of tasks is counted, not weighed', () => {
  const one = service({ kind: 'tasks', signal: 'tasks', fit: { from_ms: 0, to_ms: HOUR, level: 10, per_hour: around(600) } }, MIB);
  expect(sentence(one, HOUR, 1)).toBe('Leaking: the number of tasks has been growing by 600/h.');
});
