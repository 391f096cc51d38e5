//! What targets tell of each other: replicas of one service, and how many are watched.

use std::collections::BTreeSet;

use leakscope_engine::{Engine, EngineConfig, Event, Restored, Watch};
use leakscope_model::{Readings, Reason, Signal, State, Timestamp};
use leakscope_sim::rng::Rng;
use leakscope_sim::run::World;
use leakscope_sim::scenario::BEGIN;
use leakscope_sim::service::{Fill, MIB, Model};

use crate::{HOUR, MINUTE, replica, targets};

/// The states of a replica over its first day, beside peers that were there for two days before it.
fn states_of_a_new_replica(n_peers: usize) -> BTreeSet<State> {
    let cache = Model { fills: vec![Fill { size: 330.0 * MIB, tau_min: 90.0 }], ..Model::default() };
    let members: Vec<_> = (0..=n_peers).map(|number| replica("cart", number, cache.clone())).collect();
    let (peers, new) = (&members[..n_peers], members[n_peers].target.id);
    let mut world = World::new(EngineConfig::default());
    world.start(peers);
    world.discover(targets(peers));
    world.run_for(48 * HOUR);
    assert!(world.states().values().all(|state| *state == State::Steady));
    world.start(&members);
    world.discover(targets(&members));
    let minute = |_| {
        world.run_for(MINUTE);
        world.engine().watch(new).map(Watch::state)
    };
    (0..24 * 60).filter_map(minute).collect()
}

#[test]
fn a_new_replica_that_comes_up_to_the_level_of_another_is_no_suspect() {
    assert_eq!(states_of_a_new_replica(1), BTreeSet::from([State::TooEarly, State::Steady]));
}

#[test]
fn the_same_growth_is_a_suspect_where_no_replica_shows_its_level() {
    assert_eq!(states_of_a_new_replica(0), BTreeSet::from([State::TooEarly, State::Steady, State::Suspect]));
}

/// The moments at which what is said of one leak changes, in minutes: its state, and among how many its alarm is withheld.
///
/// It begins after two hours, 2 MB a minute; the other targets are watched as long and are healthy.
fn said_of_a_leak_among(n_targets: usize) -> Vec<(i64, State, Option<usize>)> {
    let members: Vec<_> = (0..n_targets).map(|number| replica(&number.to_string(), 0, Model::default())).collect();
    let targets = targets(&members);
    let mut engine = Engine::new(EngineConfig::default(), Restored::default());
    let (mut effects, mut rng, mut said) = (Vec::new(), Rng::new(1), Vec::new());
    engine.handle(BEGIN, Event::TargetsSeen(targets.clone()), &mut effects);
    for n in 1..300 {
        let at = Timestamp::from_millis(BEGIN.as_millis() + n * 60_000);
        let resident = |value| Readings::from_iter([(Signal::Rss, value), (Signal::Limit, 1e9)]);
        for healthy in &targets[1..] {
            engine.replay(at, healthy.id, resident(1e8 + 1e6 * rng.normal()), &mut effects);
        }
        let leaked = 2e6 * (n - 120).max(0) as f64;
        engine.replay(at, targets[0].id, resident(1e8 + leaked + 1e5 * (n * 7 % 11) as f64), &mut effects);
        engine.handle(at, Event::Tick, &mut effects);
        effects.clear();
        let verdict = engine.watch(targets[0].id).expect("it was listed").verdict();
        let withheld = verdict.reasons.iter().find_map(|reason| match reason {
            Reason::Withheld { targets } => Some(*targets),
            _ => None,
        });
        if said.last().is_none_or(|(_, state, among)| (*state, *among) != (verdict.state, withheld)) {
            said.push((n, verdict.state, withheld));
        }
        assert_eq!(engine.incidents().count(), usize::from(verdict.state == State::Leaking));
    }
    said
}

#[test]
fn an_alarm_that_stands_alone_is_withheld_among_500_targets_until_evidence_grows() {
    let alone = said_of_a_leak_among(1);
    let [.., (_, State::Suspect, None), (alarm, State::Leaking, None)] = alone[..] else { panic!("{alone:?}") };
    let among = said_of_a_leak_among(500);
    let [.., (withheld, State::Suspect, Some(500)), (stands, State::Leaking, None)] = among[..] else {
        panic!("{among:?}")
    };
    assert_eq!(withheld, alarm);
    // 2 MB a minute leave the process five hours and a half.
    assert!((1..=90).contains(&(stands - withheld)), "{among:?}");
}
