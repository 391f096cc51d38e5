// Runs in the target at the end of a connection: an inspector that we opened closes once nobody is connected.
() => {
  globalThis[Symbol.for('leakscope.inspector')]?.leave();
  return true;
}
