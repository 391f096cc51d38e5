//! The engine in simulated time: whole lives of incidents, months of fleets, faults, restarts.

mod evidence;
mod peers;

use std::time::Duration;

use leakscope_engine::{CapturePolicy, Engine, EngineConfig, Event, Restored, Watch};
use leakscope_model::{IncidentState, Readings, Signal, State, TargetId, Timestamp};
use leakscope_sim::fleet::{self, Faults, Member, member};
use leakscope_sim::rng::Rng;
use leakscope_sim::run::World;
use leakscope_sim::scenario;
use leakscope_sim::service::{Held, Leak, MIB, Model};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Watches and takes no evidence: what evidence adds to an incident's life is told in `evidence`.
fn world(members: &[Member]) -> World {
    let capture = CapturePolicy { light: false, ..CapturePolicy::default() };
    let mut world = World::new(EngineConfig { capture, ..EngineConfig::default() });
    world.start(members);
    world.discover(targets(members));
    world
}

fn targets(members: &[Member]) -> Vec<leakscope_model::Target> {
    members.iter().map(|member| member.target.clone()).collect()
}

fn leaking(mib_per_hour: f64) -> Model {
    let leak = Leak { held: Held::Heap, per_hour: mib_per_hour * MIB, per_request: 0.0, onset_h: 0.0 };
    Model { leak: Some(leak), ..Model::default() }
}

fn replica(service: &str, number: usize, model: Model) -> Member {
    member(service, number, MINUTE, model, TargetId::of(service, &number.to_string(), "").0)
}

/// Each incident as `service: state, state, ...`.
fn lives(world: &World) -> Vec<String> {
    let life = |incident: &leakscope_model::Incident| {
        let states: Vec<&str> = incident.transitions.iter().map(|transition| transition.to.name()).collect();
        format!("{}: {}", incident.service, states.join(", "))
    };
    world.incidents().map(life).collect()
}

fn month(seed: u64, days: u32) -> World {
    let mut world =
        World::new(EngineConfig { checkpoint_interval: Duration::from_hours(12), ..EngineConfig::default() });
    let members = fleet::mixed(500, 5 * MINUTE, seed);
    world.start(&members);
    world.discover(targets(&members));
    world.run_for(HOUR * 24 * days);
    world
}

#[test]
fn a_month_of_500_services_has_the_same_effects_from_the_same_seed() {
    let (first, again) = std::thread::scope(|scope| {
        let again = scope.spawn(|| month(1, 30).digest());
        (month(1, 30), again.join().unwrap())
    });
    assert!(first.n_samples() > 4_000_000, "{}", first.n_samples());
    assert_eq!(first.digest(), again);
    let leaks = first.incidents().filter(|incident| number(&incident.service) % 10 == 9).count();
    let others: Vec<&str> = first
        .incidents()
        .filter(|incident| number(&incident.service) % 10 != 9)
        .map(|incident| incident.service.as_str())
        .collect();
    assert!(leaks >= 45, "{leaks} of 50 leaks found");
    assert!(others.len() <= 40, "{} healthy services flagged in 450 months: {others:?}", others.len());
}

fn number(service: &str) -> usize {
    service.rsplit('-').next().and_then(|number| number.parse().ok()).expect("services of a fleet are numbered")
}

#[test]
fn another_seed_has_other_effects() {
    assert_ne!(month(1, 1).digest(), month(2, 1).digest());
}

#[test]
fn an_incident_opens_gains_a_replica_recovers_relapses_and_closes_after_a_day() {
    let members = [replica("cart", 0, leaking(300.0)), replica("cart", 1, Model::default())];
    let mut world = world(&members);
    world.run_for(HOUR);
    assert_eq!(lives(&world), ["cart: open"]);
    world.deploy(members[1].target.id, &leaking(300.0));
    world.run_for(HOUR);
    assert_eq!(lives(&world), ["cart: open, open"]);
    assert_eq!(world.incidents().next().unwrap().targets.len(), 2);
    for member in &members {
        world.deploy(member.target.id, &Model::default());
    }
    world.run_for(2 * HOUR);
    assert_eq!(lives(&world), ["cart: open, open, recovered"]);
    world.deploy(members[0].target.id, &leaking(300.0));
    world.run_for(HOUR);
    assert_eq!(lives(&world), ["cart: open, open, recovered, open"]);
    world.deploy(members[0].target.id, &Model::default());
    world.run_for(23 * HOUR);
    assert_eq!(lives(&world), ["cart: open, open, recovered, open, recovered, verified"]);
    world.run_for(2 * HOUR);
    assert_eq!(lives(&world), ["cart: open, open, recovered, open, recovered, verified, closed"]);
    assert_eq!(world.engine().incidents().next().unwrap().state, IncidentState::Closed);
}

