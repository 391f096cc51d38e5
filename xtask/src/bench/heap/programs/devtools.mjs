// Loads a snapshot into Chrome DevTools' own engine, as its two workers do, and asks for what its summary shows: classes with
// their retained sizes. Bundled by esbuild with `chrome-devtools-frontend` from npm. Prints one line of JSON.
import fs from 'node:fs';
import { Worker, isMainThread, workerData, MessageChannel } from 'node:worker_threads';
import { HeapSnapshotLoader } from 'chrome-devtools-frontend/front_end/entrypoints/heap_snapshot_worker/HeapSnapshotLoader.ts';
import { SecondaryInitManager } from 'chrome-devtools-frontend/front_end/entrypoints/heap_snapshot_worker/HeapSnapshot.ts';

const CHUNK_BYTES = 10 * 1024 * 1024;

async function main(file) {
  const channel = new MessageChannel();
  const second = new Worker(process.argv[1], { workerData: { port: channel.port2 }, transferList: [channel.port2], resourceLimits: { maxOldGenerationSizeMb: 12000 } });
  const loader = new HeapSnapshotLoader({ sendEvent: () => {} });
  const decoder = new TextDecoder();
  const descriptor = fs.openSync(file, 'r');
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (;;) {
    const length = fs.readSync(descriptor, buffer);
    if (length === 0) break;
    loader.write(decoder.decode(buffer.subarray(0, length), { stream: true }));
    // The loader parses between two chunks, so that no more than one waits.
    await new Promise((resolve) => { setImmediate(resolve); });
  }
  loader.write(decoder.decode());
  loader.close();
  const snapshot = await loader.buildSnapshot(channel.port1);
  const aggregates = Object.values(snapshot.aggregatesWithFilter({}));
  const root = snapshot.createNode(snapshot.rootNodeIndex);
  process.stdout.write(`${JSON.stringify({
    nodes: snapshot.nodeCount,
    total_bytes: snapshot.totalSize,
    root_retained_bytes: root.retainedSize(),
    classes: aggregates.map((aggregate) => ({
      name: aggregate.name, count: aggregate.count, self_bytes: aggregate.self, retained_bytes: aggregate.maxRet,
    })),
  })}\n`);
  await second.terminate();
  process.exit(0);
}

if (isMainThread) await main(process.argv[2]);
else new SecondaryInitManager(workerData.port);
