//! The journal of deliveries against servers that take, refuse, vanish and never answer, with hours that pass in no time.

mod real;
mod server;

use std::path::Path;

use leakscope_model::IncidentState::{Explained, Open, Recovered};

use super::super::tests::{at, explained, incident, notice};
use super::*;
use server::{Behaviour, Server};

/// The environment of a process that is killed while it tells a receiver: the store and the server.
const VICTIM: &str = "LEAKSCOPE_TEST_VICTIM";

fn config(receivers: &str) -> Config {
    let text = format!("alerting:\n  receivers: [{receivers}]\n  route: {{receiver: ops}}\n");
    Config::parse(&text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{text}{errors}"))
}

fn webhook(server: &Server) -> Config {
    config(&format!("{{name: ops, webhook_configs: [{{url: '{}/hook'}}]}}", server.url))
}

fn slack(url: &str) -> Config {
    config(&format!("{{name: ops, slack_configs: [{{api_url: '{url}/slack', timeout: 5s}}]}}"))
}

fn open(folder: &tempfile::TempDir, config: &Config) -> Desk {
    Desk::open(Arc::new(Store::open(folder.path()).unwrap()), config).unwrap()
}

/// Rounds, one a second of simulated time.
async fn pass(desk: &mut Desk, from: i64, to: i64) {
    for second in from..to {
        while desk.round(at(second)).await > 0 {}
    }
}

fn states(desk: &Desk) -> Vec<String> {
    let mut deliveries = desk.store.deliveries(100).unwrap();
    deliveries.reverse();
    let state = |one: &Delivery| match (one.delivered_at, one.given_up) {
        (Some(_), _) => "delivered",
        (None, true) => "given up",
        (None, false) => "waits",
    };
    deliveries.iter().map(|one| format!("{}: {} after {}", one.receiver, state(one), one.attempts)).collect()
}

#[tokio::test]
async fn what_is_said_of_a_service_within_the_wait_is_one_message_and_the_next_keeps_its_distance() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = open(&folder, &webhook(&server));
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    desk.notice(at(10), notice(&explained(incident(1, "cart", &[Open, Explained])), Occasion::Explained));
    desk.notice(at(10), notice(&incident(2, "shop", &[Open]), Occasion::Opened));
    pass(&mut desk, 0, 30).await;
    assert_eq!(server.requests().len(), 0);
    pass(&mut desk, 30, 60).await;
    let occasions = |from: usize| -> Vec<String> {
        let requests = server.requests();
        let alerts = requests[from..].iter().flat_map(|one| one.body["alerts"].as_array().unwrap().clone());
        alerts.map(|alert| format!("{} {}", alert["labels"]["service"], alert["annotations"]["occasion"])).collect()
    };
    assert_eq!(occasions(0), ["\"cart\" \"explained\"", "\"shop\" \"opened\""]);
    desk.notice(at(61), notice(&incident(1, "cart", &[Open, Explained, Recovered]), Occasion::Resolved));
    pass(&mut desk, 61, 330).await;
    assert_eq!(server.requests().len(), 2, "five minutes after the last message");
    pass(&mut desk, 330, 400).await;
    assert_eq!(occasions(2), ["\"cart\" \"resolved\""]);
    assert_eq!(server.requests()[2].body["status"], "resolved");
}

#[tokio::test]
async fn a_receiver_that_is_down_for_an_hour_is_told_everything_in_order_when_it_is_back() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = open(&folder, &webhook(&server));
    server.behave(Behaviour::Refuse);
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    pass(&mut desk, 0, 1_800).await;
    desk.notice(at(1_800), notice(&incident(1, "cart", &[Open, Recovered]), Occasion::Resolved));
    pass(&mut desk, 1_800, 3_600).await;
    let refused = server.requests().len();
    assert!((9..=14).contains(&refused), "{refused} tries in an hour");
    server.behave(Behaviour::Take);
    pass(&mut desk, 3_600, 4_800).await;
    let taken: Vec<_> = server.requests()[refused..].iter().map(|one| one.body["status"].clone()).collect();
    assert_eq!(taken, ["firing", "resolved"]);
    let ids: BTreeSet<String> = server.requests()[..=refused].iter().map(|one| one.id.clone()).collect();
    assert_eq!(ids.len(), 1, "every try of one message has the same id");
    pass(&mut desk, 4_800, 5_400).await;
    assert_eq!(server.requests().len(), refused + 2, "nothing is told twice");
}

