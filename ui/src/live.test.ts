// The event stream is understood however it is cut.
import { expect, test } from 'vitest';
import { EventParser, backoffMs } from './live';

const STREAM = ': hello\r\n\r\nid: 7\nevent: services\ndata: {"a":\ndata: 1}\n\ndata: x\r\rid: 8\n\nevent: unfinished\ndata: y\n';

test('the events of a stream', () => {
  const parser = new EventParser();
  expect(parser.push(STREAM)).toEqual([{ type: 'services', data: '{"a":\n1}' }, { type: 'message', data: 'x' }]);
  expect(parser.lastEventId).toBe('8');
});

test('every cut gives the same events', () => {
  const whole = new EventParser().push(STREAM);
  for (let cut = 0; cut <= STREAM.length; cut += 1) {
    const parser = new EventParser();
    expect([...parser.push(STREAM.slice(0, cut)), ...parser.push(STREAM.slice(cut))]).toEqual(whole);
  }
});

test('attempts come ever more slowly, up to a bound', () => {
  expect([1, 2, 3, 10].map((attempt) => backoffMs(attempt, 1))).toEqual([500, 1000, 2000, 15_000]);
  expect(backoffMs(1, 0)).toBe(375);
});
