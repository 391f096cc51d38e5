// Runs in the target once: starts V8's sampling heap profiler in a session inside of the process, so that it goes on without
// a connection. It stops by itself after `beats` beats of `beat_ms` in which nobody has read.
(options) => {
  const load = typeof process.getBuiltinModule === 'function' ? process.getBuiltinModule : require;
  const inspector = load('inspector');
  const timers = load('timers');
  const key = Symbol.for('leakscope.sampling');
  const stop = (state) => {
    timers.clearInterval(state.heart);
    state.session.disconnect();
    delete globalThis[key];
  };
  // One that somebody stopped meanwhile.
  if (globalThis[key]) stop(globalThis[key]);
  const state = { beats: 0, session: new inspector.Session() };
  state.session.connect();
  let refused = null;
  state.session.post('HeapProfiler.startSampling', { samplingInterval: options.interval }, (error) => { refused = error; });
  if (refused) {
    state.session.disconnect();
    return String(refused.message);
  }
  state.heart = timers.setInterval(() => {
    state.beats += 1;
    if (state.beats >= options.beats) stop(state);
  }, options.beat_ms).unref();
  Object.defineProperty(globalThis, key, { value: state, configurable: true });
  return null;
}
