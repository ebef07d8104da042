//! What is read back from a vault or a journal, fed with what c8keep has written and what may have become of it on the way:
//! another version, a bad disk, a hand that knew better. The examples are of one backup of the simulated installation.

use std::fmt::Debug;

use c8keep_fuzz::{Input, feed};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backup::PartName;
use crate::claim::{Claim, Watched, bid};
use crate::database::DatabaseName;
use crate::manifest::{Manifest, Release, restore_guide};
use crate::run::{Event, InFlight, Run, RunId};
use crate::witness::exported_position;
use crate::{BackupId, CamundaVersion, Fault, FaultKind};

const EVENTS: &[u8] = include_bytes!("../fixtures/events.json");
const MANIFEST: &[u8] = include_bytes!("../fixtures/manifest.json");
const CLAIM: &[u8] = include_bytes!("../fixtures/claim.json");
/// Longer than any guide, for a hundred indices and partitions.
const GUIDE_BYTES_MAX: usize = 4_000_000;

/// What can be read can be written, and reads as the same again.
fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(input: &Input) -> Option<T> {
    let read: T = serde_json::from_slice(&input.bytes).ok()?;
    let written = serde_json::to_vec(&read).unwrap();
    assert_eq!(serde_json::from_slice::<T>(&written).unwrap(), read);
    Some(read)
}

fn instant(input: &Input) -> Timestamp {
    let far = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX];
    let near =
        Timestamp::from_second(1_795_418_000 + i64::try_from(input.number % 100_000).unwrap()).unwrap();
    if input.number.is_multiple_of(4) { input.pick(&far) } else { near }
}

#[test]
fn manifests() {
    assert!(serde_json::from_slice::<Manifest>(MANIFEST).is_ok(), "an example is one");
    feed("manifests", &[MANIFEST.to_vec()], |input| {
        let manifest = reads_back::<Manifest>(input);
        let guide = manifest.as_ref().map(restore_guide).unwrap_or_default();
        assert!(guide.len() < GUIDE_BYTES_MAX);
        manifest
            .iter()
            .flat_map(|m| &m.parts)
            .take(20)
            .map(|part| part.title().chars().take(99).collect())
            .collect()
    });
}

#[test]
fn releases() {
    let example = br#"{"run": "backup-17", "paused_at": "2026-11-23T07:28:32Z", "resumed_at": null}"#;
    feed("releases", &[example.to_vec()], |input| {
        reads_back::<Release>(input);
        Vec::new()
    });
}

#[test]
fn claims() {
    let example: Claim = serde_json::from_slice(CLAIM).unwrap();
    feed("claims", &[CLAIM.to_vec()], |input| {
        if let Some(claim) = reads_back::<Claim>(input) {
            let watched = Watched { first: example.clone(), since: Timestamp::UNIX_EPOCH };
            let us = input.pick(&["host-a/1", "host-b/2"]);
            let _ = bid(Some(&claim), us, None, Timestamp::UNIX_EPOCH);
            let _ = bid(Some(&claim), us, Some(&watched), Timestamp::UNIX_EPOCH);
        }
        Vec::new()
    });
}

/// A journal of which one event is another one folds, or says why not; and whatever it folds to has a next step.
#[test]
fn journals() {
    let events: Vec<Event> = serde_json::from_slice(EVENTS).unwrap();
    assert!(Run::replay(events.clone()).unwrap().outcome().is_some(), "an example is a whole run");
    let each: Vec<Vec<u8>> = events.iter().map(|event| serde_json::to_vec(event).unwrap()).collect();
    feed("journals", &each, |input| {
        let Some(event) = reads_back::<Event>(input) else { return Vec::new() };
        let mut journal = events.clone();
        let place = usize::try_from(input.number).unwrap() % journal.len();
        match input.number / 7 % 3 {
            0 => journal[place] = event,
            1 => journal.insert(place, event),
            _ => {
                journal.truncate(place);
                journal.push(event);
            }
        }
        folded(journal, instant(input))
    });
}

fn folded(journal: Vec<Event>, now: Timestamp) -> Vec<String> {
    match Run::replay(journal) {
        Ok(run) => {
            let _ = run.next(now, &InFlight::default());
            let _ = run.next_release(now, &InFlight::default());
            let _ = run.hold().length(now);
            Vec::new()
        }
        // As it is told: within a fault.
        Err(refused) => vec![Fault::new(FaultKind::Damaged, "reading", "a run", refused.to_string()).answer],
    }
}

/// A whole journal in which anything may stand anywhere.
#[test]
fn whole_journals() {
    feed("whole journals", &[EVENTS.to_vec()], |input| {
        let events: Result<Vec<Event>, _> = serde_json::from_slice(&input.bytes);
        events.map(|events| folded(events, instant(input))).unwrap_or_default()
    });
}

/// Ids, versions and names that others have made up.
#[test]
fn words() {
    let texts = [
        "1748937221",
        "backup-1748937221.2",
        "9223372036854775807",
        "8.6.0",
        "8.10.0-alpha2",
        "web-modeler",
        "291-1-707-458-0-ab12",
        "camunda_operate_17_8.6.0_part_1_of_6",
    ];
    let examples: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    feed("words", &examples, |input| {
        let text = input.text();
        if let Ok(id) = text.parse::<BackupId>() {
            assert_eq!(id.to_string(), text, "an id is written in one way only");
            let next = BackupId::generate(instant(input), Some(id));
            assert!(next.is_none_or(|next| next > id && BackupId::new(next.get()).is_ok()));
        }
        if let Ok(version) = text.parse::<CamundaVersion>() {
            assert_eq!(version.to_string().parse::<CamundaVersion>().unwrap(), version);
        }
        if let Ok(name) = text.parse::<DatabaseName>() {
            assert_eq!(name.to_string(), text);
        }
        let _ = (PartName::parse(&text), exported_position(&text), RunId(text.clone()).backup());
        Vec::new()
    });
}
