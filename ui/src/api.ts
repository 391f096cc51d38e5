// The typed client of the API: one function per question; every failure is an ApiError with a sentence.
import type { Incident, Incidents, Problem, SeriesSet, Service, ServiceDetail, Status, Target } from './api-types';
import type { Services, Targets } from './api-types';

/** Rows asked for at once; the client follows `next_cursor` until the last page. */
const PAGE_ROWS = 500;

/** Why the API did not answer as asked. `status` is 0 when there was no answer at all. */
export class ApiError extends Error {
  constructor(readonly status: number, readonly title: string, readonly detail: string) {
    super(`${title}: ${detail}`);
    this.name = 'ApiError';
  }
}

/** The address of one API path, relative to the page, so that a route prefix works. */
export function apiUrl(path: string): string {
  return new URL(`api/v1/${path}`, document.baseURI.split('#')[0]).href;
}

export const getStatus = (signal?: AbortSignal) => get<Status>('status', signal);

/** `onPage` sees the rows so far after each page: the worst come first, so that the first page is worth showing. */
export const getServices = (signal?: AbortSignal, onPage?: (sofar: readonly Service[]) => void): Promise<Service[]> =>
  allPages<Services, Service>('services', {}, (page) => page.services, signal, onPage);

export const getService = (name: string, version: string | null, signal?: AbortSignal) =>
  get<ServiceDetail>(`services/${encodeURIComponent(name)}${query({ version })}`, signal);

export const getTargets = (signal?: AbortSignal): Promise<Target[]> =>
  allPages<Targets, Target>('targets', {}, (page) => page.targets, signal);

export const getIncidents = (signal?: AbortSignal): Promise<Incident[]> =>
  allPages<Incidents, Incident>('incidents', {}, (page) => page.incidents, signal);

/** Samples of one target between two times (ms), downsampled to about `points` buckets. */
export function getSeries(
  target: string, signals: readonly string[], range: { from: number; to: number }, points: number, signal?: AbortSignal,
): Promise<SeriesSet> {
  const start = (range.from / 1000).toFixed(3);
  const end = (range.to / 1000).toFixed(3);
  return get<SeriesSet>(`series${query({ target, signal: signals.join(','), start, end, points: String(points) })}`, signal);
}

function query(params: Record<string, string | null>): string {
  const set = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) if (value !== null) set.set(key, value);
  const text = set.toString();
  return text === '' ? '' : `?${text}`;
}

async function allPages<Page extends { next_cursor: string | null }, Row>(
  path: string, params: Record<string, string>, rows: (page: Page) => Row[], signal?: AbortSignal, onPage?: (sofar: readonly Row[]) => void,
): Promise<Row[]> {
  const all: Row[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await get<Page>(path + query({ ...params, limit: String(PAGE_ROWS), cursor }), signal);
    all.push(...rows(page));
    onPage?.(all);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return all;
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(apiUrl(path), { headers: { accept: 'application/json' }, ...(signal ? { signal } : {}) });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, 'leakscope does not answer', 'the connection failed; is the daemon still running?');
  }
  if (!response.ok) throw await problemOf(response);
  try {
    return (await response.json()) as T;
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(response.status, 'Answer not understood', `expected JSON from ${path}`);
  }
}

async function problemOf(response: Response): Promise<ApiError> {
  const body: Partial<Problem> = await response.json().catch(() => ({}));
  return new ApiError(
    response.status,
    body.title ?? `HTTP ${response.status} ${response.statusText}`.trim(),
    body.detail ?? 'the answer has no further detail',
  );
}

/** Any thrown value as a title and a sentence for the error box. */
export function describe(error: unknown): { title: string; detail: string } {
  if (error instanceof ApiError) return { title: error.title, detail: error.detail };
  return { title: 'Something went wrong', detail: error instanceof Error ? error.message : String(error) };
}
