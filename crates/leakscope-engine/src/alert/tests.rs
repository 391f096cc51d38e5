//! Lives of one incident, and what receivers are told of each, with and without a restart in between.

use leakscope_model::{Finding, Kind, Suspect, Transition};

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// One step of a life: minutes since the start, and what happens then.
#[derive(Clone, Copy)]
enum Step {
    To(IncidentState),
    Named(&'static str),
    Tick,
    Restart,
}

use Step::{Named, Restart, Tick, To};

fn incident() -> Incident {
    Incident {
        id: IncidentId(7),
        service: "cart".into(),
        targets: Vec::new(),
        state: IncidentState::Open,
        kind: Kind::Managed,
        score: 2.0,
        opened_at: Timestamp::EPOCH,
        transitions: Vec::new(),
        captures: Vec::new(),
        suspects: Vec::new(),
    }
}

fn finding(site: &str) -> Finding {
    let suspect = Suspect {
        title: site.into(),
        kind: "object".into(),
        name: site.into(),
        bytes: 1,
        count: 1,
        share: 1.0,
        path: Vec::new(),
        stack: Vec::new(),
        location: None,
        confidence: 1.0,
        reason: String::new(),
    };
    Finding {
        suspect,
        identity: None,
        growth_bytes: None,
        growth_count: None,
        grew_in_every_step: None,
        captures: Vec::new(),
        confirmations: 1,
    }
}

/// Notices of a life as `minute: occasion firing|over @ minute since when it is due`.
fn told(steps: &[(i64, Step)]) -> Vec<(i64, Notice)> {
    let policy = AlertPolicy::default();
    let mut book = IncidentBook::restore(vec![incident()]);
    let mut alerts = Alerts::default();
    let mut notices = Vec::new();
    for (minute, step) in steps {
        let now = Timestamp::from_millis(minute * MINUTE);
        let mut incident = book.get(IncidentId(7)).unwrap().clone();
        let mut effects = Vec::new();
        match step {
            To(state) => incident.state = *state,
            Named(site) => {
                incident.state = IncidentState::Explained;
                incident.suspects = vec![finding(site)];
            }
            Tick => alerts.tick(now, &book, &policy, &mut effects),
            Restart => alerts = Alerts::restore(std::slice::from_ref(&incident)),
        }
        if matches!(step, To(_) | Named(_)) {
            incident.transitions.push(Transition { at: now, to: incident.state, cause: String::new() });
            book = IncidentBook::restore(vec![incident.clone()]);
            alerts.incident_changed(now, &incident, &policy, &mut effects);
        }
        notices.extend(effects.into_iter().map(|effect| match effect {
            Effect::Notify(notice) => (*minute, *notice),
            other => panic!("{other:?}"),
        }));
    }
    notices
}

fn words(steps: &[(i64, Step)]) -> Vec<String> {
    let word = |(minute, notice): (i64, Notice)| {
        let firing = if notice.firing { "firing" } else { "over" };
        format!("{minute}: {} {firing} @ {}", notice.occasion.name(), notice.at.as_millis() / MINUTE)
    };
    told(steps).into_iter().map(word).collect()
}

use IncidentState::{Acknowledged, Closed, Gathered, Open, Recovered};

#[test]
fn an_incident_is_told_when_it_opens_is_explained_and_is_over() {
    let life = [
        (0, To(Open)),
        (1, To(Open)),
        (5, To(Gathered)),
        (9, Named("Cart.add")),
        (10, Tick),
        (60, To(Recovered)),
        (61, Tick),
        (1500, To(Closed)),
    ];
    assert_eq!(words(&life), ["0: opened firing @ 0", "9: explained firing @ 9", "60: resolved over @ 60"]);
}

#[test]
fn a_site_is_told_once_and_another_one_again() {
    let life = [(0, To(Open)), (1, Named("a")), (2, Named("a")), (3, Named("b")), (4, Named("a"))];
    assert_eq!(words(&life), ["0: opened firing @ 0", "1: explained firing @ 1", "3: explained firing @ 3"]);
}

#[test]
fn what_still_leaks_is_repeated_on_a_grid_that_begins_with_the_first_explanation() {
    let ticks = [(239, Tick), (240, Tick), (241, Tick), (600, Tick), (719, Tick), (720, Tick)];
    let mut life = vec![(0, To(Open))];
    life.extend(ticks);
    assert_eq!(
        words(&life),
        [
            "0: opened firing @ 0",
            "240: repeated firing @ 240",
            "600: repeated firing @ 480",
            "720: repeated firing @ 720"
        ]
    );
    let explained = [(0, To(Open)), (30, Named("a")), (240, Tick), (270, Tick)];
    assert_eq!(words(&explained), ["0: opened firing @ 0", "30: explained firing @ 30", "270: repeated firing @ 270"]);
}

#[test]
fn what_a_person_knows_is_not_repeated_until_it_changes() {
    let life =
        [(0, To(Open)), (10, To(Acknowledged)), (240, Tick), (480, Tick), (500, To(Open)), (501, Tick), (720, Tick)];
    assert_eq!(words(&life), ["0: opened firing @ 0", "720: repeated firing @ 720"]);
}

#[test]
fn an_incident_that_flaps_is_told_once_and_its_end_is_held_until_it_is_quiet() {
    let mut life: Vec<(i64, Step)> = (0..6).flat_map(|n| [(n * 20, To(Open)), (n * 20 + 10, To(Recovered))]).collect();
    life.extend([(111, Tick), (169, Tick), (170, Tick), (171, Tick)]);
    assert_eq!(
        words(&life),
        [
            "0: opened firing @ 0",
            "10: resolved over @ 10",
            "20: opened firing @ 20",
            "30: resolved over @ 30",
            "40: opened firing @ 40",
            "50: resolved over @ 50",
            "60: flapping firing @ 60",
            "170: resolved over @ 170",
        ]
    );
}

#[test]
fn an_end_that_is_held_is_told_at_the_latest_when_the_incident_is_closed() {
    let mut life: Vec<(i64, Step)> = (0..4).flat_map(|n| [(n * 20, To(Open)), (n * 20 + 10, To(Recovered))]).collect();
    life.push((90, To(Closed)));
    assert_eq!(words(&life).last().unwrap(), "90: resolved over @ 130");
}

/// Whatever a life is, a restart at any step tells nothing under a new key that was told before it, and loses no last word.
#[test]
fn a_restart_at_any_moment_tells_nothing_twice_and_loses_nothing() {
    let mut flapping: Vec<(i64, Step)> =
        (0..5).flat_map(|n| [(n * 20, To(Open)), (n * 20 + 10, To(Recovered))]).collect();
    flapping.extend((95..200).step_by(5).map(|minute| (minute, Tick)));
    let mut long = vec![(0, To(Open)), (20, Named("a")), (30, Named("a")), (40, Named("b")), (50, Named("a"))];
    long.extend((1..20).map(|n| (60 * n, Tick)));
    long.extend([(1201, To(Acknowledged)), (1300, Tick), (1500, Tick), (1600, To(Recovered)), (1601, Tick)]);
    for life in [flapping, long] {
        let keys =
            |steps: &[(i64, Step)]| told(steps).into_iter().map(|(_, notice)| notice.key).collect::<BTreeSet<_>>();
        let expected = keys(&life);
        for cut in 1..=life.len() {
            // The word of the last step before the cut is lost with the process, or not: both must end the same.
            let mut again = life[..cut].to_vec();
            let minute = life[cut - 1].0;
            again.extend([(minute, Restart), (minute, Tick)]);
            let before = told(&life[..cut - 1]);
            let lost = told(&life[..cut]).split_off(before.len());
            again.extend_from_slice(&life[cut..]);
            assert_eq!(keys(&again), expected, "a restart after step {cut} tells other words");
            let after: BTreeSet<String> =
                told(&again).split_off(before.len() + lost.len()).into_iter().map(|(_, n)| n.key).collect();
            if let Some((_, last)) = lost.last() {
                assert!(after.contains(&last.key), "`{}` is lost by a restart after step {cut}", last.key);
            }
        }
    }
}

#[test]
fn a_word_of_weeks_ago_is_taken_for_told() {
    let life = [(0, To(Open)), (10, To(Recovered)), (8 * 24 * HOUR / MINUTE, Restart), (8 * 24 * HOUR / MINUTE, Tick)];
    assert_eq!(words(&life), ["0: opened firing @ 0", "10: resolved over @ 10"]);
}
