// A shop that never forgets: writes V8 heap snapshots of itself as it grows. `node shop.js SESSIONS FILE [SESSIONS FILE]...`:
// when it holds so many sessions it writes that file. Many small objects of the kinds that services have: maps, arrays, closures,
// dates, strings, listeners, promises that wait.
'use strict';

const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const v8 = require('node:v8');

const ORDERS = 3;
const LINES = 4;

class LineItem {
  constructor(sku, quantity, cents) {
    this.sku = sku;
    this.quantity = quantity;
    this.cents = cents + 0.5;
  }
}

class Order {
  constructor(number) {
    this.number = number;
    this.placedAt = new Date(1_700_000_000_000 + number);
    this.lines = [];
    for (let line = 0; line < LINES; line += 1) this.lines.push(new LineItem(`sku-${(number * 7 + line) % 5_000}`, line, number % 997));
  }
}

class Session {
  constructor(number) {
    this.user = `user-${number % 10_000}@example.com`;
    this.token = number.toString(36).padStart(24, 'x');
    this.orders = [];
    for (let order = 0; order < ORDERS; order += 1) this.orders.push(new Order(number * ORDERS + order));
    this.seen = new Set([`page-${number % 300}`]);
    this.settings = { theme: number % 2 ? 'dark' : 'light', language: 'en', currency: 'EUR' };
  }
}

const sessions = new Map();
const bus = new EventEmitter().setMaxListeners(0);
const auditTrail = [];
const pending = new Map();

function open(number) {
  const session = new Session(number);
  sessions.set(`sid-${number}`, session);
  if (number % 3 === 0) bus.on('stock-change', (sku) => session.seen.add(sku));
  if (number % 5 === 0) auditTrail.push(() => session.user);
  if (number % 7 === 0) waitFor(session, number);
}

async function waitFor(session, number) {
  await new Promise((resolve) => { pending.set(number, resolve); });
  session.settings.reserved = true;
}

const steps = process.argv.slice(2);
for (let step = 0; step < steps.length; step += 2) {
  while (sessions.size < Number(steps[step])) open(sessions.size);
  const written = v8.writeHeapSnapshot(`${steps[step + 1]}.part`);
  fs.renameSync(written, steps[step + 1]);
}
process.exit(0);