#[test]
fn a_leak_after_an_incident_was_closed_is_a_new_incident() {
    let members = [replica("cart", 0, leaking(300.0))];
    let mut world = world(&members);
    world.run_for(HOUR);
    world.deploy(members[0].target.id, &Model::default());
    world.run_for(26 * HOUR);
    world.deploy(members[0].target.id, &leaking(300.0));
    world.run_for(HOUR);
    assert_eq!(lives(&world), ["cart: open, recovered, verified, closed", "cart: open"]);
}

#[test]
fn a_process_that_dies_of_its_leak_keeps_one_incident() {
    let mut world = world(&[replica("cart", 0, leaking(400.0))]);
    world.run_for(12 * HOUR);
    let lives = lives(&world);
    assert_eq!(lives.len(), 1);
    assert!(lives[0].starts_with("cart: open, recovered, open, recovered, open"), "{lives:?}");
}

#[test]
fn a_leaking_replica_that_goes_away_ends_the_incident() {
    let members = [replica("cart", 0, leaking(300.0)), replica("cart", 1, Model::default())];
    let mut world = world(&members);
    world.run_for(HOUR);
    world.discover(vec![members[1].target.clone()]);
    assert_eq!(lives(&world), ["cart: open, recovered"]);
    assert_eq!(world.states().len(), 1);
}

#[test]
fn a_target_that_changes_its_service_starts_anew_there() {
    let members = [replica("cart", 0, leaking(300.0))];
    let mut world = world(&members);
    world.run_for(HOUR);
    let moved = leakscope_model::Target { service: "basket".into(), ..members[0].target.clone() };
    world.discover(vec![moved]);
    assert_eq!(world.states().values().copied().collect::<Vec<_>>(), [State::TooEarly]);
    world.run_for(HOUR);
    assert_eq!(lives(&world), ["cart: open, recovered", "basket: open"]);
}

#[test]
fn targets_that_hang_refuse_or_never_answer_delay_nobody_else() {
    let always = |hangs, refuses, lost| Faults { latency_ms: 50.0, refuses, hangs, lost };
    let mut members: Vec<Member> = (0..8).map(|number| replica("cart", number, Model::default())).collect();
    for (member, faults) in
        members.iter_mut().zip([always(1.0, 0.0, 0.0), always(0.0, 1.0, 0.0), always(0.0, 0.0, 1.0)])
    {
        member.faults = faults;
    }
    let mut world = world(&members);
    world.run_for(2 * HOUR);
    for (id, watch) in world.engine().watches() {
        let place = members.iter().position(|member| member.target.id == id).unwrap();
        match place {
            0 | 1 => assert_eq!(watch.health.up, Some(false), "{place}"),
            2 => assert_eq!(watch.health.up, None),
            _ => assert_eq!(watch.state(), State::Steady, "{place}"),
        }
    }
    assert_eq!(world.n_samples(), 5 * 120);
    // What was lost is asked again: the silent one answers as soon as it can.
    world.disturb(members[2].target.id, Faults::NONE);
    world.run_for(5 * MINUTE);
    assert_eq!(world.engine().watch(members[2].target.id).unwrap().health.up, Some(true));
}

#[test]
fn a_leak_is_found_through_a_bad_network() {
    let mut bad = replica("cart", 0, leaking(150.0));
    bad.faults = Faults { latency_ms: 5_000.0, refuses: 0.1, hangs: 0.1, lost: 0.05 };
    let mut world = world(&[bad]);
    world.run_for(3 * HOUR);
    assert_eq!(lives(&world), ["cart: open"]);
}

#[test]
fn containers_on_one_page_are_targets_of_their_own() {
    let mut page = replica("node", 0, Model::default());
    page.parts = vec![("shop/cart-1/cart".into(), leaking(300.0)), ("shop/web-1/web".into(), Model::default())];
    let members = [page];
    let mut world = world(&members);
    world.run_for(HOUR);
    let services: Vec<&str> = world.engine().services().map(|view| view.key.name.as_str()).collect();
    assert_eq!(services, ["node", "shop/cart-1/cart", "shop/web-1/web"]);
    assert_eq!(lives(&world), ["shop/cart-1/cart: open"]);
    world.discover(Vec::new());
    assert_eq!(world.engine().watches().count(), 0);
    assert_eq!(lives(&world), ["shop/cart-1/cart: open, recovered"]);
}

/// Twelve services of all sorts, some leaking, all answering within a second of being asked.
fn shop() -> Vec<Member> {
    let healthy = scenario::look_alikes();
    (0..12)
        .map(|number| {
            let model =
                if number % 4 == 0 { leaking(60.0 + 20.0 * number as f64) } else { healthy[number].model.clone() };
            replica(&format!("service-{number}"), 0, model)
        })
        .collect()
}

