//! The oracle: restores a backup in thought and compares the outcome with what the engine knew at the checkpoint.
//!
//! The search server gets the snapshots of the id, each partition its saved snapshot and log up to the checkpoint.
//! Exporters start again after the position acknowledged inside the runtime backup, importers after the one they had
//! stored. What neither the snapshots nor these two bring back is lost for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::apps::{App, Role};
use super::partition::{ExporterId, Partition, Record, ValueType};
use super::runtime::{PartitionBackup, State};
use super::search::{Content, Reach, Snapshot, SnapshotState};
use super::verdict::{Loss, LossKind, NAMED, Verdict};

/// What the snapshots of one id bring back.
#[derive(Default)]
struct Restored {
    /// Per value type and day.
    records: BTreeMap<(ValueType, u32), Reach>,
    /// Per application and index.
    apps: BTreeMap<(App, String), (Role, Reach)>,
}

/// Where one restored partition stands.
struct Engine {
    checkpoint: u64,
    acked: BTreeMap<ExporterId, u64>,
}

#[derive(Default)]
struct Findings {
    losses: Vec<Loss>,
    /// Process instances that are not whole after the restore.
    broken: BTreeSet<u32>,
}

/// Records of one kind of loss in one place.
struct Group<'a> {
    kind: LossKind,
    place: &'a str,
    partition: u32,
    found: Vec<(u64, u32)>,
    why: &'a str,
}

impl World {
    /// Says what restoring this backup would bring back. The world itself stays as it is.
    pub fn restore(&self, backup: u64) -> Verdict {
        let mut findings = Findings::default();
        let restored = self.restored_search(backup, &mut findings);
        let engines = self.restored_engines(backup, &mut findings);
        for (id, engine) in &engines {
            let Some(partition) = self.partitions.get(id) else { continue };
            if self.config.records_exporter {
                check_records(*id, partition, engine, &restored, &mut findings);
            }
            for app in self.apps.keys() {
                check_app(*app, *id, partition, engine, &restored, &mut findings);
            }
        }
        self.check_torn(&engines, &mut findings);
        self.verdict(backup, &engines, findings)
    }

    fn restored_search(&self, backup: u64, findings: &mut Findings) -> Restored {
        let mut restored = Restored::default();
        let found: BTreeMap<&String, &Snapshot> = self.search.stored().collect();
        for app in self.apps.keys() {
            for part in 1..=app.parts(&self.config) {
                let name = self.part_name(*app, backup, part);
                Self::take_in(found.get(&name).copied(), &name, &mut restored, findings);
            }
        }
        if self.config.records_exporter {
            let name = format!("camunda_zeebe_records_backup_{backup}");
            Self::take_in(found.get(&name).copied(), &name, &mut restored, findings);
        }
        restored
    }

    fn take_in(snapshot: Option<&Snapshot>, name: &str, into: &mut Restored, findings: &mut Findings) {
        let state = match snapshot.map(|snapshot| &snapshot.state) {
            Some(SnapshotState::Success) => None,
            Some(SnapshotState::Running) => Some("the snapshot is still running"),
            Some(SnapshotState::Partial) => Some("the snapshot is partial"),
            None => Some("there is no such snapshot"),
        };
        if let Some(what) = state {
            findings.missing(name, None, what);
        }
        for (index, copy) in snapshot.into_iter().flat_map(|snapshot| &snapshot.indices) {
            let reach = copy.copied.as_ref().map(|(reach, _)| reach.clone()).unwrap_or_default();
            match copy.content {
                Content::Records { kind, day } => {
                    into.records.insert((kind, day), reach);
                }
                Content::App { app, role } => {
                    into.apps.insert((app, index.clone()), (role, reach));
                }
            }
        }
    }

    fn restored_engines(&self, backup: u64, findings: &mut Findings) -> BTreeMap<u32, Engine> {
        let none = BTreeMap::new();
        let parts = self.runtime.backups.get(&backup).unwrap_or(&none);
        let mut engines = BTreeMap::new();
        for (id, partition) in &self.partitions {
            let what = match parts.get(id).map(|part| (&part.state, part)) {
                Some((State::Completed, part)) => {
                    check_gap(*id, partition, part, findings);
                    engines.insert(*id, engine(part, partition));
                    continue;
                }
                Some((State::Failed(reason), _)) => format!("failed: {reason}"),
                Some(_) => "not complete".to_owned(),
                None => "does not exist".to_owned(),
            };
            findings.missing(&format!("runtime backup {backup}"), Some(*id), &what);
        }
        engines
    }

