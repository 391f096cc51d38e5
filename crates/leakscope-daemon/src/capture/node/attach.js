// Runs in the target at the beginning of each connection. Says which process this is, and whether it samples for us.
// Where we opened the inspector, it sees to it that the inspector closes when nobody uses it any more, whatever becomes
// of us: after `beats` beats of `beat_ms` without a new connection of ours, or when told to leave, and only once no
// connection is left. `inspector.close()` stops the whole process until all clients have said goodbye, and a frozen
// client never does: the kernel's table of connections is asked first. A process that is itself stopped counts no beats.
(options) => {
  const sampling = globalThis[Symbol.for('leakscope.sampling')];
  if (sampling) sampling.beats = 0;
  const key = Symbol.for('leakscope.inspector');
  let state = globalThis[key];
  if (state) {
    state.beats = 0;
    state.leaving = false;
  } else if (options.opened) {
    const load = typeof process.getBuiltinModule === 'function' ? process.getBuiltinModule : require;
    const fs = load('fs');
    const inspector = load('inspector');
    const timers = load('timers');
    const url = inspector.url();
    const port = Number(/:(\d+)\//.exec(url)[1]).toString(16).toUpperCase().padStart(4, '0');
    const established = new RegExp(`:${port} [0-9A-F]+:[0-9A-F]+ 01 `);
    const connected = (answer) => {
      fs.readFile('/proc/self/net/tcp', 'latin1', (error, tcp) => {
        fs.readFile('/proc/self/net/tcp6', 'latin1', (_, tcp6) => answer(Boolean(error) || established.test(tcp) || established.test(tcp6 ?? '')));
      });
    };
    const closeWhenAlone = (delay) => connected((busy) => {
      if (!state.leaving) return;
      if (busy) {
        timers.setTimeout(closeWhenAlone, delay, Math.min(delay * 2, 5000)).unref();
        return;
      }
      timers.clearInterval(state.heart);
      delete globalThis[key];
      if (inspector.url() === url) inspector.close();
    });
    state = { beats: 0, leaving: false };
    state.leave = () => {
      if (state.leaving) return;
      state.leaving = true;
      closeWhenAlone(20);
    };
    state.heart = timers.setInterval(() => {
      state.beats += 1;
      if (state.beats >= options.beats) state.leave();
    }, options.beat_ms).unref();
    Object.defineProperty(globalThis, key, { value: state, configurable: true });
  }
  const address = (handle) => typeof handle.address === 'function' && handle.listening && handle.address();
  const ports = options.port ? process._getActiveHandles().map((handle) => address(handle)?.port) : [];
  return { pid: process.pid, sampling: Boolean(sampling), ours: Boolean(state), serves: ports.includes(options.port) };
}