#[tokio::test]
async fn what_nobody_takes_for_a_day_is_given_up_and_a_refusal_for_good_at_once() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = open(&folder, &webhook(&server));
    server.behave(Behaviour::Refuse);
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    for minute in 0..(25 * 60) {
        desk.round(at(60 * minute)).await;
    }
    assert!(states(&desk)[0].starts_with("ops/webhook[0]: given up after 1"), "{:?}", states(&desk));
    server.behave(Behaviour::RefuseForGood);
    desk.notice(at(100_000), notice(&incident(2, "shop", &[Open]), Occasion::Opened));
    desk.round(at(100_100)).await;
    assert_eq!(states(&desk)[1], "ops/webhook[0]: given up after 1");
    let last = desk.store.deliveries(1).unwrap().remove(0).last_error.unwrap();
    assert_eq!(last, "expected status 2xx, found 400 Bad Request: no");
}

#[tokio::test]
async fn a_receiver_that_asks_for_patience_has_it() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = open(&folder, &webhook(&server));
    server.behave(Behaviour::Busy);
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    pass(&mut desk, 0, 31).await;
    server.behave(Behaviour::Take);
    pass(&mut desk, 31, 149).await;
    assert_eq!(server.requests().len(), 1);
    pass(&mut desk, 149, 155).await;
    assert_eq!(states(&desk), ["ops/webhook[0]: delivered after 2"]);
}

#[tokio::test]
async fn an_answer_that_nobody_saw_is_asked_for_again_only_where_that_shows_once() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let receivers = format!(
        "{{name: ops, slack_configs: [{{api_url: '{0}/slack'}}], pagerduty_configs: [{{routing_key: k, url: '{0}/pd'}}]}}",
        server.url
    );
    let mut desk = open(&folder, &config(&receivers));
    server.behave(Behaviour::Vanish);
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    pass(&mut desk, 0, 31).await;
    server.behave(Behaviour::Take);
    pass(&mut desk, 31, 60).await;
    assert_eq!(states(&desk), ["ops/pagerduty[0]: delivered after 2", "ops/slack[0]: given up after 1"]);
    let paths: Vec<String> = server.requests().into_iter().map(|one| one.path).collect();
    assert_eq!(paths.iter().filter(|path| *path == "/slack").count(), 1, "{paths:?}");
}

#[tokio::test]
async fn a_receiver_that_does_not_listen_is_tried_again_even_where_a_message_would_show_twice() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut desk = open(&folder, &slack(&format!("http://{free}")));
    desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    pass(&mut desk, 0, 31).await;
    assert_eq!(states(&desk), ["ops/slack[0]: waits after 1"]);
}

#[tokio::test]
async fn a_word_that_the_journal_knows_is_not_told_again_after_a_restart() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = webhook(&server);
    let opened = notice(&incident(1, "cart", &[Open]), Occasion::Opened);
    let mut desk = open(&folder, &settings);
    desk.notice(at(0), opened.clone());
    drop(desk);
    let mut desk = open(&folder, &settings);
    desk.notice(at(5), opened.clone());
    pass(&mut desk, 5, 60).await;
    drop(desk);
    let mut desk = open(&folder, &settings);
    desk.notice(at(60), opened);
    pass(&mut desk, 60, 600).await;
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_route_hears_repeats_at_its_own_pace_and_the_end_goes_to_whoever_heard_the_beginning() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = |service: &str| {
        format!(
            "alerting:\n  receivers: [{{name: all, webhook_configs: [{{url: '{0}/all'}}]}}, {{name: one, webhook_configs: [{{url: '{0}/one'}}]}}]\n  route:\n    receiver: all\n    group_wait: 0s\n    group_interval: 1s\n    repeat_interval: 4h\n    routes: [{{receiver: one, matchers: [service={service}], repeat_interval: 1h, continue: true}}, {{receiver: all}}]\n",
            server.url
        )
    };
    let parse = |text: String| Config::parse(&text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    let mut desk = open(&folder, &parse(text("cart")));
    let leaking = incident(1, "cart", &[Open]);
    desk.notice(at(0), notice(&leaking, Occasion::Opened));
    for hour in 1..=8 {
        pass(&mut desk, hour * 3_600 - 2, hour * 3_600).await;
        let repeated =
            Notice { at: at(hour * 3_600), key: format!("repeat/{hour}"), ..notice(&leaking, Occasion::Repeated) };
        desk.notice(at(hour * 3_600), repeated);
    }
    pass(&mut desk, 8 * 3_600, 8 * 3_600 + 5).await;
    let of = |path: &str| server.requests().into_iter().filter(|one| one.path == path).count();
    assert_eq!((of("/one"), of("/all")), (9, 3));
    desk.configure(&parse(text("shop")));
    desk.notice(at(40_000), notice(&incident(1, "cart", &[Open, Recovered]), Occasion::Resolved));
    pass(&mut desk, 40_000, 40_005).await;
    assert_eq!((of("/one"), of("/all")), (10, 4));
}

