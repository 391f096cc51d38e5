// The fleet keeps its order, its filter and its identity.
import { expect, test } from 'vitest';
import type { Service, State } from './api-types';
import * as fleet from './fleet';

function service(name: string, state: State, score = 0, more: Partial<Service> = {}): Service {
  return {
    name, version: null, runtime: 'node', replicas: 1, replicas_up: 1, worst_target: 'id', memory_bytes: null, limit_bytes: null, sparkline: [], incident: null,
    verdict: { state, score, kind: 'managed', signal: null, growth_bytes_per_hour: null, growth_bytes_per_request: null, time_to_limit_s: null, since: null, fit: null, reasons: [] },
    ...more,
  };
}
const names = (services: Service[]): string[] => services.map((one) => one.name);
const mapOf = (...services: Service[]): Map<string, Service> => fleet.merged(new Map(), services);

test('the worst are first, equal states by score, equal scores by name', () => {
  const rows = [service('b', 'steady', 0.1), service('a', 'steady', 0.1), service('c', 'too_early'), service('d', 'leaking', 1.2), service('e', 'leaking', 2), service('f', 'suspect', 0.9)];
  expect(names(fleet.sorted(rows, fleet.WORST_FIRST))).toEqual(['e', 'd', 'f', 'a', 'b', 'c']);
});

test('unknown values are last in both directions', () => {
  const rows = [service('none', 'steady'), service('small', 'steady', 0, { memory_bytes: 1 }), service('large', 'steady', 0, { memory_bytes: 2 })];
  expect(names(fleet.sorted(rows, { column: 'memory', descending: false }))).toEqual(['small', 'large', 'none']);
  expect(names(fleet.sorted(rows, { column: 'memory', descending: true }))).toEqual(['large', 'small', 'none']);
});

test('the order survives the address', () => {
  expect(fleet.sortOf(fleet.sortText({ column: 'growth', descending: true }))).toEqual({ column: 'growth', descending: true });
  expect(fleet.sortOf('rubbish')).toEqual(fleet.WORST_FIRST);
  expect(fleet.sortText(fleet.WORST_FIRST)).toBeNull();
});

test('two versions of one name are two services', () => {
  expect(mapOf(service('cart', 'steady', 0, { version: '1' }), service('cart', 'leaking', 2, { version: '2' })).size).toBe(2);
});

test('a service is announced once, when it starts to leak', () => {
  const before = mapOf(service('a', 'leaking', 1.2), service('b', 'suspect', 0.9));
  expect(names(fleet.newlyLeaking(before, [service('a', 'leaking', 1.4), service('b', 'leaking', 1.1), service('c', 'leaking', 1.1)]))).toEqual(['b', 'c']);
});

test('every word of the filter must match', () => {
  const cart = service('cart-api', 'leaking', 1, { version: '2.1', runtime: 'go' });
  const all = new Set<State>();
  expect(fleet.matches(cart, { text: 'API go', states: all })).toBe(true);
  expect(fleet.matches(cart, { text: 'api jvm', states: all })).toBe(false);
  expect(fleet.matches(cart, { text: '', states: new Set<State>(['steady']) })).toBe(false);
});

test('the headline says the worst', () => {
  const of = (...states: State[]): string => fleet.headline(fleet.countsOf(states.map((state, i) => service(String(i), state))));
  expect(of()).toBe('No service found yet');
  expect(of('leaking', 'suspect')).toBe('1 service is leaking');
  expect(of('suspect', 'suspect')).toBe('2 services are under suspicion');
  expect(of('too_early')).toBe('Too early to say');
  expect(of('steady', 'too_early')).toBe('No service is leaking');
});

test('held rows keep their places and new ones come last', () => {
  const rows = [service('new', 'leaking', 3), service('b', 'leaking', 2), service('a', 'steady')];
  expect(names(fleet.inHeldOrder(rows, ['a\n', 'b\n']))).toEqual(['a', 'b', 'new']);
});

test('only rows near the screen are made', () => {
  expect(fleet.visibleRows(5000, 40, 0, 800, 8)).toEqual({ first: 0, last: 28 });
  expect(fleet.visibleRows(5000, 40, 40_000, 800, 8)).toEqual({ first: 992, last: 1028 });
  expect(fleet.visibleRows(3, 40, 9999, 800, 8)).toEqual({ first: 3, last: 3 });
});
