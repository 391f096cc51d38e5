// Targets as data: health, filter, groups by job. Pure functions.
import type { Target } from './api-types';

export type Health = 'up' | 'down' | 'unknown';

export const health = (target: Target): Health => (target.up === null ? 'unknown' : target.up ? 'up' : 'down');

/** Every word must occur in what identifies the target, in its labels or in its error. */
export function matchesTarget(target: Target, text: string): boolean {
  if (text === '') return true;
  const labels = Object.entries(target.labels).map(([key, value]) => `${key}=${value}`);
  const hay = [target.job, target.instance, target.service, target.runtime, target.last_error ?? '', ...labels].join(' ').toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => hay.includes(word));
}

export interface Job { name: string; nUp: number; targets: Target[] }

/** By job in order of name; within a job, targets that are down come first. */
export function groups(targets: readonly Target[]): Job[] {
  const jobs = new Map<string, Job>();
  for (const target of targets) {
    const job = jobs.get(target.job) ?? { name: target.job, nUp: 0, targets: [] };
    if (target.up) job.nUp += 1;
    job.targets.push(target);
    jobs.set(target.job, job);
  }
  const sorted = [...jobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const job of sorted) job.targets.sort((a, b) => Number(a.up !== false) - Number(b.up !== false));
  return sorted;
}
