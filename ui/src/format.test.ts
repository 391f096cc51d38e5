// Numbers and times read as people expect.
import { expect, test } from 'vitest';
import * as format from './format';

test.each([
  [0, '0 B'], [1, '1 B'], [812, '812 B'], [1023, '1023 B'], [1023.9, '1 KiB'], [1536, '1.5 KiB'], [212 * 2 ** 20, '212 MiB'],
  [3.3 * 2 ** 20, '3.3 MiB'], [1.5 * 2 ** 30, '1.5 GiB'], [-20.5 * 1024, '−20.5 KiB'], [0.25, '0.25 B'], [2 ** 63, '8192 PiB'],
])('bytes %d', (value, text) => expect(format.bytes(value)).toBe(text));

test('what is not known is a dash', () => {
  expect(format.bytes(null)).toBe('–');
  expect(format.bytes(NaN)).toBe('–');
  expect(format.duration(null)).toBe('–');
  expect(format.dateTime('rubbish')).toBe('–');
});

test('growth carries its sign', () => {
  expect(format.perHour(3.3 * 2 ** 20)).toBe('+3.3 MiB/h');
  expect(format.perHour(-2048)).toBe('−2 KiB/h');
  expect(format.perRequest(812)).toBe('+812 B/req');
  expect(format.signedBytes(0)).toBe('0 B');
});

test.each([
  [0, '0 s'], [0.0021, '2.1 ms'], [0.9999, '1 s'], [4.25, '4.25 s'], [12, '12 s'], [59.4, '59 s'], [59.6, '1 min'], [60, '1 min'], [95, '1 min 35 s'],
  [600, '10 min'], [3599, '1 h'], [7800, '2 h 10 min'], [86_399, '1 d'], [100_000, '1 d 4 h'], [40 * 86_400, '40 d'], [1e9, '32 y'],
])('duration of %d s', (seconds, text) => expect(format.duration(seconds)).toBe(text));

test('an interval without an upper end says so', () => {
  expect(format.intervalOf({ low: 1024, mid: 2048, high: null }, 'per hour')).toBe('95 % interval: +1 KiB to unbounded per hour');
  expect(format.durationInterval({ low: 60, mid: 90, high: null })).toBe('95 % interval: more than 1 min');
  expect(format.durationShort({ low: 60, mid: 90, high: 120 })).toBe('1 min to 2 min');
});

test('a clock slightly behind does not show the future', () => {
  expect(format.ago(1_000, 0)).toBe('just now');
  expect(format.ago(null, 0)).toBe('never');
  expect(format.ago('1970-01-01T00:00:00.000Z', 12_000)).toBe('12 s ago');
});

test('scores keep the digits that matter near the boundary', () => {
  expect([0, 0.42, 0.994, 0.996, 1.74, 12.3].map(format.score)).toEqual(['0', '0.42', '0.99', '1.0', '1.7', '12']);
});

test('counts and shares', () => {
  expect([7, 9999, 48_211, 1_310_000].map(format.count)).toEqual(['7', '9,999', '48.2 k', '1.31 M']);
  expect([0, 0.004, 0.734, 1].map(format.percent)).toEqual(['0\u202f%', '<1\u202f%', '73\u202f%', '100\u202f%']);
});
