//! Deliveries: kept until they were told or given up, in order within a group, and never handed out again after that.

use std::time::Duration;

use leakscope_model::IncidentId;
use leakscope_store::{Delivery, NewDelivery, Retention, Store};

use crate::sketch::{at, delivery};

fn due(store: &Store, now: i64) -> Vec<u64> {
    store.due_deliveries(at(now), 100).unwrap().into_iter().map(|delivery| delivery.id).collect()
}

#[test]
fn a_delivery_comes_back_as_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let over = NewDelivery { firing: false, incident: None, next_try_at: at(9), ..delivery("mail", "cart", 4) };
    assert_eq!(store.enqueue(&[delivery("chat", "cart", 3), over]).unwrap(), [1, 2]);
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    let first = Delivery {
        id: 1,
        receiver: "chat".to_owned(),
        key: "cart".to_owned(),
        incident: Some(IncidentId(1)),
        firing: true,
        body: "{\"created\":3}".to_owned(),
        created_at: at(3),
        next_try_at: at(3),
        attempts: 0,
        delivered_at: None,
        given_up: false,
        last_error: None,
    };
    let second = Delivery {
        id: 2,
        receiver: "mail".to_owned(),
        incident: None,
        firing: false,
        body: "{\"created\":4}".to_owned(),
        created_at: at(4),
        next_try_at: at(9),
        ..first.clone()
    };
    assert_eq!(store.deliveries(9).unwrap(), [second, first.clone()]);
    assert_eq!(store.due_deliveries(at(8), 9).unwrap(), [first]);
    assert_eq!(due(&store, 9), [1, 2]);
    assert_eq!(store.due_deliveries(at(9), 1).unwrap().len(), 1);
}

#[test]
fn what_was_delivered_or_given_up_is_not_due_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.enqueue(&[delivery("chat", "a", 1), delivery("chat", "b", 1), delivery("chat", "c", 1)]).unwrap();
    store.delivery_failed(1, "status 503", Some(at(60))).unwrap();
    store.delivery_failed(2, "status 400", None).unwrap();
    store.delivery_done(3, at(5)).unwrap();
    drop(store);
    let store = Store::open(folder.path()).unwrap();
    assert_eq!(due(&store, 59), [0; 0]);
    assert_eq!(due(&store, 60), [1]);
    store.delivery_done(1, at(61)).unwrap();
    let outcomes: Vec<_> = store.deliveries(9).unwrap().into_iter().map(outcome).collect();
    let expected = [
        (3, 1, Some(at(5)), false, None),
        (2, 1, None, true, Some("status 400".to_owned())),
        (1, 2, Some(at(61)), false, Some("status 503".to_owned())),
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(due(&store, 1_000), [0; 0]);
}

fn outcome(delivery: Delivery) -> (u64, u32, Option<leakscope_model::Timestamp>, bool, Option<String>) {
    (delivery.id, delivery.attempts, delivery.delivered_at, delivery.given_up, delivery.last_error)
}

#[test]
fn a_later_delivery_of_a_group_waits_for_the_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let over = NewDelivery { firing: false, ..delivery("chat", "cart", 2) };
    store
        .enqueue(&[delivery("chat", "cart", 1), over, delivery("chat", "shop", 2), delivery("mail", "cart", 2)])
        .unwrap();
    assert_eq!(due(&store, 2), [1, 3, 4]);
    store.delivery_failed(1, "status 503", Some(at(60))).unwrap();
    assert_eq!(due(&store, 2), [3, 4], "that it is over is not told before that it began");
    store.delivery_failed(1, "status 503", None).unwrap();
    assert_eq!(due(&store, 2), [2, 3, 4]);
}

#[test]
fn ended_deliveries_go_by_age_and_their_numbers_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    store.enqueue(&[delivery("chat", "a", 1), delivery("chat", "b", 1), delivery("chat", "c", 1)]).unwrap();
    store.delivery_failed(2, "status 400", None).unwrap();
    store.delivery_done(3, at(5)).unwrap();
    let forever = Duration::from_hours(1_000_000);
    let retention = Retention { samples_age_max: forever, incidents_age_max: Duration::from_secs(1), size_max: None };
    store.retain(at(10_000), retention).unwrap();
    assert_eq!(store.deliveries(9).unwrap().into_iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [1]);
    assert_eq!(store.enqueue(&[delivery("chat", "d", 2)]).unwrap(), [4]);
}