    fn check_torn(&self, engines: &BTreeMap<u32, Engine>, findings: &mut Findings) {
        let known =
            |(id, position): &(u32, u64)| engines.get(id).map(|engine| *position <= engine.checkpoint);
        let torn = self
            .load
            .parents
            .iter()
            .filter(|(child, parent)| known(child) == Some(true) && known(parent) == Some(false));
        let mut by_partition: BTreeMap<u32, Vec<(u64, u32)>> = BTreeMap::new();
        for ((id, position), _) in torn {
            let record =
                self.partitions.get(id).and_then(|partition| partition.range(*position, *position).next());
            let instance = record.map_or(0, |(_, record)| record.instance);
            by_partition.entry(*id).or_default().push((*position, instance));
        }
        for (partition, found) in by_partition {
            let why = "answer messages that their restored sender has not sent yet";
            findings.group(&Group { kind: LossKind::Torn, place: "engine", partition, found, why });
        }
    }

    fn verdict(&self, backup: u64, engines: &BTreeMap<u32, Engine>, findings: Findings) -> Verdict {
        let mut known = BTreeSet::new();
        let mut records = 0;
        for (id, partition) in &self.partitions {
            let checkpoint = engines.get(id).map_or(partition.processed(), |engine| engine.checkpoint);
            records += checkpoint;
            let created = partition.range(1, checkpoint);
            known.extend(
                created
                    .filter(|(_, r)| r.kind == ValueType::ProcessInstanceCreation)
                    .map(|(_, r)| r.instance),
            );
        }
        // Camunda's restore refuses a backup of which a partition is absent: nothing comes back.
        let whole = if engines.len() == self.partitions.len() {
            known.difference(&findings.broken).count()
        } else {
            0
        };
        Verdict {
            backup,
            instances_at_checkpoint: known.len() as u64,
            instances_restored: whole as u64,
            records_at_checkpoint: records,
            losses: findings.losses,
        }
    }
}

impl Findings {
    fn missing(&mut self, place: &str, partition: Option<u32>, what: &str) {
        let what = partition.map_or_else(|| what.to_owned(), |id| format!("partition {id} {what}"));
        self.losses.push(Loss {
            kind: LossKind::Missing,
            place: place.to_owned(),
            partition,
            records: 1,
            instances: 0,
            examples: Vec::new(),
            what,
        });
    }

    fn group(&mut self, group: &Group<'_>) {
        let (Some((first, _)), Some((last, _))) = (group.found.iter().min(), group.found.iter().max()) else {
            return;
        };
        let concerned: BTreeSet<u32> =
            group.found.iter().map(|(_, instance)| *instance).filter(|i| *i > 0).collect();
        let positions: BTreeSet<u64> = group.found.iter().map(|(position, _)| *position).collect();
        if group.kind != LossKind::Ghost {
            self.broken.extend(&concerned);
        }
        self.losses.push(Loss {
            kind: group.kind,
            place: group.place.to_owned(),
            partition: Some(group.partition),
            records: positions.len() as u64,
            instances: concerned.len() as u64,
            examples: concerned.iter().copied().take(NAMED).collect(),
            what: format!("positions {first} to {last} of partition {} {}", group.partition, group.why),
        });
    }
}

fn engine(part: &PartitionBackup, partition: &Partition) -> Engine {
    let acked = match &part.snapshot {
        Some(snapshot) => snapshot.acked.clone(),
        None => partition.exporters.keys().map(|id| (*id, 0)).collect(),
    };
    Engine { checkpoint: part.checkpoint, acked }
}

fn check_gap(id: u32, partition: &Partition, part: &PartitionBackup, findings: &mut Findings) {
    let needed_after = part.snapshot.as_ref().map_or(0, super::partition::LocalSnapshot::bound);
    let saved_after = part.log_after.unwrap_or(0).min(part.checkpoint);
    if saved_after > needed_after {
        let found = partition.range(needed_after + 1, saved_after).map(|(at, r)| (at, r.instance)).collect();
        let why = "are in neither the saved snapshot nor the saved log";
        findings.group(&Group { kind: LossKind::Gap, place: "log", partition: id, found, why });
    }
}

