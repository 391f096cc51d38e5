//! From the suspicion to the site in simulated time: what is taken of whom, what is refused, what restarts and faults change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leakscope_engine::{CapturePolicy, Command, EngineConfig};
use leakscope_model::{
    Capture, CaptureKind, CaptureState, Incident, IncidentState, Kind, Phase, Runtime, TargetId, Timestamp, Weight,
};
use leakscope_sim::evidence::Hindrances;
use leakscope_sim::fleet::{self, Member};
use leakscope_sim::run::World;
use leakscope_sim::service::{MIB, Model};
use proptest::prelude::*;

use crate::{HOUR, MINUTE, leaking, number, replica, targets};

fn of_runtime(runtime: Runtime, mut member: Member) -> Member {
    member.target.runtime = runtime;
    member
}

fn heavy() -> EngineConfig {
    EngineConfig { capture: CapturePolicy { heavy: true, ..CapturePolicy::default() }, ..EngineConfig::default() }
}

fn world(config: EngineConfig, members: &[Member]) -> World {
    let mut world = World::new(config);
    world.start(members);
    world.discover(targets(members));
    world
}

/// Each capture as `kind phase state`.
fn taken(world: &World) -> Vec<String> {
    let told = |capture: &Capture| format!("{} {} {}", capture.kind.name(), capture.phase.name(), capture.state.name());
    world.captures().map(told).collect()
}

fn states(incident: &Incident) -> Vec<&str> {
    incident.transitions.iter().map(|transition| transition.to.name()).collect()
}

fn only_incident(world: &World) -> &Incident {
    let mut incidents = world.incidents();
    let incident = incidents.next().expect("there is an incident");
    assert!(incidents.next().is_none());
    incident
}

#[test]
fn a_leak_goes_from_suspicion_to_a_confirmed_site_by_light_evidence_alone() {
    for (runtime, kind) in [
        (Runtime::Go, "go-heap"),
        (Runtime::Node, "v8-sampling"),
        (Runtime::Jvm, "jvm-old-objects"),
        (Runtime::Python, "python-heap"),
        (Runtime::Native, "native-heap"),
    ] {
        let members = [of_runtime(runtime, replica("cart", 0, leaking(150.0)))];
        let mut world = world(heavy(), &members);
        world.run_for(4 * HOUR);
        let incident = only_incident(&world);
        assert_eq!(states(incident)[..3], ["open", "gathered", "explained"], "{runtime}");
        let first = &incident.suspects[0];
        assert_eq!((first.suspect.name.as_str(), first.confirmations >= 2), ("remember", true), "{runtime}");
        let cause = &incident.transitions.last().unwrap().cause;
        assert!(cause.starts_with("`remember` (service.js:41) holds 90 % of what grew"), "{cause}");
        assert!(
            world
                .captures()
                .all(|capture| capture.kind.weight() == Weight::Light || capture.state == CaptureState::Refused)
        );
        let rounds = taken(&world).into_iter().filter(|told| told.starts_with(kind)).count();
        assert!((2..=5).contains(&rounds), "{runtime}: {:?}", taken(&world));
    }
}

#[test]
fn a_healthy_service_sees_one_baseline_of_what_does_not_record() {
    for (runtime, expect) in [
        (Runtime::Go, &["go-heap baseline stored", "goroutines baseline stored", "process-map baseline stored"][..]),
        (Runtime::Node, &["process-map baseline stored"]),
        // Old objects are only recorded at a suspicion, and where they are to be had classes are not counted.
        (Runtime::Jvm, &["process-map baseline stored"]),
    ] {
        let members: Vec<Member> =
            (0..3).map(|number| of_runtime(runtime, replica("cart", number, Model::default()))).collect();
        let mut world = world(heavy(), &members);
        world.run_for(24 * HOUR);
        world.restart(true);
        world.run_for(24 * HOUR);
        assert_eq!(taken(&world), expect, "{runtime}");
    }
}

#[test]
fn with_a_fifth_of_its_memory_left_a_process_gets_no_snapshot_and_the_incident_says_so() {
    let model = Model { limit: Some(400.0 * MIB), base: 250.0 * MIB, ..leaking(60.0) };
    let members = [of_runtime(Runtime::Node, replica("cart", 0, model))];
    let mut world = world(heavy(), &members);
    while world.incidents().all(|incident| incident.state != IncidentState::Explained) {
        world.run_for(MINUTE);
        assert!(world.now().since(leakscope_sim::scenario::BEGIN) < 3 * HOUR, "{:?}", taken(&world));
    }
    let refused: Vec<&Capture> = world.captures().filter(|capture| capture.kind == CaptureKind::V8Snapshot).collect();
    assert!(!refused.is_empty());
    for capture in refused {
        assert_eq!(capture.state, CaptureState::Refused);
        assert!(capture.note.starts_with("no room: a v8-snapshot of "), "{}", capture.note);
        assert!(capture.note.ends_with("below the limit of 400 MiB"), "{}", capture.note);
    }
    assert_eq!(world.n_killed(members[0].target.id), 0);
}

