// What the states of an incident mean.
import type { Incident } from './api-types';

/** Whether the service leaks as far as leakscope knows. */
export const isOpen = (incident: Incident): boolean => ['open', 'gathered', 'explained', 'acknowledged'].includes(incident.state);
