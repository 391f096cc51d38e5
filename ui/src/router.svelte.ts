// The address in force, as reactive state.
import { href, parse, type Address, type Route } from './route';

class Router {
  address = $state.raw<Address>(parse(location.hash));
  /** The fleet's address with the filter and order it was left with. */
  lastFleet = href({ page: 'fleet' });

  constructor() {
    addEventListener('hashchange', () => this.read());
    addEventListener('popstate', () => this.read());
    this.read();
  }

  param(name: string): string | null {
    return this.address.params.get(name);
  }

  /** A new page: Back returns from it. */
  go(hash: string): void {
    location.hash = hash;
  }

  /** A changed view of the same page: replaces the entry, so that Back leaves the page. */
  set(changes: Record<string, string | null>): void {
    const params = new URLSearchParams(this.address.params);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === '') params.delete(key);
      else params.set(key, value);
    }
    history.replaceState(history.state, '', href(this.address.route, params));
    this.read();
  }

  is(page: Route['page']): boolean {
    return this.address.route.page === page;
  }

  private read(): void {
    this.address = parse(location.hash);
    if (this.address.route.page === 'fleet') this.lastFleet = href(this.address.route, this.address.params);
  }
}

export const router = new Router();
