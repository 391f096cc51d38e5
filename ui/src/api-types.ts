// The shapes of the API, after crates/leakscope-wire: change both together.

export type State = 'too_early' | 'steady' | 'recovered' | 'suspect' | 'leaking';
export type Kind =
  | 'managed' | 'native' | 'tasks' | 'descriptors' | 'cache_fill' | 'load_growth' | 'fragmentation' | 'unknown';

/** An estimate with its 95 % interval; `high` is null when unbounded. */
export interface Interval { low: number; mid: number; high: number | null }

/** `level + per_hour × (t − from_ms)`, in the unit of the verdict's signal; real times. */
export interface Fit { from_ms: number; to_ms: number; level: number; per_hour: Interval }

export interface Verdict {
  state: State;
  /** At least 0; 1.0 is the alarm boundary. */
  score: number;
  kind: Kind;
  signal: string | null;
  growth_bytes_per_hour: Interval | null;
  growth_bytes_per_request: Interval | null;
  time_to_limit_s: Interval | null;
  since: string | null;
  fit: Fit | null;
  reasons: string[];
}

export interface Service {
  name: string;
  version: string | null;
  runtime: string;
  replicas: number;
  replicas_up: number;
  verdict: Verdict;
  worst_target: string;
  memory_bytes: number | null;
  limit_bytes: number | null;
  sparkline: number[];
  incident: number | null;
}
export interface Services { services: Service[]; next_cursor: string | null }
export interface ServiceDetail { service: Service; replicas: Target[] }

/** A service's own opinion of its memory: shown, never trusted. */
export interface Opinion { leak_score: number | null; status: string | null }

export interface Target {
  id: string;
  job: string;
  instance: string;
  service: string;
  version: string | null;
  runtime: string;
  labels: Record<string, string>;
  /** null before the first scrape. */
  up: boolean | null;
  last_scrape_at: string | null;
  last_duration_ms: number | null;
  last_error: string | null;
  interval_s: number;
  /** The last value of each signal, in the signal's unit. */
  signals: Record<string, number>;
  verdict: Verdict;
  opinion: Opinion | null;
}
export interface Targets { targets: Target[]; next_cursor: string | null }

export type Unit = 'bytes' | 'count' | 'counter' | 'unix_seconds';
export interface Series { signal: string; unit: Unit; points: [ms: number, value: number][] }
export interface SeriesSet { target: string; series: Series[] }

export type IncidentState = 'open' | 'gathered' | 'explained' | 'acknowledged' | 'recovered' | 'verified' | 'closed';
export interface Transition { at: string; to: string; cause: string }
export interface CaptureCost { duration_s: number; pause_s: number; memory_bytes: number; size_bytes: number }
export interface Capture {
  id: number;
  kind: string;
  target: string;
  service: string;
  instance: string;
  phase: 'baseline' | 'early' | 'middle' | 'late' | 'asked';
  incident: number | null;
  state: 'refused' | 'running' | 'stored' | 'failed' | 'cancelled' | 'expired';
  began_at: string;
  ended_at: string | null;
  predicted: CaptureCost;
  cost: CaptureCost | null;
  digest: string | null;
  redacted: boolean;
  note: string;
}
export interface PathStep { edge: string; name: string; id: number }
export interface Frame { function: string; file: string | null; line: number | null }
export interface Location { file: string; line: number; column: number | null }
export interface Suspect {
  title: string;
  kind: string;
  name: string;
  bytes: number;
  count: number;
  share: number;
  path: PathStep[];
  stack: Frame[];
  location: Location | null;
  confidence: number;
  reason: string;
  identity: string;
  growth_bytes: number | null;
  growth_count: number | null;
  grew_in_every_step: boolean | null;
}
export interface Incident {
  id: number;
  service: string;
  targets: string[];
  state: IncidentState;
  kind: Kind;
  score: number;
  opened_at: string;
  transitions: Transition[];
  captures: Capture[];
  suspects: Suspect[];
}
export interface Incidents { incidents: Incident[]; next_cursor: string | null }

export interface StateCounts { leaking: number; suspect: number; recovered: number; steady: number; too_early: number }
export interface StorageStatus { writable: boolean; reason: string | null; bytes: number; dropped_samples: number }
export interface Status {
  version: string;
  started_at: string;
  /** Seconds of the detector's clock per real second; 1 outside of demonstrations and recordings. */
  time_scale: number;
  targets: number;
  targets_up: number;
  services: StateCounts;
  memory_bytes: number;
  storage: StorageStatus;
  config_reloaded: boolean | null;
  config_error: string | null;
}

/** An error body after RFC 9457. */
export interface Problem { type: string; title: string; status: number; detail: string; instance: string }
