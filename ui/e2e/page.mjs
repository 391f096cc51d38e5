// The page in a real browser, against a running leakscope (or the mock): waits for conditions, never sleeps.
// usage: node e2e/page.mjs --url URL [--expect-leaking NAME[,NAME]] [--screenshots DIR] [--timeout-s 180] [--chromium PATH]
import { mkdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: args } = parseArgs({
  options: {
    url: { type: 'string' },
    'expect-leaking': { type: 'string', default: '' },
    screenshots: { type: 'string' },
    'timeout-s': { type: 'string', default: '180' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!args.url) {
  console.error('usage: node e2e/page.mjs --url URL [--expect-leaking NAME[,NAME]] [--screenshots DIR] [--timeout-s 180] [--chromium PATH]');
  process.exit(2);
}
const EXPECTED = args['expect-leaking'].split(',').filter(Boolean);
const TIMEOUT_MS = Number(args['timeout-s']) * 1000;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const base = args.url.endsWith('/') ? args.url : `${args.url}/`;

const results = { passed: 0, failed: 0 };
async function check(what, run) {
  try {
    const note = await run();
    results.passed += 1;
    console.log(`ok    ${what}${note ? `: ${note}` : ''}`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAIL  ${what}: ${error instanceof Error ? error.message.split('\n').slice(0, 6).join('\n      ') : error}`);
  }
}
function hold(condition, message) {
  if (!condition) throw new Error(message);
}

const complaints = [];
const foreign = [];
function listen(page, where) {
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${where}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`${where}: ${error.message}`));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== new URL(base).origin) foreign.push(request.url());
  });
}

async function open(browser, where, options) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, bypassCSP: false, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  listen(page, where);
  return page;
}

const go = (page, hash) => page.goto(base + hash, { waitUntil: 'domcontentloaded' });
const rowOf = (name, state) => `tr[data-service="${name}"]${state ? `[data-state="${state}"]` : ''}`;
const fleetReady = (page) => page.waitForSelector('table[aria-label="Services"] tbody tr[data-service]', { timeout: TIMEOUT_MS });
const chartReady = (page) => page.waitForSelector('[data-chart="drawn"] canvas', { timeout: TIMEOUT_MS });

async function shot(page, name) {
  if (!args.screenshots) return;
  await mkdir(args.screenshots, { recursive: true });
  await page.screenshot({ path: join(args.screenshots, `${name}.png`), fullPage: (await page.evaluate('document.body.scrollHeight')) < 4000 });
}

async function noSidewaysScroll(page) {
  const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  hold(content <= window, `the page is ${content} px wide in a window of ${window} px`);
}

/** axe runs through the debugger, which the page's content policy does not bind. */
async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const bad = violations.filter((violation) => ['serious', 'critical'].includes(violation.impact));
  hold(bad.length === 0, bad.map((v) => `${v.id} (${v.nodes.length}): ${v.help}, first at ${v.nodes[0].target} ${v.nodes[0].failureSummary?.split('\n')[1] ?? ''}`).join('\n'));
  return violations.length > 0 ? `minor: ${violations.map((violation) => violation.id).join(', ')}` : '';
}

async function desktop(browser) {
  const page = await open(browser, 'desktop light', { colorScheme: 'light' });
  await check('the fleet shows services', async () => {
    await go(page, '#/');
    await fleetReady(page);
  });
  for (const name of EXPECTED) {
    await check(`${name} is shown as leaking`, () => page.waitForSelector(rowOf(name, 'leaking'), { timeout: TIMEOUT_MS }).then(() => ''));
  }
  await check('the page is live', () => page.waitForSelector('.link.live').then(() => ''));
  if (EXPECTED.length > 0) {
    await check('the title counts the leaking services', async () => {
      await page.waitForFunction((n) => Number(/^\((\d+)\) leakscope/.exec(document.title)?.[1] ?? 0) >= n, EXPECTED.length);
      return page.title();
    });
  }
  await check('axe on the fleet', () => axe(page));
  await shot(page, 'fleet-light');
  await keyboard(page);
  await filter(page);
  await service(page, 'light');
  for (const name of ['targets', 'incidents']) {
    await check(`the page ${name} shows its rows`, async () => {
      await go(page, `#/${name}`);
      await page.waitForSelector(name === 'targets' ? 'section table tbody tr' : 'main ol > li, main .box', { timeout: TIMEOUT_MS });
    });
    await check(`axe on ${name}`, () => axe(page));
    await shot(page, `${name}-light`);
  }
  await page.context().close();
}

async function keyboard(page) {
  await check('j, Enter and Esc open the first row and come back', async () => {
    await page.keyboard.press('j');
    await page.waitForFunction(() => document.activeElement?.closest('tr[data-service]') !== null);
    const name = await page.evaluate(() => document.activeElement.closest('tr').dataset.service);
    await page.keyboard.press('Enter');
    await page.waitForFunction((wanted) => document.querySelector('h1')?.textContent === wanted, name);
    await page.keyboard.press('Escape');
    await fleetReady(page);
    return name;
  });
  await check('? shows the keys, Esc hides them', async () => {
    await page.keyboard.press('?');
    await page.waitForSelector('dialog[open]');
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog[open]', { state: 'hidden' });
  });
}

async function filter(page) {
  await check('/ goes to the filter, which narrows the table and is in the address', async () => {
    const name = EXPECTED[0] ?? (await page.getAttribute('tr[data-service]', 'data-service'));
    await page.keyboard.press('/');
    await page.keyboard.type(name);
    await page.waitForFunction((n) => [...document.querySelectorAll('tr[data-service]')].every((row) => row.dataset.service.includes(n)), name);
    hold(page.url().includes('q='), `the address is ${page.url()}`);
    await page.keyboard.press('Control+a');
    await page.keyboard.press('Delete');
    await page.keyboard.press('Escape');
  });
  await check('a click on a column sorts by it', async () => {
    await page.click('th.c-memory button');
    await page.waitForSelector('th.c-memory[aria-sort="descending"]');
    await page.click('th.c-state button');
    await page.waitForSelector('th.c-state[aria-sort="descending"]');
  });
}

async function service(page, name) {
  await check(`a service page draws its chart (${name})`, async () => {
    await go(page, '#/');
    await fleetReady(page);
    await page.click(`${EXPECTED[0] ? rowOf(EXPECTED[0]) : 'tr[data-service]'} a`);
    await chartReady(page);
  });
  await check(`the service page says why (${name})`, async () => {
    await page.waitForSelector('.why li');
    return page.textContent('.sentence');
  });
  await check(`axe on the service page (${name})`, () => axe(page));
  await shot(page, `service-${name}`);
  await check(`dragging over the chart zooms, the button resets (${name})`, async () => {
    const box = await page.locator('.u-over').boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + 80, { steps: 5 });
    await page.mouse.up();
    await page.waitForFunction(() => location.hash.includes('from='));
    await page.click('text=Reset zoom');
    await page.waitForFunction(() => !location.hash.includes('from='));
  });
}

async function dark(browser) {
  const page = await open(browser, 'desktop dark', { colorScheme: 'dark', viewport: { width: 1600, height: 1000 } });
  await check('the fleet in dark', async () => {
    await go(page, '#/');
    await fleetReady(page);
  });
  await check('axe on the fleet in dark', () => axe(page));
  await shot(page, 'fleet-dark');
  await service(page, 'dark');
  await page.context().close();
}

async function narrow(browser) {
  const page = await open(browser, '360 px', { colorScheme: 'light', viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await check('the fleet at 360 px', async () => {
    await go(page, '#/');
    await fleetReady(page);
    await noSidewaysScroll(page);
  });
  await check('axe on the fleet at 360 px', () => axe(page));
  await shot(page, 'fleet-360');
  await check('a service at 360 px', async () => {
    await page.click(`${EXPECTED[0] ? rowOf(EXPECTED[0]) : 'tr[data-service]'} a`);
    await chartReady(page);
    await noSidewaysScroll(page);
  });
  await check('axe on the service at 360 px', () => axe(page));
  await shot(page, 'service-360');
  for (const name of ['targets', 'incidents']) {
    await check(`the page ${name} at 360 px`, async () => {
      await go(page, `#/${name}`);
      await page.waitForSelector(name === 'targets' ? 'section table tbody tr' : 'main ol > li, main .box');
      await noSidewaysScroll(page);
    });
    await shot(page, `${name}-360`);
  }
  await page.context().close();
}

/** A lost connection is said, and healed without a reload. */
async function outage(browser) {
  const page = await open(browser, 'outage', {});
  const before = complaints.length;
  await check('a lost connection is shown and heals by itself', async () => {
    await go(page, '#/');
    await fleetReady(page);
    await page.waitForSelector('.link.live');
    let calls = 0;
    await page.route('**/api/v1/events', (route) => ((calls += 1) < 4 ? route.abort() : route.continue()));
    await page.reload();
    await page.waitForSelector('.link.lost');
    await page.waitForSelector('.strip.bad');
    await page.waitForSelector('.link.live');
  });
  await check('an API that does not answer gives an error with a way to try again', async () => {
    await page.route('**/api/v1/services?*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ type: '/problems/x', title: 'Store is opening', status: 503, detail: 'recovery at 40 %', instance: '/' }) }));
    await page.reload();
    await page.waitForSelector('[role="alert"] >> text=recovery at 40 %');
    await page.unroute('**/api/v1/services?*');
    await page.click('text=Try again');
    await fleetReady(page);
  });
  complaints.splice(before);
  await page.context().close();
}

const browser = await chromium.launch({ executablePath: args.chromium, args: FLAGS });
try {
  await desktop(browser);
  await dark(browser);
  await narrow(browser);
  await outage(browser);
  await check('no error and no warning on the console', () => hold(complaints.length === 0, complaints.slice(0, 8).join('\n')));
  await check('no request to anyone else', () => hold(foreign.length === 0, foreign.slice(0, 8).join('\n')));
} finally {
  await browser.close();
}
console.log(`${results.passed} passed, ${results.failed} failed`);
process.exit(results.failed === 0 ? 0 : 1);
