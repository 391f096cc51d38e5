//! `static_configs` and `file_sd_configs`: fixed lists, and lists in files that are read again when they change. A bad file keeps its last good list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use leakscope_model::Timestamp;

use super::{Discovered, SourceError};
use crate::config::{ScrapeJob, TargetGroup, glob, parse_target_file, read_text};

/// How often files are looked at (name, time, size); they are read only when that changed. A shorter `refresh_interval` wins.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// However long `refresh_interval` is, a file is read again at this interval: a change may keep time and size.
const READ_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// The targets that a job names itself.
pub(super) fn static_targets(job: &Arc<ScrapeJob>) -> Vec<Discovered> {
    of_groups(job, &job.config.static_configs, None)
}

/// Groups to addresses; `file` becomes `__meta_filepath`.
pub(super) fn of_groups(job: &Arc<ScrapeJob>, groups: &[TargetGroup], meta: Option<(&str, &str)>) -> Vec<Discovered> {
    let mut found = Vec::new();
    for group in groups {
        for address in &group.targets {
            let mut labels = group.labels.clone();
            if let Some((name, value)) = meta {
                labels.insert(name.to_owned(), value.to_owned());
            }
            found.push(Discovered { job: job.clone(), address: address.clone(), labels, local: None });
        }
    }
    found
}

/// One element of `file_sd_configs`, followed.
#[derive(Debug)]
pub(super) struct FileLists {
    job: Arc<ScrapeJob>,
    patterns: Vec<PathBuf>,
    refresh_interval: Duration,
    looked_at: Option<Timestamp>,
    lists: BTreeMap<PathBuf, FileList>,
    /// Folders that could not be listed.
    pattern_errors: Vec<SourceError>,
}

#[derive(Debug, Default)]
struct FileList {
    /// Time and size when it was last read.
    stamp: Option<(SystemTime, u64)>,
    read_at: Option<Timestamp>,
    groups: Vec<TargetGroup>,
    error: Option<String>,
}

impl FileLists {
    pub(super) fn of_job(job: &Arc<ScrapeJob>) -> Vec<Self> {
        let configs = job.config.file_sd_configs.iter();
        configs
            .map(|config| Self {
                job: job.clone(),
                patterns: config.files.clone(),
                refresh_interval: config.refresh_interval,
                looked_at: None,
                lists: BTreeMap::new(),
                pattern_errors: Vec::new(),
            })
            .collect()
    }

    /// Looks at the files if it is time to, and reads those that changed; `true` when a list or an error did. This reads files.
    pub(super) fn poll(&mut self, now: Timestamp) -> bool {
        let interval = self.refresh_interval.min(LOOK_INTERVAL);
        if self.looked_at.is_some_and(|last| now.since(last) < interval && now >= last) {
            return false;
        }
        self.looked_at = Some(now);
        let (paths, pattern_errors) = self.matching();
        let mut changed = pattern_errors != self.pattern_errors;
        self.pattern_errors = pattern_errors;
        let before = self.lists.len();
        // A list whose file is gone goes with it, unless its folder cannot be listed right now.
        if self.pattern_errors.is_empty() {
            self.lists.retain(|path, _| paths.contains(path));
        }
        changed |= self.lists.len() != before;
        for path in paths {
            let list = self.lists.entry(path.clone()).or_default();
            changed |= list.refresh(&path, now);
        }
        changed
    }

    fn matching(&self) -> (Vec<PathBuf>, Vec<SourceError>) {
        let (mut paths, mut errors) = (Vec::new(), Vec::new());
        for pattern in &self.patterns {
            match glob(pattern) {
                Ok(found) => paths.extend(found),
                Err(problem) => errors.push(self.error(pattern, problem.message)),
            }
        }
        (paths, errors)
    }

    pub(super) fn targets(&self) -> Vec<Discovered> {
        let mut found = Vec::new();
        for (path, list) in &self.lists {
            let name = path.display().to_string();
            found.extend(of_groups(&self.job, &list.groups, Some(("__meta_filepath", &name))));
        }
        found
    }

    pub(super) fn errors(&self) -> Vec<SourceError> {
        let of_lists = self.lists.iter().filter_map(|(path, list)| Some(self.error(path, list.error.clone()?)));
        of_lists.chain(self.pattern_errors.clone()).collect()
    }

