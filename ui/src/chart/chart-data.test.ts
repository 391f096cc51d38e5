// What is drawn says what was measured.
import { expect, test } from 'vitest';
import * as chart from './chart-data';

test('a flat series is drawn in the middle, not as growth', () => {
  const path = chart.sparkPath([100, 100.5, 100], 96, 24);
  const heights = path?.line.slice(1).split('L').map((point) => Number(point.split(' ')[1])) ?? [];
  expect(Math.max(...heights) - Math.min(...heights)).toBeLessThan(4);
  expect(chart.sparkPath([1], 96, 24)).toBeNull();
});

test('a silence breaks the line', () => {
  expect(chart.withGaps([[0, 1], [10, 2], [100, 3]], 30)).toEqual([[0, 1], [10, 2], [11, null], [100, 3]]);
});

test('a restart is a jump of the start time, not its jitter', () => {
  const series = [{ signal: 'start_time', unit: 'unix_seconds' as const, points: [[0, 100], [1000, 101], [200_000, 190], [210_000, 190]] as [number, number][] }];
  expect(chart.restarts(series)).toEqual([190_000]);
});

test('without a start time a falling counter is a restart', () => {
  const series = [{ signal: 'requests', unit: 'counter' as const, points: [[0, 5], [1000, 9], [2000, 1]] as [number, number][] }];
  expect(chart.restarts(series)).toEqual([2000]);
});

test('the rate counts a restarted counter from zero and adds up replicas', () => {
  const one: [number, number][] = [[0, 0], [1000, 10], [2000, 5]];
  expect(chart.requestRate([one], 0, 2000, 2)).toEqual([[500, 10], [1500, 5]]);
  expect(chart.requestRate([one, one], 0, 2000, 2).map((point) => point[1])).toEqual([20, 10]);
  expect(chart.requestRate([[[500, 0], [1000, 5]]], 0, 1000, 1)).toEqual([[500, 10]]);
  expect(chart.requestRate([[]], 0, 2000, 2).map((point) => point[1])).toEqual([null, null]);
});

const HOUR = 3_600_000;
test('the forecast ends where it meets the limit', () => {
  const fit = { from_ms: 0, to_ms: HOUR, level: 100, per_hour: { low: 80, mid: 100, high: 120 } };
  const band = chart.bandOf(fit, 250, 10 * HOUR);
  expect([band.end, band.meets, band.mid(HOUR)]).toEqual([1.5 * HOUR, 1.5 * HOUR, 200]);
  expect([band.low(HOUR), band.high(HOUR), band.low(0), band.high(0)]).toEqual([190, 210, 90, 110]);
});

test('a forecast is no longer than its window', () => {
  const fit = { from_ms: 0, to_ms: HOUR, level: 100, per_hour: { low: 1, mid: 2, high: null } };
  const band = chart.bandOf(fit, 1e9, 10 * HOUR);
  expect([band.end, band.meets]).toEqual([2 * HOUR, null]);
  expect(band.high(HOUR)).toBeGreaterThan(band.mid(HOUR));
});

test('memory ticks are round in powers of two', () => {
  expect(chart.binarySplits(0, 512 * 2 ** 20, 4).map((value) => value / 2 ** 20)).toEqual([0, 128, 256, 384, 512]);
  expect(chart.binarySplits(5, 5, 4)).toEqual([5]);
});
