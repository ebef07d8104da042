//! Bad nights on real servers, each a promise of its own: c8keep is killed at every step, a broker, the search server or
//! the store is killed, frozen or full, answers are cut off, two backups meet.

mod night;

use std::path::Path;

use anyhow::Result;

use self::night::{Moment, Night, beginnings, moment, moments};
use super::program::Program;
use super::single;
use super::{Suite, proof};
use crate::peers::cluster::{Cluster, Options};
use crate::peers::load;
use crate::peers::proxy::Point;
use crate::peers::search::Kind;

const KILLED: &str = "killed";
const CUT_OFF: &str = "cut-off";
const TWO_AT_ONCE: &str = "two-at-once";
const BROKER_KILLED: &str = "broker-killed";
const SEARCH_FROZEN: &str = "search-frozen";
const SEARCH_KILLED: &str = "search-killed";
const STORE_LOST: &str = "store-lost";

/// Every night that there is, or one of each kind, each as a promise of its own.
pub async fn all(suite: &mut Suite, kind: Kind, dir: &Path, program: &Program) -> Result<()> {
    if !suite.wants_any(&[
        KILLED,
        CUT_OFF,
        TWO_AT_ONCE,
        BROKER_KILLED,
        SEARCH_FROZEN,
        SEARCH_KILLED,
        STORE_LOST,
    ]) {
        return Ok(());
    }
    let options =
        Options { search: kind, brokers: 1, partitions: 2, operate: true, tasklist: false, dir: dir.into() };
    let Some(mut cluster) = suite.cluster(&options).await else { return Ok(()) };
    load::deploy(&cluster.brokers[0].rest()).await?;
    single::loaded(&cluster).await?.stop().await?;
    let program = program.at(&dir.join("c8keep"), [])?;
    let mut stage = Stage { suite, cluster: &mut cluster, program: &program, number: 0 };
    stage.of_c8keep().await?;
    stage.of_servers().await?;
    cluster.down().await
}

struct Stage<'a> {
    suite: &'a mut Suite,
    cluster: &'a mut Cluster,
    program: &'a Program,
    number: usize,
}

impl Stage<'_> {
    async fn of_c8keep(&mut self) -> Result<()> {
        let all = moments();
        let chosen = if self.suite.long { all } else { of_this_commit(&all)? };
        for moment in chosen {
            let text = format!("c8keep is killed {moment}, and started again");
            let number = self.number;
            self.night(KILLED, text, async |night, cluster| night.killed(cluster, &moment, number).await)
                .await?;
        }
        let text = "every answer is cut off in its middle once: complete all the same".into();
        self.night(CUT_OFF, text, async |night, cluster| night.cut_off(cluster).await).await?;
        let text = "a second backup and a release while the first is in its window: refused (11)".into();
        self.night(TWO_AT_ONCE, text, async |night, cluster| night.two_at_once(cluster).await).await
    }

    async fn of_servers(&mut self) -> Result<()> {
        use Point::{AfterAnswer, BeforeForwarding};
        let long = self.suite.long;
        let in_window = [
            moment("await-operate", BeforeForwarding)?,
            moment("snapshot-records", BeforeForwarding)?,
            moment("start-runtime", AfterAnswer)?,
        ];
        for moment in if long { &in_window[..] } else { &in_window[2..] } {
            let text = format!("the broker is killed {moment}, and comes back");
            self.night(BROKER_KILLED, text, async |n, cluster| n.broker_killed(cluster, moment).await)
                .await?;
        }
        let each = beginnings();
        let frozen = if long { each.clone() } else { vec![moment("snapshot-records", BeforeForwarding)?] };
        for moment in frozen {
            let text = format!("the search server stands still for a minute {moment}");
            self.night(SEARCH_FROZEN, text, async |n, cluster| n.search_frozen(cluster, &moment).await)
                .await?;
        }
        let killed = if long { each } else { vec![moment("await-records", BeforeForwarding)?] };
        for moment in killed {
            let text = format!("the search server is killed {moment}");
            self.night(SEARCH_KILLED, text, async |n, cluster| n.search_killed(cluster, &moment).await)
                .await?;
        }
        let text =
            "the store dies while the partitions are saved, and is back a moment later: never whole".into();
        self.night(STORE_LOST, text, async |night, cluster| night.store_killed(cluster).await).await?;
        if !long {
            return Ok(());
        }
        let text = "the store is full: accepted and never seen".into();
        self.night(STORE_LOST, text, async |night, cluster| night.store_full(cluster).await).await?;
        let text = "the store stands still while the partitions are saved".into();
        self.night(STORE_LOST, text, async |night, cluster| night.store_frozen(cluster).await).await
    }

    async fn night(
        &mut self,
        name: &str,
        text: String,
        happens: impl AsyncFnOnce(&Night, &mut Cluster) -> Result<()>,
    ) -> Result<()> {
        if !self.suite.wants(name) {
            return Ok(());
        }
        self.number += 1;
        let night = Night::begin(self.cluster, self.program, &self.number.to_string()).await?;
        let kind = self.cluster.search.kind;
        self.suite.promise(name, kind, &text, happens(&night, self.cluster)).await;
        Ok(())
    }
}

/// Two moments that differ from commit to commit, and are the same for one.
fn of_this_commit(all: &[Moment]) -> Result<Vec<Moment>> {
    let commit = proof::commit()?;
    let hash = commit.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    let (first, further) = (hash % all.len(), hash / all.len() % (all.len() - 1));
    Ok(vec![all[first], all[(first + 1 + further) % all.len()]])
}
