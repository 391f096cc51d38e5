// Small ties to the browser that several components share.

export const reducedMotion = (): boolean => matchMedia('(prefers-reduced-motion: reduce)').matches;

/** Whether keys typed there are text and not commands. */
export function takesText(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest('input, textarea, select, [contenteditable]') !== null;
}

/** Svelte action: tints the element briefly when the value it was given changes. */
export function flash(element: HTMLElement, value: string): { update(value: string): void } {
  let shown = value;
  return {
    update(next: string): void {
      if (next === shown) return;
      shown = next;
      if (reducedMotion()) return;
      element.animate([{ backgroundColor: 'var(--flash)' }, { backgroundColor: 'transparent' }], { duration: 1200, easing: 'ease-out' });
    },
  };
}

/** The value of a CSS colour variable as the canvas understands it. */
export function cssColour(name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
