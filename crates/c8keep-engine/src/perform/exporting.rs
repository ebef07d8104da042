//! Pausing, resuming, and reading the positions that prove the pause.

use c8keep_core::facts::{Fact, Positions};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::Run;
use jiff::Timestamp;

use super::Performed;
use crate::World;

/// The call is harmless when repeated, so it needs no look first.
pub(super) async fn pause(world: &World) -> Performed {
    match world.camunda.pause_exporting().await {
        Ok(()) => Ok(Fact::Paused { at: world.clock.now() }.into()),
        Err(fault) => Err(and_what_is_paused(world, fault).await),
    }
}

/// A call that failed may have paused some partitions, or resumed some (seen on 8.6.0 with one of three brokers gone): says
/// which are paused now, as far as the brokers tell.
async fn and_what_is_paused(world: &World, mut fault: Fault) -> Fault {
    let Ok(positions) = read(world).await else { return fault };
    let paused = paused_now(&positions);
    if paused.is_empty() {
        fault.answer.push_str("; no partition that was reached is paused");
        return fault;
    }
    fault.answer = format!("{}; paused now: {paused}", fault.answer);
    fault
}

/// Every paused replica that was read, in one line; empty if there is none.
pub(super) fn paused_now(positions: &Positions) -> String {
    if let Some(all) = positions.wholly_paused() {
        return all;
    }
    let places = positions.paused().into_iter();
    let list: Vec<String> =
        places.map(|(broker, partition, phase)| format!("{broker} partition {partition} {phase}")).collect();
    list.join(", ")
}

/// Confirmed twice: by the answer, and by every broker that can be read. A pause of ours that may still be on its way would
/// undo it, so until that is over a release is made again. That all replicas are seen paused does not end it: somebody else may
/// have paused them, and ours comes later (found by the simulator).
pub(super) async fn resume(world: &World, run: &Run) -> Performed {
    let on_its_way = run.pause_may_land_until().filter(|until| world.clock.now() < *until);
    if let Err(fault) = world.camunda.resume_exporting().await {
        return Err(and_what_is_paused(world, fault).await);
    }
    if let Ok(positions) = read(world).await {
        let paused = positions.paused();
        if let Some((broker, partition, phase)) = paused.first() {
            return Err(Fault::new(
                FaultKind::Refused,
                "resuming exporting",
                format!("{broker}, partition {partition}"),
                format!("the call was accepted, but the partition still says {phase}"),
            )
            .with_retry());
        }
    }
    match on_its_way {
        Some(until) => Err(Fault::new(
            FaultKind::Refused,
            "resuming exporting",
            &world.installation.management,
            format!(
                "exporting runs, but a pause that was sent and never answered may still take effect, until {until}"
            ),
        )
        .with_retry()),
        None => Ok(Fact::Resumed { at: world.clock.now() }.into()),
    }
}

/// P0. A leader that exports already shows that somebody lifted the pause; a broker that cannot be read only weakens
/// the proof.
pub(super) async fn first_positions(world: &World) -> Performed {
    let positions = read_what_can_be_read(world).await;
    for broker in &positions.brokers {
        let running = broker.partitions.iter().find(|(_, r)| r.is_leader() && !r.is_paused());
        if let Some((partition, reading)) = running {
            return Err(Fault::new(
                FaultKind::Violated,
                "reading the exported positions",
                format!("{}/actuator/partitions", broker.address),
                format!("partition {partition} says {} although it was just paused", reading.phase),
            )
            .with_hint("somebody else resumed exporting; find out who before the next backup"));
        }
    }
    Ok(Fact::FirstPositions(positions).into())
}

pub(super) async fn last_positions(world: &World) -> Performed {
    Ok(Fact::LastPositions(read_what_can_be_read(world).await).into())
}

async fn read_what_can_be_read(world: &World) -> Positions {
    let at: Timestamp = world.clock.now();
    read(world).await.unwrap_or(Positions { at, brokers: Vec::new() })
}

async fn read(world: &World) -> Result<Positions, Fault> {
    world.camunda.positions(&world.installation.brokers, world.clock.now()).await
}