/// A policy under which light evidence is not taken, so that only heavy is left.
fn only_heavy() -> EngineConfig {
    let capture = CapturePolicy { light: false, heavy: true, ..CapturePolicy::default() };
    EngineConfig { capture, ..EngineConfig::default() }
}

#[test]
fn where_light_evidence_is_not_to_be_had_two_snapshots_are_compared() {
    let model = Model { limit: None, ..leaking(400.0) };
    let members = [of_runtime(Runtime::Node, replica("cart", 0, model))];
    let mut world = world(only_heavy(), &members);
    world.run_for(4 * HOUR);
    let incident = only_incident(&world);
    assert!(incident.suspects.first().is_some_and(|first| first.captures.len() > 1), "{incident:?}");
    let taken: Vec<&Capture> = world.captures().filter(|capture| capture.state == CaptureState::Stored).collect();
    assert!(taken.len() >= 2 && taken.iter().all(|capture| capture.kind == CaptureKind::V8Snapshot));
    for capture in &taken[1..] {
        let real = capture.cost.unwrap().pause.as_secs_f64();
        assert!((0.5..=2.0).contains(&(capture.predicted.pause.as_secs_f64() / real)), "{capture:?}");
    }
}

#[test]
fn a_process_that_dies_during_a_capture_leaves_what_was_gathered_and_a_lesson() {
    let model = Model { limit: None, ..leaking(400.0) };
    let members = [of_runtime(Runtime::Node, replica("cart", 0, model))];
    let target = members[0].target.id;
    let mut world = world(heavy(), &members);
    while world.incidents().next().is_none() {
        world.run_for(MINUTE);
    }
    world.run_for(30 * MINUTE);
    let before = world.engine().predict(target, CaptureKind::V8Snapshot).unwrap().memory;
    let gathered = only_incident(&world).captures.clone();
    world.hinder(target, Hindrances { dies: 1.0, ..Hindrances::default() });
    world.ask(Command::Capture { target, kind: Some(CaptureKind::V8Snapshot), force: false });
    world.run_for(5 * MINUTE);
    let died = world.captures().find(|capture| capture.phase == Phase::Asked).unwrap();
    assert_eq!((died.state, died.kind), (CaptureState::Failed, CaptureKind::V8Snapshot));
    assert!(died.note.starts_with("the process ended during the capture"), "{}", died.note);
    let heap = |kind| world.engine().predict(target, kind).map(|cost| cost.memory);
    assert!(heap(CaptureKind::V8Snapshot).is_none_or(|after| after > before));
    let incident = only_incident(&world);
    assert!(gathered.iter().all(|id| incident.captures.contains(id)));
    assert!(!incident.suspects.is_empty());
}

#[test]
fn a_person_gets_a_capture_past_the_budget_but_not_past_the_room_unless_insisting() {
    let model = Model { limit: Some(400.0 * MIB), ..Model::default() };
    let members = [of_runtime(Runtime::Node, replica("cart", 0, model))];
    let target = members[0].target.id;
    let none = CapturePolicy { heavy: true, light_per_service_per_hour: 0, ..CapturePolicy::default() };
    let mut world = world(EngineConfig { capture: none, ..EngineConfig::default() }, &members);
    world.run_for(2 * MINUTE);
    for (kind, force, expect) in [
        (None, false, "v8-sampling asked stored"),
        (Some(CaptureKind::ProcessMap), false, "process-map asked stored"),
        (Some(CaptureKind::V8Snapshot), false, "v8-snapshot asked refused"),
        (Some(CaptureKind::GoHeap), false, "go-heap asked refused"),
        (Some(CaptureKind::V8Snapshot), true, "v8-snapshot asked failed"),
    ] {
        world.ask(Command::Capture { target, kind, force });
        world.run_for(MINUTE);
        assert_eq!(taken(&world).last().map(String::as_str), Some(expect));
    }
}

#[test]
fn a_capture_that_is_stopped_is_on_record_as_such_and_the_next_can_be_taken() {
    let members = [of_runtime(Runtime::Jvm, replica("cart", 0, Model::default()))];
    let target = members[0].target.id;
    let mut world = world(heavy(), &members);
    world.run_for(2 * MINUTE);
    world.ask(Command::Capture { target, kind: Some(CaptureKind::JvmHeapDump), force: false });
    world.run_for(Duration::from_millis(200));
    let id = world.engine().captures().last().unwrap().id;
    world.ask(Command::CancelCapture(id));
    world.run_for(MINUTE);
    world.ask(Command::Capture { target, kind: Some(CaptureKind::JvmHeapDump), force: false });
    world.run_for(MINUTE);
    assert_eq!(taken(&world), ["jvm-heap-dump asked cancelled", "jvm-heap-dump asked stored"]);
}