#[tokio::test]
async fn the_watchdog_is_told_again_and_again_and_only_where_that_makes_sense() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "alerting:\n  watchdog: {{interval: 30s}}\n  receivers: [{{name: ops, webhook_configs: [{{url: '{0}/hook'}}], alertmanager_configs: [{{urls: ['{0}/am']}}], slack_configs: [{{api_url: '{0}/slack'}}]}}]\n",
        server.url
    );
    let mut desk =
        open(&folder, &Config::parse(&text, "x.yaml", &|_| None).unwrap_or_else(|errors| panic!("{errors}")));
    for second in 0..95 {
        desk.resend(at(second), &[]).await;
    }
    let requests = server.requests();
    let of = |path: &str| requests.iter().filter(|one| one.path == path).count();
    assert_eq!((of("/hook"), of("/am/api/v2/alerts"), of("/slack")), (4, 4, 0));
    let alert = &requests.iter().find(|one| one.path == "/hook").unwrap().body["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "LeakscopeWatchdog");
}

/// The child of the test below: it tells a receiver that never answers, until it is killed.
#[tokio::test]
async fn a_process_that_is_killed_while_it_tells_slack_leaves_no_message_to_be_shown_twice() {
    if let Ok(victim) = std::env::var(VICTIM) {
        let (folder, url) = victim.split_once('|').unwrap();
        let mut desk = Desk::open(Arc::new(Store::open(Path::new(folder)).unwrap()), &slack_and_webhook(url)).unwrap();
        desk.notice(at(0), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
        pass(&mut desk, 0, 60).await;
        return;
    }
    let server = Server::start().await;
    server.behave(Behaviour::Hang);
    let folder = tempfile::tempdir().unwrap();
    let name = "alert::desk::tests::a_process_that_is_killed_while_it_tells_slack_leaves_no_message_to_be_shown_twice";
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(VICTIM, format!("{}|{}", folder.path().display(), server.url))
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    server.until(2).await;
    child.kill().await.unwrap();
    server.behave(Behaviour::Take);
    let mut desk = open(&folder, &slack_and_webhook(&server.url));
    assert_eq!(states(&desk), ["ops/slack[0]: given up after 1", "ops/webhook[0]: waits after 0"]);
    desk.notice(at(60), notice(&incident(1, "cart", &[Open]), Occasion::Opened));
    pass(&mut desk, 60, 600).await;
    assert_eq!(states(&desk), ["ops/slack[0]: given up after 1", "ops/webhook[0]: delivered after 1"]);
    let hooks: Vec<_> = server.requests().into_iter().filter(|one| one.path == "/hook").collect();
    assert_eq!(hooks.len(), 2);
    assert_eq!(hooks[0].id, hooks[1].id, "the second try says that it is the first one's message");
}

fn slack_and_webhook(url: &str) -> Config {
    config(&format!(
        "{{name: ops, slack_configs: [{{api_url: '{url}/slack', timeout: 5m}}], webhook_configs: [{{url: '{url}/hook', timeout: 5m}}]}}"
    ))
}
