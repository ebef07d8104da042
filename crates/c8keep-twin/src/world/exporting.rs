//! Exporting: what flows to the search server, and the pause.

use super::partition::{ExporterId, Phase};
use super::{Micros, World};

/// A broker that is gone stays in the gateway's topology for this long (`failureTimeout` of the cluster membership).
const TOPOLOGY_LAG: Micros = 10_000_000;

/// Why a call to the exporting endpoint failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportingFault {
    /// The gateway knows that a broker is missing; nothing was sent.
    Incomplete { partition: u32, expected: usize, found: usize },
    /// A broker is missing and the gateway does not know yet; everybody else did as asked.
    ConnectionClosed { broker: u32 },
}

impl World {
    /// Sets the phase of every replica that can be reached, as the gateway does: in parallel and without rollback.
    pub(crate) fn set_phase(&mut self, phase: Phase) -> Result<(), ExportingFault> {
        let now = self.at();
        for (id, partition) in &self.partitions {
            let known = partition
                .replicas
                .keys()
                .filter(|broker| self.down.get(broker).is_none_or(|since| now - since < TOPOLOGY_LAG));
            let (expected, found) = (partition.replicas.len(), known.count());
            if found < expected {
                return Err(ExportingFault::Incomplete { partition: *id, expected, found });
            }
        }
        for partition in self.partitions.values_mut() {
            let up: Vec<u32> =
                partition.replicas.keys().copied().filter(|b| !self.down.contains_key(b)).collect();
            for broker in up {
                partition.set_phase(broker, phase);
            }
        }
        match self.down.keys().next() {
            Some(broker) => Err(ExportingFault::ConnectionClosed { broker: *broker }),
            None => Ok(()),
        }
    }

    /// One flush of every exporter.
    pub(super) fn export(&mut self) {
        for id in self.partition_ids() {
            let Some(partition) = self.partitions.get_mut(&id) else { continue };
            let Some(phase) = partition.phase().filter(|phase| *phase != Phase::Paused) else { continue };
            let forgotten = self.faults.pauses_forgotten.contains(&id);
            let to = partition.processed();
            let mut flushed = Vec::new();
            for (exporter_id, exporter) in &mut partition.exporters {
                if exporter.written < to {
                    flushed.push((*exporter_id, exporter.written + 1));
                }
                exporter.exported = to;
                exporter.written = exporter.written.max(to);
                if phase == Phase::Exporting || forgotten {
                    exporter.acked = to;
                }
            }
            for (exporter, from) in flushed {
                self.count_exported(id, exporter, from, to);
            }
        }
    }

    fn count_exported(&mut self, partition: u32, exporter: ExporterId, from: u64, to: u64) {
        let Some(partition) = self.partitions.get(&partition) else { return };
        match exporter {
            ExporterId::Records => {
                for (_, record) in partition.range(from, to) {
                    self.search.count_record(record);
                }
            }
            ExporterId::Camunda => {
                for (_, record) in partition.range(from, to) {
                    self.search.count_app(super::apps::App::History, record.kind);
                }
            }
        }
    }

    /// Whether a tick could move an exporter or an importer.
    pub(super) fn pipeline_is_moving(&self) -> bool {
        self.partitions.iter().any(|(id, partition)| {
            let runs = partition.phase().is_some_and(|phase| phase != Phase::Paused);
            let behind = |exporter: &super::partition::Exporter| exporter.exported < partition.processed();
            let importing = partition.exporters.get(&ExporterId::Records).is_some_and(|records| {
                let mut imported =
                    self.apps.iter().filter(|(app, _)| app.imports()).map(|(_, app)| app.imported(*id));
                imported.any(|position| position < records.written)
            });
            (runs && partition.exporters.values().any(behind)) || importing
        })
    }
}
