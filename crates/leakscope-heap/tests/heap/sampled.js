// Holds memory in named functions and writes the sampling heap profile while it is held.
const { Session } = require('node:inspector');
const { writeFileSync } = require('node:fs');

const held = [];
function remember(i) {
  held.push({ id: i, text: Buffer.alloc(0), parts: new Array(100).fill(i) });
}
function serve(n) {
  for (let i = 0; i < n; i++) remember(i);
}
const session = new Session();
session.connect();
session.post('HeapProfiler.startSampling', { samplingInterval: 32768 });
serve(20000);
(() => { held.push(new Array(50000).fill(0.5)); })();
session.post('HeapProfiler.getSamplingProfile', (error, answer) => {
  if (error) throw error;
  writeFileSync(process.argv[2], JSON.stringify(process.argv[3] === 'wrapped' ? answer : answer.profile));
});