#[test]
fn what_a_person_acknowledges_stays_acknowledged_when_evidence_comes() {
    let members = [of_runtime(Runtime::Node, replica("cart", 0, leaking(150.0)))];
    let mut world = world(EngineConfig::default(), &members);
    while world.incidents().next().is_none() {
        world.run_for(MINUTE);
    }
    let incident = only_incident(&world).id;
    world.ask(Command::Acknowledge { incident, by: "Ada".into() });
    world.run_for(HOUR);
    let incident = only_incident(&world);
    assert_eq!(incident.state, IncidentState::Acknowledged);
    let told: Vec<&str> = incident.transitions.iter().map(|transition| transition.cause.as_str()).collect();
    assert!(told.contains(&"acknowledged by Ada"), "{told:?}");
    assert!(told.last().unwrap().contains("which confirms the leak"), "{told:?}");
    assert_eq!(incident.kind, Kind::Managed);
}

#[test]
fn what_runs_when_leakscope_ends_has_failed_afterwards_and_counts() {
    let members = [of_runtime(Runtime::Jvm, replica("cart", 0, Model::default()))];
    let target = members[0].target.id;
    let mut world = world(heavy(), &members);
    world.run_for(2 * MINUTE);
    world.ask(Command::Capture { target, kind: Some(CaptureKind::JvmHeapDump), force: false });
    world.run_for(Duration::from_millis(200));
    assert_eq!(taken(&world), ["jvm-heap-dump asked running"]);
    world.restart(false);
    let cut_off = world.captures().next().unwrap();
    assert_eq!((cut_off.state, cut_off.note.as_str()), (CaptureState::Failed, "leakscope ended during it"));
    assert!(cut_off.ended_at.is_some());
}

/// Services of all runtimes, some leaking, most with several replicas.
fn shop() -> Vec<Member> {
    let runtimes = [Runtime::Go, Runtime::Node, Runtime::Jvm, Runtime::Python, Runtime::Native];
    let mut members = Vec::new();
    for service in 0..15 {
        for place in 0..=service % 3 {
            let leaks = service % 5 == place % 5 && service % 2 == 0;
            let model = if leaks { leaking(40.0 + 10.0 * service as f64) } else { Model::default() };
            members.push(of_runtime(runtimes[service % 5], replica(&format!("service-{service}"), place, model)));
        }
    }
    members
}

/// Looks at a world every few seconds, and says what its captures did that they must not.
#[derive(Default)]
struct Law {
    running_at_once: usize,
}

impl Law {
    fn look(&mut self, world: &World, policy: &CapturePolicy) {
        let mut running: BTreeMap<&str, u32> = BTreeMap::new();
        for capture in world.captures().filter(|capture| capture.state == CaptureState::Running) {
            *running.entry(&capture.service).or_default() += 1;
            self.running_at_once = self.running_at_once.max(running.len());
        }
        assert!(running.values().all(|n| *n == 1), "{running:?}");
        let heavy = world.captures().filter(|c| c.state == CaptureState::Running && c.kind.weight() == Weight::Heavy);
        assert!(heavy.count() <= 1);
        budgets_hold(world, policy);
    }
}

