// Addresses: the hash holds the page and its whole view state, so that any view can be shared.

export type Route =
  | { page: 'fleet' }
  | { page: 'service'; name: string }
  | { page: 'targets' }
  | { page: 'incidents' }
  | { page: 'unknown'; path: string };

export interface Address { route: Route; params: URLSearchParams }

/** Reads a location hash such as `#/service/cart?range=6h`. Any text gives an address. */
export function parse(hash: string): Address {
  const text = hash.replace(/^#/, '');
  const mark = text.indexOf('?');
  const path = mark < 0 ? text : text.slice(0, mark);
  return { route: routeOf(path), params: new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1)) };
}

function routeOf(path: string): Route {
  const [head, ...rest] = path.replace(/^\//, '').split('/');
  if ((head ?? '') === '') return { page: 'fleet' };
  if (head === 'targets' && rest.length === 0) return { page: 'targets' };
  if (head === 'incidents' && rest.length === 0) return { page: 'incidents' };
  if (head === 'service' && rest.length > 0 && rest[0] !== '') return { page: 'service', name: decoded(rest.join('/')) };
  return { page: 'unknown', path };
}

/** A hand-typed `%` must not break the page. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The address of a page as a hash; empty and null parameters are left out. */
export function href(route: Route, params: Record<string, string | null | undefined> | URLSearchParams = {}): string {
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const set = new URLSearchParams();
  for (const [key, value] of entries) if (value !== null && value !== undefined && value !== '') set.append(key, value);
  const text = set.toString();
  return `#${pathOf(route)}${text === '' ? '' : `?${text}`}`;
}

export const serviceHref = (name: string, version: string | null): string => href({ page: 'service', name }, { version });

function pathOf(route: Route): string {
  switch (route.page) {
    case 'fleet': return '/';
    case 'service': return `/service/${encodeURIComponent(route.name)}`;
    case 'targets': return '/targets';
    case 'incidents': return '/incidents';
    case 'unknown': return route.path;
  }
}
