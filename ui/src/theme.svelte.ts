// Light and dark: the system's wish unless the reader chose; the choice is kept in this browser.

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'leakscope.theme';
const NEXT: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' };

class ThemeChoice {
  choice = $state<Theme>(stored());
  /** Counts changes, so that canvases know when to ask for their colours again. */
  revision = $state(0);

  constructor() {
    this.apply();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => (this.revision += 1));
  }

  next(): void {
    this.choice = NEXT[this.choice];
    try {
      localStorage.setItem(KEY, this.choice);
    } catch {
      // Storage may be forbidden; then the choice lasts as long as the page.
    }
    this.apply();
  }

  private apply(): void {
    if (this.choice === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.choice;
    this.revision += 1;
  }
}

function stored(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch {
    return 'system';
  }
}

export const theme = new ThemeChoice();
