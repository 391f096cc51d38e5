// The fleet as data: identity, merge of changes, counts, filter and sort. Pure functions.
import type { Service, State } from './api-types';

/** Worst first: the order of the table and of the counts. */
export const STATES: readonly State[] = ['leaking', 'suspect', 'recovered', 'steady', 'too_early'];

/** A service is the set of replicas that share name and version. */
export const keyOf = (service: Pick<Service, 'name' | 'version'>): string => `${service.name}\n${service.version ?? ''}`;

/** `current` with the changed rows put in; the same map is not changed. */
export function merged(current: ReadonlyMap<string, Service>, changed: readonly Service[]): Map<string, Service> {
  const next = new Map(current);
  for (const service of changed) next.set(keyOf(service), service);
  return next;
}

/** Services that were not leaking in `before` and are in `changed`. */
export function newlyLeaking(before: ReadonlyMap<string, Service>, changed: readonly Service[]): Service[] {
  return changed.filter(
    (service) => service.verdict.state === 'leaking' && before.get(keyOf(service))?.verdict.state !== 'leaking',
  );
}

export function countsOf(services: Iterable<Service>): Record<State, number> {
  const counts: Record<State, number> = { leaking: 0, suspect: 0, recovered: 0, steady: 0, too_early: 0 };
  for (const { verdict } of services) if (verdict.state in counts) counts[verdict.state] += 1;
  return counts;
}

/** The sentence above the table. */
export function headline(counts: Record<State, number>): string {
  const total = STATES.reduce((sum, state) => sum + counts[state], 0);
  if (total === 0) return 'No service found yet';
  if (counts.leaking > 0) return counts.leaking === 1 ? '1 service is leaking' : `${counts.leaking} services are leaking`;
  if (counts.suspect > 0) return counts.suspect === 1 ? '1 service is under suspicion' : `${counts.suspect} services are under suspicion`;
  if (counts.too_early === total) return 'Too early to say';
  return 'No service is leaking';
}

export interface Filter { text: string; states: ReadonlySet<State> }

/** Every word of the text must occur in name, version or runtime; no state chosen means all. */
export function matches(service: Service, filter: Filter): boolean {
  if (filter.states.size > 0 && !filter.states.has(service.verdict.state)) return false;
  if (filter.text === '') return true;
  const hay = `${service.name} ${service.version ?? ''} ${service.runtime} ${service.verdict.kind}`.toLowerCase();
  return filter.text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}

export const COLUMNS = [
  'service', 'runtime', 'state', 'score', 'memory', 'growth', 'per_request', 'time_to_limit',
] as const;
export type Column = (typeof COLUMNS)[number];
export interface Sort { column: Column; descending: boolean }
export const WORST_FIRST: Sort = { column: 'state', descending: true };

/** Reads `score`, `-score`; anything else is worst first. */
export function sortOf(text: string | null): Sort {
  const name = text?.replace(/^-/, '');
  const column = COLUMNS.find((known) => known === name);
  return column ? { column, descending: text?.startsWith('-') ?? false } : WORST_FIRST;
}

/** For the address; the default is left out. */
export function sortText(sort: Sort): string | null {
  if (sort.column === WORST_FIRST.column && sort.descending === WORST_FIRST.descending) return null;
  return `${sort.descending ? '-' : ''}${sort.column}`;
}

/** A click on a column: names rise first, figures fall first, a second click turns it round. */
export function nextSort(current: Sort, column: Column): Sort {
  if (current.column === column) return { column, descending: !current.descending };
  return { column, descending: !['service', 'runtime', 'time_to_limit'].includes(column) };
}

/** A sorted copy. Unknown values are last in either direction; equal rows go by severity, then name. */
export function sorted(services: readonly Service[], sort: Sort): Service[] {
  const sign = sort.descending ? -1 : 1;
  return [...services].sort((a, b) => {
    const order = compare(valueOf(a, sort.column), valueOf(b, sort.column), sign);
    return order !== 0 ? order : bySeverity(a, b);
  });
}

function compare(a: number | string | null, b: number | string | null, sign: number): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  return a < b ? -sign : a > b ? sign : 0;
}

function bySeverity(a: Service, b: Service): number {
  return severity(b) - severity(a) || b.verdict.score - a.verdict.score || byName(a, b);
}

function byName(a: Service, b: Service): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return (a.version ?? '') < (b.version ?? '') ? -1 : 1;
}

const severity = (service: Service): number => STATES.length - STATES.indexOf(service.verdict.state);

function valueOf(service: Service, column: Column): number | string | null {
  const { verdict } = service;
  switch (column) {
    case 'service': return service.name.toLowerCase();
    case 'runtime': return service.runtime;
    case 'state': return severity(service);
    case 'score': return verdict.score;
    case 'memory': return service.memory_bytes;
    case 'growth': return verdict.growth_bytes_per_hour?.mid ?? null;
    case 'per_request': return verdict.growth_bytes_per_request?.mid ?? null;
    case 'time_to_limit': return verdict.time_to_limit_s?.mid ?? null;
  }
}

/** Rows in the order they had; rows that were not there come after. Keeps the table still under a pointer. */
export function inHeldOrder(services: readonly Service[], held: readonly string[]): Service[] {
  const place = new Map(held.map((key, index) => [key, index]));
  const placeOf = (service: Service): number => place.get(keyOf(service)) ?? held.length;
  return [...services].sort((a, b) => placeOf(a) - placeOf(b));
}

/** Which rows of a long list are on screen, with some to spare on both sides. */
export function visibleRows(
  total: number, rowHeight: number, scrolled: number, viewport: number, spare = 8,
): { first: number; last: number } {
  const first = Math.max(0, Math.min(total, Math.floor(scrolled / rowHeight) - spare));
  const last = Math.max(first, Math.min(total, Math.ceil((scrolled + viewport) / rowHeight) + spare));
  return { first, last };
}
