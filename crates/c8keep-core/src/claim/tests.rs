use jiff::{SignedDuration, Timestamp};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn claim(term: u64, renewal: u64) -> Claim {
    Claim {
        format: CLAIM_FORMAT,
        installation: "default".into(),
        term,
        renewal,
        by: "1@a".into(),
        journal: "a".into(),
        at: at(0),
        held: None,
        left: false,
    }
}

fn lease(sent_at: i64) -> Lease {
    Lease { term: 1, renewal: 0, sent_at: at(sent_at), superseded_by: None }
}

/// Everything that decides about a bid, in all combinations.
#[test]
fn bids() {
    for newest in [None, Some(claim(3, 2))] {
        for left in [false, true] {
            for us in ["a", "b"] {
                for moved in [None, Some(false), Some(true)] {
                    for waited in [0, 59, 60, 61] {
                        let newest = newest.clone().map(|claim| Claim { left, ..claim });
                        let watched = moved.map(|moved| Watched {
                            first: claim(3, if moved { 1 } else { 2 }),
                            since: at(0),
                        });
                        let expected = match (&newest, us, moved) {
                            (None, ..) => Bid::Take(1),
                            (Some(_), "a", _) => Bid::Take(4),
                            _ if left => Bid::Take(4),
                            (_, _, None) => Bid::Watch(at(waited + 60)),
                            (_, _, Some(true)) => Bid::Busy,
                            (_, _, Some(false)) if waited >= 60 => Bid::Take(4),
                            _ => Bid::Watch(at(60)),
                        };
                        let is = bid(newest.as_ref(), us, watched.as_ref(), at(waited));
                        assert_eq!(is, expected, "{newest:?} {us} {moved:?} {waited}");
                    }
                }
            }
        }
    }
}

/// Found by feeding: a damaged claim, for which the count began anew at zero.
#[test]
fn there_is_no_term_above_the_highest() {
    let newest = Claim { left: true, ..claim(u64::MAX, 0) };
    assert_eq!(bid(Some(&newest), "b", None, at(0)), Bid::Take(u64::MAX));
}

/// A new term while watching means that somebody else was faster.
#[test]
fn a_new_term_is_somebody_alive() {
    let watched = Watched { first: claim(3, 2), since: at(0) };
    assert_eq!(bid(Some(&claim(4, 0)), "b", Some(&watched), at(100)), Bid::Busy);
}

/// The clock of the claim's writer means nothing.
#[test]
fn what_a_claim_says_of_time_is_not_believed() {
    for written in [-1_000_000, 0, 1_000_000] {
        let newest = Claim { at: at(written), ..claim(3, 2) };
        let watched = Watched { first: newest.clone(), since: at(0) };
        assert_eq!(bid(Some(&newest), "b", Some(&watched), at(59)), Bid::Watch(at(60)));
        assert_eq!(bid(Some(&newest), "b", Some(&watched), at(60)), Bid::Take(4));
    }
}

#[test]
fn standings() {
    for (age, standing) in
        [(-1, Standing::Stale), (0, Standing::Sure), (44, Standing::Sure), (45, Standing::Stale)]
    {
        assert_eq!(lease(0).standing(at(age)), standing, "{age}");
        let lost = Lease { superseded_by: Some("2@b".into()), ..lease(0) };
        assert_eq!(lost.standing(at(age)), Standing::Lost, "{age}");
    }
}

/// At no instant is an owner sure while somebody who began to watch when the renewal could first be seen may take over.
#[test]
fn the_owner_is_unsure_before_anybody_takes_over() {
    for arrived in 0..30 {
        for now in 0..120 {
            let watched = Watched { first: claim(3, 2), since: at(arrived) };
            let taken = bid(Some(&claim(3, 2)), "b", Some(&watched), at(now)) == Bid::Take(4);
            let sure = lease(0).standing(at(now)) == Standing::Sure;
            assert!(!(taken && sure), "arrived {arrived}, now {now}");
        }
    }
    assert!(GOOD_FOR > RENEW_EVERY * 2 && WATCH_FOR > GOOD_FOR, "a renewal may be lost once");
}

#[test]
fn paths() {
    assert_eq!(path("default", 7, 0), "default/claims/7.json");
    assert_eq!(path("default", 7, 12), "default/claims/7.12.json");
}

#[test]
fn the_last_number_is_found_by_few_questions() {
    for known in [0_u64, 1, 5] {
        for last in (known..200).chain([9_999, 1 << 40]) {
            let mut search = Last::after(known);
            let mut asked = 0;
            while let Some(number) = search.question() {
                asked += 1;
                assert!(asked < 100 && number > known);
                search.answer(number, number <= last);
            }
            assert_eq!(search.found(), last);
            assert!(last > 10_000 || asked <= 30, "{asked} questions for {last}");
        }
    }
}

#[test]
fn a_claim_is_read_as_it_was_written() {
    let held = Held {
        run: RunId("backup-1".into()),
        fingerprint: Fingerprint::told(Some("f"), "", ""),
        since: at(1),
    };
    let written = Claim { held: Some(held), ..claim(3, 2) };
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Claim>(&text).unwrap(), written);
    let later = text.replacen('{', "{\"a later field\":1,", 1);
    assert_eq!(serde_json::from_str::<Claim>(&later).unwrap(), written);
    assert_eq!(lease(0).renewal_due(), at(0) + SignedDuration::from_secs(20));
}
