// Writes a snapshot of a program that leaks, taken while V8 tracks allocations, to the file that is named.
'use strict';
const fs = require('node:fs');
const inspector = require('node:inspector');
const session = new inspector.Session();
session.connect();
const chunks = [];
session.on('HeapProfiler.addHeapSnapshotChunk', (message) => chunks.push(message.params.chunk));
session.post('HeapProfiler.startTrackingHeapObjects', { trackAllocations: true });

class Ticket { constructor(number) { this.text = `ticket ${number} `.repeat(20) + number; } }
const tickets = new Map();
function sellTicket(number) {
  tickets.set(number, new Ticket(number));
}
for (let number = 0; number < 20000; number += 1) sellTicket(number);

session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false }, () => {
  fs.writeFileSync(process.argv[2], chunks.join(''));
  process.exit(0);
});