#[test]
fn a_restart_of_leakscope_changes_no_incident_and_no_state() {
    let members = shop();
    let mut through = world(&members);
    through.run_for(30 * HOUR);
    for in_order in [true, false] {
        let mut broken = world(&members);
        for _ in 0..3 {
            broken.run_for(9 * HOUR);
            while_nothing_is_asked(&mut broken);
            broken.restart(in_order);
        }
        let passed = broken.now().since(scenario::BEGIN);
        broken.run_for((30 * HOUR).saturating_sub(passed));
        assert_eq!(through.states(), broken.states());
        assert_eq!(through.incidents().collect::<Vec<_>>(), broken.incidents().collect::<Vec<_>>());
        assert!(through.incidents().count() >= 3);
    }
}

/// Lets time pass until no answer is on its way.
fn while_nothing_is_asked(world: &mut World) {
    while world.n_awaited() > 0 {
        world.run_for(Duration::from_millis(1));
    }
}

#[test]
fn the_order_of_targets_does_not_matter() {
    let members = shop();
    let run = |order: &[usize]| {
        let mut world = World::new(EngineConfig::default());
        world.start(&members);
        world.discover(order.iter().map(|place| members[*place].target.clone()).collect());
        world.run_for(8 * HOUR);
        let mut incidents: Vec<_> = world.incidents().cloned().collect();
        incidents.sort_by(|a, b| a.service.cmp(&b.service));
        let states: Vec<String> = world.states().iter().map(|state| format!("{state:?}")).collect();
        (states, incidents)
    };
    let forward: Vec<usize> = (0..members.len()).collect();
    let mut shuffled = forward.clone();
    let mut rng = Rng::new(3);
    for place in (1..shuffled.len()).rev() {
        shuffled.swap(place, (rng.unit() * (place + 1) as f64) as usize);
    }
    assert_ne!(forward, shuffled);
    assert_eq!(run(&forward), run(&shuffled));
}

#[test]
fn a_restart_of_a_process_never_raises_an_alarm_by_itself() {
    let mut members = Vec::new();
    // A cache that fills for hours may be taken for a leak, with restarts or without.
    let scenarios = scenario::look_alikes().into_iter().filter(|scenario| !scenario.name.starts_with("cache"));
    for (number, scenario) in scenarios.enumerate() {
        for (place, every) in [0.4, 1.3, 5.0].into_iter().enumerate() {
            let model = Model { restart_every_h: Some(every), ..scenario.model.clone() };
            members.push(replica(&format!("service-{number}"), place, model));
        }
    }
    let mut world = world(&members);
    world.run_for(48 * HOUR);
    assert_eq!(lives(&world), Vec::<String>::new());
}

#[test]
fn the_compressed_clock_gives_verdicts_in_minutes() {
    let config =
        EngineConfig { time_scale: 60.0, checkpoint_interval: Duration::from_secs(10), ..EngineConfig::default() };
    let mut world = World::new(config);
    let second = Duration::from_secs(1);
    // On the detector's clock these leak 5 MiB a minute.
    let members =
        [member("leaks", 0, second, leaking(5.0 * 3_600.0), 1), member("holds", 0, second, Model::default(), 2)];
    world.start(&members);
    world.discover(targets(&members));
    world.run_for(Duration::from_secs(100));
    assert_eq!(lives(&world), ["leaks: open, gathered, explained, explained"]);
    let watch = world.engine().watch(members[0].target.id).unwrap();
    let growth = watch.verdict().growth.unwrap().per_hour.mid.0;
    assert!((growth / (5.0 * 60.0 * MIB) - 1.0).abs() < 0.1, "{growth}");
}

#[test]
fn a_list_that_is_empty_for_a_moment_costs_no_evidence() {
    let mut target = targets(&shop()).remove(0);
    target.interval = MINUTE;
    let mut engine = Engine::new(EngineConfig::default(), Restored::default());
    let mut effects = Vec::new();
    let minute = |n: i64| Timestamp::from_millis(1_000_000_000_000 + n * 60_000);
    engine.handle(minute(0), Event::TargetsSeen(vec![target.clone()]), &mut effects);
    for n in 1..240 {
        let readings = Readings::from_iter([(Signal::Rss, 1e8 + 1e6 * n as f64), (Signal::Limit, 1e9)]);
        engine.replay(minute(n), target.id, readings, &mut effects);
    }
    assert_eq!(engine.watch(target.id).map(Watch::state), Some(State::Leaking));
    engine.handle(minute(240), Event::TargetsSeen(Vec::new()), &mut effects);
    assert_eq!(engine.incidents().map(|incident| incident.state).collect::<Vec<_>>(), [IncidentState::Recovered]);
    engine.handle(minute(241), Event::TargetsSeen(vec![target.clone()]), &mut effects);
    assert_eq!(engine.watch(target.id).map(Watch::state), Some(State::Leaking));
    assert_eq!(engine.incidents().map(|incident| incident.state).collect::<Vec<_>>(), [IncidentState::Open]);
}
