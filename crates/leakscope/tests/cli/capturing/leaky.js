// A service that keeps what it should drop, for tests of the capture loop. It tells its memory at `/status/memory`.
// `--limit BYTES` is the memory limit that it tells; `--freeze-at N` stops the process when leakscope attaches for the Nth time.
'use strict';

const { execFileSync } = require('node:child_process');
const http = require('node:http');

const KEPT_EVERY_MS = 100;
const ORDERS = 4;
const ORDER_NUMBERS = 8192;

const flag = (name) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : Number(process.argv[at + 1]);
};
const limit = flag('--limit');
const freezeAt = flag('--freeze-at');

const orders = [];

function keepOrders() {
  for (let nth = 0; nth < ORDERS; nth += 1) {
    const order = new Array(ORDER_NUMBERS);
    for (let index = 0; index < ORDER_NUMBERS; index += 1) order[index] = index;
    orders.push(order);
  }
}
setInterval(keepOrders, KEPT_EVERY_MS);

// What leakscope leaves in the process while it is attached is defined once an attachment: there the process stops itself,
// so that the answer is never sent.
const define = Object.defineProperty;
let attached = 0;
Object.defineProperty = (object, key, descriptor) => {
  const defined = define(object, key, descriptor);
  if (key === Symbol.for('leakscope.inspector')) {
    attached += 1;
    // `process.kill` of its own number would say goodbye to the inspector before.
    if (attached === freezeAt) execFileSync('kill', ['-s', 'STOP', `${process.pid}`]);
  }
  return defined;
};

const startTime = Date.now() / 1000 - process.uptime();
const server = http.createServer((_, response) => {
  const { rss, heapUsed } = process.memoryUsage();
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify({ memory_usage: rss, heap_size: heapUsed, start_time: startTime, limit }));
});
server.listen(0, '127.0.0.1', () => console.error(`listening on http://127.0.0.1:${server.address().port}`));

// A test that dies leaves no orphan.
process.stdin.on('end', () => process.exit(0)).resume();
