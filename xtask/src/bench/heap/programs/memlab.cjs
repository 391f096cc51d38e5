// What memlab does of a snapshot before it is asked anything: parse, dominators and retained sizes, shortest paths; then the
// classes with count and bytes. Prints one line of JSON.
'use strict';

const { getFullHeapFromFile } = require('@memlab/heap-analysis');

async function main(file) {
  const heap = await getFullHeapFromFile(file);
  const classes = new Map();
  let nBytes = 0;
  heap.nodes.forEach((node) => {
    const name = node.type === 'object' || node.type === 'native' ? node.name : `(${node.type})`;
    const seen = classes.get(name) ?? { count: 0, self: 0, retained: 0 };
    seen.count += 1;
    seen.self += node.self_size;
    seen.retained += node.retainedSize;
    classes.set(name, seen);
    nBytes += node.self_size;
  });
  process.stdout.write(`${JSON.stringify({
    nodes: heap.nodes.length,
    total_bytes: nBytes,
    root_retained_bytes: heap.nodes.get(0).retainedSize,
    classes: classes.size,
  })}\n`);
  process.exit(0);
}

main(process.argv[2]);
