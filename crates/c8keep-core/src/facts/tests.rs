use super::*;
use crate::run::{Answer, Event};

fn reading(address: &str, node: Option<u32>, roles: &[(u32, &str, i64)]) -> BrokerReading {
    let replica = |(n, role, exported): &(u32, &str, i64)| {
        let (role, phase) = ((*role).into(), "SOFT_PAUSED".into());
        (*n, PartitionReading { role, phase, exported: *exported, processed: None, snapshot: None })
    };
    let partitions = roles.iter().map(replica).collect();
    BrokerReading { node, address: address.into(), unread: None, partitions }
}

/// A gateway that is part of a broker answers for it, a moment later; two brokers that only follow are two.
#[test]
fn a_broker_behind_two_addresses_is_paused_once() {
    let paused = |brokers: Vec<BrokerReading>| {
        Positions { at: Timestamp::UNIX_EPOCH, brokers }.paused().into_iter().map(|(name, ..)| name).collect()
    };
    let one: Vec<String> = paused(vec![
        reading("http://gateway", None, &[(1, "LEADER", 10)]),
        reading("http://b0", None, &[(1, "LEADER", 12)]),
        reading("http://b1", None, &[(1, "FOLLOWER", 12)]),
        reading("http://b2", None, &[(1, "FOLLOWER", 12)]),
    ]);
    assert_eq!(one, ["http://gateway", "http://b1", "http://b2"]);
    let told: Vec<String> = paused(vec![
        reading("http://gateway", Some(0), &[(1, "FOLLOWER", 10)]),
        reading("http://b0", Some(0), &[(1, "FOLLOWER", 12)]),
        reading("http://b1", Some(1), &[(1, "LEADER", 12)]),
        reading("http://b2", Some(2), &[(1, "LEADER", 12)]),
    ]);
    assert_eq!(told, ["broker 0", "broker 1", "broker 2"]);
    let many = |phase: &str, silent: bool| {
        let roles = [(1, "LEADER", 10), (2, "FOLLOWER", 10)];
        let mut brokers: Vec<BrokerReading> = (0..2).map(|n| reading("http://b", Some(n), &roles)).collect();
        brokers[1].partitions.get_mut(&2).unwrap().phase = phase.into();
        let unread = BrokerReading { unread: Some("refused".into()), ..reading("http://b2", Some(2), &[]) };
        brokers.extend(silent.then_some(unread));
        Positions { at: Timestamp::UNIX_EPOCH, brokers }.wholly_paused()
    };
    assert_eq!(many("SOFT_PAUSED", false).unwrap(), "all 4 replicas of 2 brokers");
    assert_eq!(many("SOFT_PAUSED", true).unwrap(), "all 4 replicas of 2 brokers that were read");
    assert_eq!(many("EXPORTING", false), None);
}

/// An address that nobody answers at says nothing for another one of the same broker.
#[test]
fn an_address_out_of_reach_hides_no_pause() {
    let silent = BrokerReading { unread: Some("refused".into()), ..reading("http://old", Some(0), &[]) };
    let brokers = vec![silent, reading("http://b0", Some(0), &[(1, "LEADER", 10)])];
    let paused = Positions { at: Timestamp::UNIX_EPOCH, brokers }.paused();
    assert_eq!(paused, [("broker 0".to_owned(), 1, "SOFT_PAUSED".to_owned())]);
}

/// Facts lie inside two tagged enums in the journal, where serde loses the kind of map keys.
#[test]
fn positions_survive_the_journal() {
    let reading = PartitionReading {
        role: "LEADER".into(),
        phase: "SOFT_PAUSED".into(),
        exported: 1418,
        processed: Some(8000),
        snapshot: None,
    };
    let broker = BrokerReading {
        node: Some(0),
        address: "http://b".into(),
        unread: None,
        partitions: [(1, reading.clone()), (2, reading)].into(),
    };
    let at = Timestamp::UNIX_EPOCH;
    let fact = Fact::FirstPositions(Positions { at, brokers: vec![broker] });
    let event = Event::Answered { step: "read-positions".into(), attempt: 1, answer: Answer::from(fact), at };
    let stored = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), event);
}
