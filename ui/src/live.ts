// The live stream: Server-Sent Events over fetch, so that we see heartbeats, choose the backoff and resume by id.
import { apiUrl } from './api';

export interface StreamEvent { type: string; data: string }
export type Connection = 'connecting' | 'live' | 'lost';

/** Silence after which the connection is taken for dead and made anew, ms. */
const SILENCE_MS_MAX = 45_000;
const BACKOFF_MS_FIRST = 500;
const BACKOFF_MS_MAX = 15_000;

/** Bytes of an event stream in, events out. After the WHATWG HTML standard, §9.2.6. */
export class EventParser {
  lastEventId = '';
  private rest = '';
  private type = '';
  private data: string[] = [];

  push(chunk: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const text = this.rest + chunk;
    // A lone CR at the end may be the first half of CRLF: keep it for the next chunk.
    const end = text.endsWith('\r') ? text.length - 1 : text.length;
    const lines = text.slice(0, end).split(/\r\n|\n|\r/);
    this.rest = (lines.pop() ?? '') + text.slice(end);
    for (const line of lines) {
      const event = this.line(line);
      if (event) events.push(event);
    }
    return events;
  }

  private line(line: string): StreamEvent | null {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.type = value;
    else if (field === 'data') this.data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.lastEventId = value;
    return null;
  }

  private dispatch(): StreamEvent | null {
    const event = { type: this.type || 'message', data: this.data.join('\n') };
    const empty = this.data.length === 0;
    this.type = '';
    this.data = [];
    return empty ? null : event;
  }
}

/** Milliseconds until attempt `n` (from 1): doubling, capped, with up to a quarter of jitter from `chance` in 0..1. */
export function backoffMs(attempt: number, chance: number): number {
  const base = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_FIRST * 2 ** (attempt - 1));
  return Math.round(base * (0.75 + chance * 0.25));
}

export interface LiveHandlers {
  onEvent(event: StreamEvent): void;
  /** `retryAt` (ms) is when the next attempt begins, while lost. */
  onConnection(connection: Connection, retryAt: number | null): void;
}

/** Follows the stream until the returned function is called. `retryNow` skips the wait. */
export function follow(handlers: LiveHandlers): { stop(): void; retryNow(): void } {
  let lastEventId = '';
  let attempt = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let abort: AbortController | undefined;
  let stopped = false;

  async function connect(): Promise<void> {
    if (attempt === 0) handlers.onConnection('connecting', null);
    const controller = (abort = new AbortController());
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => controller.abort(), SILENCE_MS_MAX);
    };
    try {
      heard();
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (lastEventId !== '') headers['last-event-id'] = lastEventId;
      const response = await fetch(apiUrl('events'), { headers, cache: 'no-store', signal: controller.signal });
      if (!response.ok || !response.body) throw new Error(`HTTP ${response.status}`);
      attempt = 0;
      handlers.onConnection('live', null);
      await read(response.body, heard);
    } catch {
      // Whatever ended it, the remedy is the same: wait and connect again.
    } finally {
      clearTimeout(watchdog);
    }
    if (!stopped) again();
  }

  async function read(body: ReadableStream<Uint8Array>, heard: () => void): Promise<void> {
    const parser = new EventParser();
    parser.lastEventId = lastEventId;
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) handlers.onEvent(event);
      lastEventId = parser.lastEventId;
    }
  }

  function again(): void {
    attempt += 1;
    const wait = backoffMs(attempt, Math.random());
    handlers.onConnection('lost', Date.now() + wait);
    timer = setTimeout(() => void connect(), wait);
  }

  void connect();
  return {
    stop(): void {
      stopped = true;
      clearTimeout(timer);
      abort?.abort();
    },
    retryNow(): void {
      clearTimeout(timer);
      if (!stopped) void connect();
    },
  };
}
