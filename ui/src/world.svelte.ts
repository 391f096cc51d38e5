// What the page knows of the daemon: services, status and incidents, kept in step by the live stream.
import { describe, getIncidents, getServices, getStatus } from './api';
import type { Incident, Service, Status } from './api-types';
import { keyOf, merged, newlyLeaking } from './fleet';
import { follow, type Connection, type StreamEvent } from './live';

/** Changes are put in at most this often, ms: 5,000 rows that all change must not keep the tab busy. */
const MERGE_EVERY_MS = 250;
/** The stream tells what changed but not what went; a full load now and then drops services that are gone, ms. */
const RELOAD_EVERY_MS = 60_000;

export type Load = { state: 'loading' } | { state: 'ready' } | { state: 'failed'; title: string; detail: string };

class World {
  services = $state.raw<ReadonlyMap<string, Service>>(new Map());
  status = $state.raw<Status | null>(null);
  incidents = $state.raw<readonly Incident[]>([]);
  load = $state.raw<Load>({ state: 'loading' });
  /** Whether only the first pages of the services are here yet. */
  partial = $state(false);
  connection = $state<Connection>('connecting');
  retryAt = $state<number | null>(null);
  /** Ticks once a second while the page is visible. */
  now = $state(Date.now());
  /** What a screen reader is told when a service starts to leak. */
  alarm = $state('');

  private pending = new Map<string, Service>();
  private mergeTimer: ReturnType<typeof setTimeout> | undefined;
  private stream: ReturnType<typeof follow> | undefined;
  private loading: AbortController | undefined;

  start(): void {
    void this.reload();
    this.stream = follow({
      onEvent: (event) => this.onEvent(event),
      onConnection: (connection, retryAt) => this.onConnection(connection, retryAt),
    });
    setInterval(() => void (document.hidden || (this.now = Date.now())), 1000);
    setInterval(() => void (document.hidden || this.connection !== 'live' || void this.reload()), RELOAD_EVERY_MS);
    document.addEventListener('visibilitychange', () => {
      this.now = Date.now();
      if (!document.hidden && this.connection === 'lost') this.retryNow();
    });
  }

  retryNow(): void {
    this.stream?.retryNow();
  }

  /** Loads everything anew; what is shown stays until the answer is here. */
  async reload(): Promise<void> {
    this.loading?.abort();
    const { signal } = (this.loading = new AbortController());
    if (this.load.state === 'failed') this.load = { state: 'loading' };
    try {
      const [status, services, incidents] = await Promise.all([
        getStatus(signal).then((answer) => (this.status = answer)),
        getServices(signal, (sofar) => this.show(sofar)),
        getIncidents(signal),
      ]);
      this.announce(services);
      this.partial = false;
      this.status = status;
      this.services = new Map(services.map((service) => [keyOf(service), service]));
      this.incidents = incidents;
      this.load = { state: 'ready' };
    } catch (error) {
      if (signal.aborted) return;
      // What came before the failure is not the fleet.
      if (this.partial) this.load = { state: 'loading' };
      // Once something is shown, the banner of the lost connection says enough.
      if (this.load.state !== 'ready') this.load = { state: 'failed', ...describe(error) };
    }
  }

  /** At the very first load, rows are shown as their pages arrive. */
  private show(sofar: readonly Service[]): void {
    if (this.load.state === 'ready' && !this.partial) return;
    this.services = merged(new Map(), sofar);
    this.partial = true;
    this.load = { state: 'ready' };
  }

  private onConnection(connection: Connection, retryAt: number | null): void {
    const back = connection === 'live' && this.connection === 'lost';
    this.connection = connection;
    this.retryAt = retryAt;
    if (back) void this.reload();
  }

  private onEvent(event: StreamEvent): void {
    if (event.type === 'reset') return void this.reload();
    let body: unknown;
    try {
      body = JSON.parse(event.data);
    } catch {
      return;
    }
    if (event.type === 'status') this.status = body as Status;
    else if (event.type === 'incident') this.putIncident(body as Incident);
    else if (event.type === 'services') this.putServices((body as { services: Service[] }).services);
  }

  private putIncident(incident: Incident): void {
    const others = this.incidents.filter((known) => known.id !== incident.id);
    this.incidents = [incident, ...others].sort((a, b) => b.id - a.id);
  }

  private putServices(changed: readonly Service[]): void {
    for (const service of changed) this.pending.set(keyOf(service), service);
    this.mergeTimer ??= setTimeout(() => {
      this.mergeTimer = undefined;
      const rows = [...this.pending.values()];
      this.pending.clear();
      this.announce(rows);
      this.services = merged(this.services, rows);
    }, MERGE_EVERY_MS);
  }

  private announce(changed: readonly Service[]): void {
    if (this.load.state !== 'ready' || this.partial) return;
    const names = newlyLeaking(this.services, changed).map((service) => service.name);
    if (names.length > 0) this.alarm = `${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} leaking`;
  }
}

export const world = new World();