    fn error(&self, path: &Path, reason: String) -> SourceError {
        SourceError { job: self.job.config.job_name.clone(), source: path.display().to_string(), reason }
    }
}

impl FileList {
    /// Reads the file if it changed, or was not read for long; `true` when groups or error differ from before.
    fn refresh(&mut self, path: &Path, now: Timestamp) -> bool {
        let stamp = std::fs::metadata(path).ok().and_then(|data| Some((data.modified().ok()?, data.len())));
        let recent = self.read_at.is_some_and(|last| now.since(last) < READ_INTERVAL_MAX && now >= last);
        if recent && stamp == self.stamp {
            return false;
        }
        (self.stamp, self.read_at) = (stamp, Some(now));
        let name = path.display().to_string();
        match read_text(path).and_then(|text| parse_target_file(&text, &name)) {
            Ok(groups) => {
                let changed = groups != self.groups || self.error.is_some();
                (self.groups, self.error) = (groups, None);
                changed
            }
            Err(problem) => {
                let place = if problem.line > 0 {
                    format!(" (line {}, column {})", problem.line, problem.column)
                } else {
                    String::new()
                };
                let reason = format!("{}{place}; the last good list is kept", problem.message);
                let changed = self.error.as_ref() != Some(&reason);
                self.error = Some(reason);
                changed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// Polls with a clock that jumps ahead until `wanted` holds; files are written by the test itself, so no time passes.
    fn poll_until(lists: &mut FileLists, now: &mut Timestamp, wanted: impl Fn(&FileLists) -> bool) {
        for _ in 0..10 {
            *now = now.plus(LOOK_INTERVAL);
            lists.poll(*now);
            if wanted(lists) {
                return;
            }
        }
        panic!("never: {lists:?}");
    }

    fn addresses(lists: &FileLists) -> Vec<String> {
        lists.targets().into_iter().map(|found| found.address).collect()
    }

    fn following(folder: &Path) -> FileLists {
        let text = format!(
            "scrape_configs:\n- job_name: a\n  file_sd_configs: [{{files: ['{}/*.json', '{}/one.yml']}}]\n",
            folder.display(),
            folder.display()
        );
        let config = Config::parse(&text, "x.yaml", &|_| None).unwrap();
        FileLists::of_job(&config.jobs[0]).remove(0)
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_bad_one_keeps_its_last_good_list() {
        let folder = tempfile::tempdir().unwrap();
        let mut lists = following(folder.path());
        let mut now = Timestamp::from_millis(1_000_000);
        let file = folder.path().join("a.json");
        lists.poll(now);
        assert_eq!(addresses(&lists), [""; 0]);

        std::fs::write(&file, r#"[{"targets": ["h:1"], "labels": {"x": "y"}}]"#).unwrap();
        std::fs::write(folder.path().join("one.yml"), "- targets: ['h:9']").unwrap();
        poll_until(&mut lists, &mut now, |lists| addresses(lists) == ["h:1", "h:9"]);
        assert_eq!(lists.targets()[0].labels["__meta_filepath"], file.display().to_string());

        std::fs::write(&file, r#"[{"targets": ["h:2", "#).unwrap();
        poll_until(&mut lists, &mut now, |lists| !lists.errors().is_empty());
        assert_eq!(addresses(&lists), ["h:1", "h:9"]);
        assert!(lists.errors()[0].reason.contains("the last good list is kept"), "{:?}", lists.errors());

        std::fs::write(&file, r#"[{"targets": ["h:2", "h:3"]}]"#).unwrap();
        poll_until(&mut lists, &mut now, |lists| addresses(lists) == ["h:2", "h:3", "h:9"]);
        assert_eq!(lists.errors(), []);

        std::fs::remove_file(&file).unwrap();
        poll_until(&mut lists, &mut now, |lists| addresses(lists) == ["h:9"]);
    }

    #[test]
    fn between_looks_nothing_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut lists = following(folder.path());
        let now = Timestamp::from_millis(1_000_000);
        lists.poll(now);
        std::fs::write(folder.path().join("a.json"), r#"[{"targets": ["h:1"]}]"#).unwrap();
        assert!(!lists.poll(now.plus(Duration::from_secs(4))));
        assert!(lists.poll(now.plus(Duration::from_secs(5))));
        assert!(!lists.poll(now.plus(Duration::from_secs(10))), "nothing changed");
    }
}
