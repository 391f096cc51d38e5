//! Our own flight recording in a JVM: objects that grow old, and nothing else. It ends by itself, and other recordings are let alone.

use std::time::Duration;

use leakscope_model::Timestamp;

/// What its name begins with; the second at which it ends follows, since `JFR.check` does not tell.
const PREFIX: &str = "leakscope-until-";
/// How long it records unless it is renewed. A JVM cannot forget a recording that ended by itself, so it is renewed well before.
const LASTS: Duration = Duration::from_hours(7 * 24);
/// What is left of it when it is renewed.
const RENEWED_BEFORE: Duration = Duration::from_hours(3 * 24);

/// A recording of ours that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recording {
    /// Unix seconds.
    ends_at: i64,
}

impl Recording {
    /// One that begins now.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { ends_at: now.plus(LASTS).as_millis() / 1_000 }
    }

    /// The one of ours that runs the longest, of what `JFR.check` answers: `Recording 1: name=leakscope-until-1 duration=168h (running)`,
    /// before JDK 17 `Recording: recording=1 name="leakscope-until-1" (running)`.
    pub(super) fn running(checked: &str) -> Option<Self> {
        let lines =
            checked.lines().map(str::trim).filter(|line| line.starts_with("Recording") && line.ends_with("(running)"));
        let names = lines.filter_map(|line| line.split_ascii_whitespace().find_map(|word| word.strip_prefix("name=")));
        let ends = names.filter_map(|name| name.trim_matches('"').strip_prefix(PREFIX)?.parse().ok());
        ends.max().map(|ends_at| Self { ends_at })
    }

    pub(super) fn name(self) -> String {
        format!("{PREFIX}{}", self.ends_at)
    }

    /// Whether its end is near.
    pub(super) fn needs_renewal(self, now: Timestamp) -> bool {
        now.plus(RENEWED_BEFORE).as_millis() / 1_000 > self.ends_at
    }

    /// The command that starts it. What holds the objects is looked for when it is dumped and asked for, and not at its end, since
    /// that stops the JVM; a minute of chunks is more than the one dump needs.
    pub(super) fn start(self) -> String {
        format!(
            "JFR.start name={} settings=none duration={}h maxage=10m maxsize=32m +jdk.OldObjectSample#enabled=true \
             +jdk.OldObjectSample#stackTrace=true",
            self.name(),
            LASTS.as_secs() / 3_600
        )
    }

    /// The command that writes it to a file.
    pub(super) fn dump(self, path: &str, finds_paths: bool) -> String {
        format!("JFR.dump name={} path-to-gc-roots={finds_paths} filename={path}", self.name())
    }

    /// The command that ends it.
    pub(super) fn stop(self) -> String {
        format!("JFR.stop name={}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_recording_is_known_among_others() {
        for (checked, ends_at) in [
            ("No available recordings.\n\nUse jcmd 24244 JFR.start to start a recording.", None),
            ("Recording 1: name=leakscope duration=20s maxsize=32.0MB maxage=10m (running)", None),
            ("Recording 1: name=leakscope-until-17 duration=168h (stopped)", None),
            (
                "Recording 1: name=profile (running)\n\nRecording 2: name=leakscope-until-17 duration=168h (running)",
                Some(17),
            ),
            (
                "Recording: recording=1 name=\"leakscope-until-18\" (running)\nRecording 3: name=leakscope-until-17 (running)",
                Some(18),
            ),
            ("Recording 2: name=leakscope-until- (running)\nRecording 2: name=leakscope-until-1x (running)", None),
        ] {
            assert_eq!(Recording::running(checked), ends_at.map(|ends_at| Recording { ends_at }), "{checked}");
        }
    }

    #[test]
    fn a_recording_is_renewed_before_it_ends() {
        let began = Timestamp::from_millis(1_000_000);
        let recording = Recording::new(began);
        assert!(!recording.needs_renewal(began.plus(Duration::from_hours(95))));
        assert!(recording.needs_renewal(began.plus(Duration::from_hours(97))));
    }
}