/// Whether `zeebe-record*` has a record after the restored exporter has exported again what it must.
fn in_records(id: u32, at: u64, record: &Record, engine: &Engine, restored: &Restored) -> bool {
    let reach = restored.records.get(&(record.kind, record.day)).and_then(|reach| reach.get(&id)).copied();
    let acked = engine.acked.get(&ExporterId::Records).copied().unwrap_or(0);
    at <= reach.unwrap_or(0) || (acked < at && at <= engine.checkpoint)
}

fn check_records(
    id: u32,
    partition: &Partition,
    engine: &Engine,
    restored: &Restored,
    findings: &mut Findings,
) {
    let exported = |record: &Record| record.kind.index_name().is_some();
    let (mut lost, mut ghosts) = (Vec::new(), Vec::new());
    for (at, record) in partition.range(1, partition.processed()).filter(|(_, record)| exported(record)) {
        match in_records(id, at, record, engine, restored) {
            false if at <= engine.checkpoint => lost.push((at, record.instance)),
            true if at > engine.checkpoint => ghosts.push((at, record.instance)),
            _ => {}
        }
    }
    let why = "count as exported and are in no restored index";
    findings.group(&Group { kind: LossKind::Lost, place: "records", partition: id, found: lost, why });
    let why = "are in a restored index and were never written by the restored engine";
    findings.group(&Group { kind: LossKind::Ghost, place: "records", partition: id, found: ghosts, why });
}

fn check_app(
    app: App,
    id: u32,
    partition: &Partition,
    engine: &Engine,
    restored: &Restored,
    findings: &mut Findings,
) {
    let of = |name: &str| {
        restored.apps.get(&(app, name.to_owned())).and_then(|(_, reach)| reach.get(&id)).copied()
    };
    let position = app.indices().iter().find(|index| index.role == Role::Position);
    let imported = position.and_then(|index| of(index.index)).unwrap_or(0);
    let acked = engine.acked.get(&ExporterId::Camunda).copied().unwrap_or(0);
    let (mut lost, mut ghosts) = (Vec::new(), Vec::new());
    for index in app.indices() {
        let Role::Data(kinds) = index.role else { continue };
        let reach = of(index.index).unwrap_or(0);
        for (at, record) in partition.range(1, partition.processed()).filter(|(_, r)| kinds.contains(&r.kind))
        {
            let again = if app.imports() {
                at > imported && in_records(id, at, record, engine, restored)
            } else {
                acked < at && at <= engine.checkpoint
            };
            match at <= reach || (again && at <= engine.checkpoint) {
                false if at <= engine.checkpoint => lost.push((at, record.instance)),
                true if at > engine.checkpoint => ghosts.push((at, record.instance)),
                _ => {}
            }
        }
    }
    let place = app.place();
    let why = "are in no restored index and will not be imported or exported again";
    findings.group(&Group { kind: LossKind::Lost, place, partition: id, found: lost, why });
    let why = "are in a restored index and were never written by the restored engine";
    findings.group(&Group { kind: LossKind::Ghost, place, partition: id, found: ghosts, why });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::{Config, Host, LossKind, Request, World, handle};

    /// Operate's parts alone, with the position index copied as if it had been the last of all.
    #[test]
    fn an_importer_that_is_ahead_of_its_data_never_imports_the_rest() {
        let mut world = World::new(Config::demo_8_6());
        let now: jiff::Timestamp = "2026-11-22T12:00:00Z".parse().expect("an instant");
        let order = Request::new("POST", "/actuator/backups").json(&json!({"backupId": 7}));
        handle(&mut world, Host::Operate, &order, now);
        world.advance(now + jiff::SignedDuration::from_secs(30));
        handle(&mut world, Host::Gateway, &order, now);
        world.advance(now + jiff::SignedDuration::from_secs(60));
        let lost = |world: &World| {
            let verdict = world.restore(7);
            let losses =
                verdict.losses.iter().filter(|loss| loss.kind == LossKind::Lost && loss.place == "operate");
            losses.map(|loss| loss.records).sum::<u64>()
        };
        // There is no snapshot of the records, so what lies behind the exported position is lost in any case.
        let before = lost(&world);
        let repository = world.search.repositories.get_mut("camunda").expect("a repository");
        let copies = repository.snapshots.values_mut().flat_map(|snapshot| &mut snapshot.indices);
        for (_, copy) in copies.filter(|(index, _)| index.starts_with("operate-import-position")) {
            for position in copy.copied.iter_mut().flat_map(|(reach, _)| reach.values_mut()) {
                *position = u64::MAX;
            }
        }
        assert!(lost(&world) > before, "{} is not above {before}", lost(&world));
    }
}
