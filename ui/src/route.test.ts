// Addresses survive the way there and back.
import { expect, test } from 'vitest';
import { href, parse, serviceHref } from './route';

test.each(['cart', 'a/b', 'ümlaut & co?', '100%', '<script>', '🚰'])('a service named %s', (name) => {
  const { route, params } = parse(serviceHref(name, '1.0+b'));
  expect(route).toEqual({ page: 'service', name });
  expect(params.get('version')).toBe('1.0+b');
});

test('every page has its address', () => {
  expect(['', '#', '#/', '#/targets', '#/incidents?state=open', '#/service/', '#/x'].map((hash) => parse(hash).route.page)).toEqual(
    ['fleet', 'fleet', 'fleet', 'targets', 'incidents', 'unknown', 'unknown']);
});

test('a broken escape is taken as it stands', () => expect(parse('#/service/50%').route).toEqual({ page: 'service', name: '50%' }));

test('empty parameters are left out', () => expect(href({ page: 'fleet' }, { q: '', state: null, sort: '-score' })).toBe('#/?sort=-score'));