fn budgets_hold(world: &World, policy: &CapturePolicy) {
    let began: Vec<&Capture> = world
        .captures()
        .filter(|capture| capture.state != CaptureState::Refused && capture.phase != Phase::Asked)
        .collect();
    let mut by_service: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    let mut by_target: BTreeMap<TargetId, Vec<Timestamp>> = BTreeMap::new();
    let mut by_kind: BTreeMap<(TargetId, CaptureKind), Timestamp> = BTreeMap::new();
    for capture in began {
        match capture.kind.weight() {
            Weight::Light => by_service.entry(&capture.service).or_default().push(capture.began_at),
            Weight::Heavy => by_target.entry(capture.target).or_default().push(capture.began_at),
        }
        let least = if capture.kind.weight() == Weight::Heavy { policy.heavy_spacing } else { Duration::from_secs(5) };
        let before = by_kind.insert((capture.target, capture.kind), capture.began_at);
        assert!(before.is_none_or(|before| capture.began_at.since(before) >= least), "{capture:?}");
    }
    let within = |times: &[Timestamp], span: Duration| {
        (0..times.len()).map(|last| times[..=last].iter().filter(|at| times[last].since(**at) < span).count()).max()
    };
    for times in by_service.values() {
        assert!(within(times, HOUR) <= Some(policy.light_per_service_per_hour as usize));
    }
    for times in by_target.values() {
        assert!(within(times, 24 * HOUR) <= Some(policy.heavy_per_target_per_day as usize));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn budgets_hold_and_one_replica_is_captured_at_a_time_whatever_goes_wrong_and_however_often_leakscope_restarts(
        seed in any::<u64>(),
        light in prop::bool::weighted(0.7),
        per_hour in 1_u32..20,
        per_day in 1_u32..4,
        shares in prop::array::uniform5(0.0_f64..0.2),
    ) {
        let policy = CapturePolicy {
            heavy: true,
            light,
            light_per_service_per_hour: per_hour,
            heavy_per_target_per_day: per_day,
            ..CapturePolicy::default()
        };
        let [unseen, fails, hangs, lost, dies] = shares;
        live_through(seed, policy, Hindrances { unseen, fails, hangs, lost, dies });
    }
}

/// Hours of a shop with restarts of leakscope and wishes of people at any moment, looked at every few minutes.
fn live_through(seed: u64, policy: CapturePolicy, hindrances: Hindrances) {
    let members = shop();
    let mut world = world(EngineConfig { capture: policy, ..EngineConfig::default() }, &members);
    let mut rng = leakscope_sim::rng::Rng::new(seed);
    for member in &members {
        world.hinder(member.target.id, hindrances);
    }
    let mut law = Law::default();
    for _ in 0..200 {
        world.run_for(Duration::from_secs(rng.between(1.0, 240.0) as u64));
        law.look(&world, &policy);
        if rng.chance(0.05) {
            world.restart(rng.chance(0.5));
            assert!(world.captures().all(|capture| capture.state != CaptureState::Running));
        }
        if rng.chance(0.05) {
            let member = &members[(rng.unit() * members.len() as f64) as usize];
            world.ask(Command::Capture { target: member.target.id, kind: None, force: rng.chance(0.3) });
        }
    }
    assert!(world.captures().count() > 10, "{}", world.captures().count());
}

#[test]
fn the_same_events_give_the_same_effects_with_captures_of_every_fate() {
    let run = || {
        let members = shop();
        let mut world = world(heavy(), &members);
        for member in &members {
            world.hinder(member.target.id, Hindrances { fails: 0.3, lost: 0.1, ..Hindrances::default() });
        }
        world.run_for(6 * HOUR);
        world.restart(false);
        world.run_for(6 * HOUR);
        world.digest()
    };
    assert_eq!(run(), run());
}

#[test]
fn over_a_month_with_restarts_every_leak_is_explained_and_healthy_services_see_baselines_only() {
    let runtimes = [Runtime::Go, Runtime::Node, Runtime::Jvm, Runtime::Python, Runtime::Native];
    let mut members = fleet::mixed(200, 5 * MINUTE, 4);
    for member in &mut members {
        let service = number(&member.target.service);
        member.target.runtime = runtimes[service / 10 % 5];
    }
    let config = EngineConfig { checkpoint_interval: Duration::from_hours(12), ..heavy() };
    let mut world = world(config, &members);
    for day in 0..30 {
        world.run_for(24 * HOUR);
        if day % 7 == 3 {
            world.restart(day % 2 == 0);
        }
    }
    let leaks = |service: &str| number(service) % 10 == 9;
    let explained: BTreeSet<&str> = world
        .incidents()
        .filter(|incident| leaks(&incident.service) && incident.suspects.iter().any(|s| s.suspect.name == "remember"))
        .map(|incident| incident.service.as_str())
        .collect();
    let found: BTreeSet<&str> =
        world.incidents().map(|incident| incident.service.as_str()).filter(|service| leaks(service)).collect();
    assert_eq!(explained, found);
    assert!(found.len() >= 18, "{found:?}");
    // One look at the first suspicion is all that a service sees which is suspected without reason, and no incident of it follows.
    let alarmed: BTreeSet<&str> = world.incidents().map(|incident| incident.service.as_str()).collect();
    let healthy =
        world.captures().filter(|capture| !leaks(&capture.service) && !alarmed.contains(capture.service.as_str()));
    let mut looks: BTreeMap<(&str, CaptureKind), Vec<Timestamp>> = BTreeMap::new();
    for capture in healthy.filter(|capture| capture.state != CaptureState::Refused) {
        assert_eq!(capture.kind.weight(), Weight::Light, "{capture:?}");
        match capture.phase {
            Phase::Baseline => {}
            Phase::Early => looks.entry((&capture.service, capture.kind)).or_default().push(capture.began_at),
            _ => panic!("{capture:?}"),
        }
    }
    for ((service, kind), times) in looks {
        assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= 24 * HOUR), "{service} {kind:?} {times:?}");
    }
    assert!(world.captures().all(|capture| capture.state != CaptureState::Running));
}
