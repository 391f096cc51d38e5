//! Runs one test in a process of its own: for figures of the whole process, which tests beside it would move.

use std::process::Command;

/// Set in the process that runs one test only.
const MARK: &str = "LEAKSCOPE_TEST_ALONE";

/// Runs `body` in a new process of this very test binary; `name` is the test's full name.
pub(crate) fn alone<F: Future<Output = ()>>(name: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(MARK).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(body());
    }
    let binary = std::env::current_exe().unwrap();
    let output = Command::new(binary).args(["--exact", name, "--nocapture"]).env(MARK, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "`{name}` is not the name of one test: {said}");
}

/// A field of `/proc/self/status` in bytes: `VmRSS`, `VmHWM`.
pub(crate) fn own_memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
