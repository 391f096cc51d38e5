//! The configuration against `fixtures/config/{good,bad}`: whole outputs compared. `UPDATE_EXPECTED=1` rewrites them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

/// The environment of every test here.
fn env(name: &str) -> Option<String> {
    match name {
        "SHOP_TOKEN" => Some("hunter2".to_owned()),
        "SHOP_HOST" => Some("shop".to_owned()),
        _ => None,
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The YAML files of a folder of fixtures: name and text.
fn fixtures(folder: &str) -> Vec<(PathBuf, String, String)> {
    let folder = repository().join("fixtures/config").join(folder);
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    found.sort();
    assert!(found.len() > 5, "{}", folder.display());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (path, name, text)
    };
    found.into_iter().map(read).collect()
}

fn compare(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(path, found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(expected == found, "{}:\n{found}", path.display());
}

#[test]
fn every_bad_file_is_refused_with_the_expected_words_and_no_secret() {
    for (path, name, text) in fixtures("bad") {
        let errors = Config::parse(&text, &name, &env).map(|config| config.effective_yaml()).unwrap_err();
        let shown = errors.to_string();
        assert!(!shown.contains("hunter2"), "{name}:\n{shown}");
        assert!(!format!("{errors:?}").contains("hunter2"), "{name}");
        compare(&path.with_extension("expected"), &shown);
    }
}

#[test]
fn every_good_file_is_read_and_reads_back_the_same() {
    for (path, name, text) in fixtures("good") {
        let config = Config::parse(&text, &name, &env).unwrap_or_else(|errors| panic!("{errors}"));
        let effective = config.effective_yaml();
        assert!(!effective.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{name}");
        compare(&path.with_extension("effective"), &effective);
        let again = Config::parse(&effective, &name, &env).unwrap_or_else(|errors| panic!("{effective}\n{errors}"));
        assert_eq!(again.effective_yaml(), effective);
    }
}

#[test]
fn an_empty_file_watches_this_host_and_a_job_switches_that_off() {
    let enabled = |text: &str| Config::parse(text, "x.yaml", &env).unwrap().local_discovery.enabled;
    assert!(enabled(""));
    assert!(enabled("local_discovery: {interval: 1m}"));
    assert!(!enabled("scrape_configs: [{job_name: a}]"));
    assert!(!enabled("scrape_configs: [{job_name: a}]\nlocal_discovery: {interval: 1m}"));
    assert!(enabled("scrape_configs: [{job_name: a}]\nlocal_discovery: {enabled: true}"));
}

#[test]
fn suspicious_but_allowed_is_a_warning_with_its_place() {
    let text = "scrape_configs:\n- job_name: a\n  tls_config: {insecure_skip_verify: true}\n  bearer_token: hunter2\n  static_configs: [{targets: ['a:1', 'a:1']}]\n";
    let warnings = Config::parse(text, "x.yaml", &env).unwrap().warnings;
    let shown: Vec<String> =
        warnings.iter().map(|warning| format!("{}:{} {}", warning.line, warning.column, warning.message)).collect();
    assert_eq!(
        shown,
        [
            "3:16 any certificate is accepted",
            "4:3 `bearer_token` is the spelling of old Prometheus",
            "5:38 target `a:1` stands twice in this job, first at line 5",
        ]
    );
}

#[test]
fn a_huge_file_is_refused_before_it_is_parsed() {
    let text = "a: b\n".repeat(1_000_000);
    let errors = Config::parse(&text, "x.yaml", &env).unwrap_err();
    assert_eq!(errors.problems[0].message, "expected at most 4194304 bytes of YAML, found 5000000");
}

#[test]
fn a_long_text_repeated_by_aliases_is_refused_before_it_fills_the_memory() {
    let text = format!("a: &a '{}'\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(50_000));
    let errors = Config::parse(&text, "x.yaml", &env).unwrap_err();
    assert_eq!(errors.problems[0].message, "expected at most 8388608 bytes of text, found more");
}

#[test]
fn many_mistakes_on_one_long_line_take_no_time_to_show() {
    let keys: String = (0..40_000).map(|index| format!("key_{index}: 1, ")).collect::<Vec<_>>().concat();
    let errors = Config::parse(&format!("{{{keys}}}"), "x.yaml", &env).unwrap_err();
    assert_eq!(errors.problems.len() + errors.n_more, 40_000);
    assert!(errors.to_string().len() < 200_000);
}

#[test]
fn more_problems_than_are_kept_are_counted() {
    let text = (0..150).map(|index| format!("k{index}: 1\n")).collect::<Vec<_>>().concat();
    let errors = Config::parse(&text, "x.yaml", &env).unwrap_err();
    assert_eq!((errors.problems.len(), errors.n_more), (100, 50));
}

#[test]
fn included_files_bring_jobs_and_their_problems_have_their_own_places() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("leakscope.yaml");
    std::fs::create_dir(folder.path().join("conf.d")).unwrap();
    std::fs::write(&main, "scrape_config_files: ['conf.d/*.yaml']\nscrape_configs: [{job_name: a}]\n").unwrap();
    let included = folder.path().join("conf.d/b.yaml");
    std::fs::write(&included, "scrape_configs:\n- job_name: b\n  file_sd_configs: [{files: [t.json]}]\n").unwrap();
    let config = Config::load(&main).unwrap();
    let names: Vec<&str> = config.jobs.iter().map(|job| job.config.job_name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.jobs[1].config.file_sd_configs[0].files, [folder.path().join("conf.d/t.json")]);

    std::fs::write(&included, "scrape_configs:\n- job_name: a\nstorage: {}\n").unwrap();
    let errors = Config::load(&main).unwrap_err();
    let shown: Vec<String> =
        errors.problems.iter().map(|problem| format!("{}: {}", problem.line, problem.message)).collect();
    assert_eq!(
        shown,
        [format!("2: job `a` stands twice, first at {}:2", main.display()), "3: unknown key `storage`".to_owned()]
    );
    std::fs::write(&included, b"scrape_configs:\n- job_name: \xff\n").unwrap();
    let errors = Config::load(&main).unwrap_err();
    assert_eq!(errors.problems[0].message, "expected UTF-8, found byte 0xff at line 2, byte 13 of it");
}

#[test]
fn a_check_lists_jobs_and_finds_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("leakscope.yaml");
    let text = "scrape_configs:\n- job_name: a\n  static_configs: [{targets: ['a:1', 'b:1']}]\n  file_sd_configs: [{files: [t.json]}]\n- job_name: b\n";
    std::fs::write(&main, text).unwrap();
    std::fs::write(folder.path().join("t.json"), r#"[{"targets": ["c:1"]}]"#).unwrap();
    let shown = check(&main).to_string().replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(
        shown,
        "warning: this job has no targets: no `static_configs`, `file_sd_configs` or `http_sd_configs`\n --> job `b`\n\njob `a`: targets: 2 static, 1 in files\njob `b`: targets: 0 static\nDIR/leakscope.yaml: ok (2 jobs)\n"
    );
    std::fs::write(&main, format!("{text}  basic_auth: {{username: x, password_file: gone}}\n")).unwrap();
    let report = check(&main);
    assert!(!report.is_ok());
    let message = &report.errors.unwrap().problems[0].message;
    assert!(message.starts_with("cannot read") && message.contains("of `password_file`: No such file"), "{message}");
    assert!(!check(&folder.path().join("none.yaml")).is_ok());
}

/// Every key that some mapping of the configuration allows: told by the messages on a key that none does.
fn all_keys() -> BTreeSet<String> {
    let signals = leakscope_model::Signal::ALL.map(|signal| format!("      {}: {{zzz: 1}}\n", signal.name())).concat();
    let text = format!(
        "zzz: 1\nglobal: {{zzz: 1}}\nscrape_configs:\n  - job_name: a\n    zzz: 1\n    basic_auth: {{zzz: 1}}\n    authorization: {{zzz: 1}}\n    tls_config: {{zzz: 1}}\n    static_configs: [{{zzz: 1}}]\n    file_sd_configs: [{{zzz: 1}}]\n    http_sd_configs: [{{zzz: 1}}]\n    relabel_configs: [{{zzz: 1}}]\n    service: {{zzz: 1}}\n    signals:\n      zzz: 1\n{signals}local_discovery: {{zzz: 1}}\nstorage: {{zzz: 1, retention: {{zzz: 1}}}}\ndetection: {{zzz: 1}}\nweb: {{zzz: 1}}\nalerting:\n  zzz: 1\n  flapping: {{zzz: 1}}\n  watchdog: {{zzz: 1}}\n  route: {{zzz: 1}}\n  receivers:\n  - name: a\n    zzz: 1\n    alertmanager_configs: [{{zzz: 1}}]\n    webhook_configs: [{{zzz: 1}}]\n    slack_configs: [{{zzz: 1}}]\n    pagerduty_configs: [{{zzz: 1}}]\n    email_configs: [{{zzz: 1}}]\n"
    );
    let errors = Config::parse(&text, "x.yaml", &env).unwrap_err();
    let lists = errors.problems.iter().filter(|problem| problem.message.starts_with("unknown key `zzz`"));
    let allowed = lists.filter_map(|problem| problem.allowed.as_deref());
    allowed.flat_map(|list| list.split(", ").map(|key| key.trim_matches('`').to_owned())).collect()
}

#[test]
fn every_key_is_documented_and_in_the_full_example() {
    let docs = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let keys = all_keys();
    assert!(keys.len() > 80, "{keys:?}");
    let missing: Vec<&String> = keys.iter().filter(|key| !docs.contains(&format!("`{key}`"))).collect();
    assert_eq!(missing, [""; 0], "not in docs/configuration.md");
    let full: String = fixtures("good").into_iter().map(|(_, _, text)| text).collect();
    let missing: Vec<&String> = keys.iter().filter(|key| !full.contains(&format!("{key}:"))).collect();
    let signals = leakscope_model::Signal::ALL.map(leakscope_model::Signal::name);
    let missing: Vec<&&String> = missing.iter().filter(|key| !signals.contains(&key.as_str())).collect();
    assert_eq!(missing, [&"bearer_token"], "in no good example; `bearer_token` warns and has a test of its own");
}

#[test]
fn every_example_of_the_documentation_is_read() {
    let docs = std::fs::read_to_string(repository().join("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> = docs.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5);
    for block in blocks {
        let outcome = if block.contains("tls_server_config") || block.contains("basic_auth_users") {
            WebFile::parse(block, "docs", &env).map(|_| ())
        } else if block.starts_with("- targets") {
            read_groups(block, "docs")
                .map(|_| ())
                .map_err(|problem| ConfigErrors { problems: vec![*problem], n_more: 0 })
        } else {
            Config::parse(block, "docs", &env).map(|_| ())
        };
        assert!(outcome.is_ok(), "{block}\n{}", outcome.unwrap_err());
    }
}

/// Text that is nearly a configuration: fixtures with pieces cut, doubled and replaced.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let texts: Vec<String> = fixtures("good").into_iter().chain(fixtures("bad")).map(|(_, _, text)| text).collect();
    (proptest::sample::select(texts), any::<(u16, u16)>(), "[\\t\\n\\[\\]{}&*:,'\"|>#$!% -]{0,6}").prop_map(
        |(text, (at, length), insert)| {
            let chars: Vec<char> = text.chars().collect();
            let at = usize::from(at) % (chars.len() + 1);
            let end = (at + usize::from(length) % 40).min(chars.len());
            let (before, after) = (&chars[..at], &chars[end..]);
            before.iter().chain(insert.chars().collect::<Vec<_>>().iter()).chain(after).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_give_a_configuration_or_errors(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(errors) = Config::parse(&text, "x.yaml", &env) {
            prop_assert!(!errors.problems.is_empty());
            let _ = errors.to_string();
        }
        let _ = read_groups(&text, "x.yml");
        let _ = WebFile::parse(&text, "x.yml", &env);
    }

    #[test]
    fn damaged_files_give_a_configuration_or_errors(text in nearly_yaml()) {
        match Config::parse(&text, "x.yaml", &env) {
            Ok(config) => { let _ = config.effective_yaml(); }
            Err(errors) => prop_assert!(!errors.to_string().is_empty()),
        }
    }
}
