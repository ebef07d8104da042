//! `RESTORE.md`: how to restore this backup by hand, in a night without c8keep, with the real names filled in.

/// Writing to a string cannot fail.
macro_rules! line {
    ($text:expr, $($arg:tt)*) => { let _ = writeln!($text, $($arg)*); };
}

mod databases;

use std::fmt::Write;

use super::{MISSING, Manifest, Part};
use crate::backup::Component;
use crate::capability::{CamundaVersion, Dialect};
use crate::installation::SearchProduct;
use crate::words::counted;

/// The guide, as Markdown. The order is that of Camunda's page "Restore a backup" for the backup's version.
pub fn restore_guide(manifest: &Manifest) -> String {
    let mut text = String::new();
    head(&mut text, manifest);
    prepare(&mut text, manifest);
    search(&mut text, manifest);
    brokers(&mut text, manifest);
    after(&mut text, manifest);
    databases::all(&mut text, manifest);
    text
}

fn head(text: &mut String, m: &Manifest) {
    line!(text, "# Restore backup {} of {} by hand\n", m.backup, m.installation);
    line!(
        text,
        "Taken {} from Camunda {} on {} {}. Witness: **{}**{}.\n",
        m.completed_at.strftime("%Y-%m-%d %H:%M:%S UTC"),
        m.versions.camunda,
        m.versions.search_product,
        m.versions.search,
        m.witness.witness.verdict.name(),
        m.witness.witness.verdict.reason().map(|r| format!(" ({r})")).unwrap_or_default()
    );
    line!(text, "| part | state | where |\n| --- | --- | --- |");
    for part in &m.parts {
        line!(text, "| {} | {} | {} |", part.title(), part.state, place(m, part));
    }
    if m.missing().next().is_some() || !m.not_covered.is_empty() {
        line!(text, "\nNot in this backup:\n");
        for part in m.missing() {
            line!(text, "- {}: {MISSING}", part.title());
        }
        for what in &m.not_covered {
            line!(text, "- {}: {}", what.what, what.why);
        }
    }
    line!(text, "");
}

fn place(m: &Manifest, part: &Part) -> String {
    match (part.component, &m.store) {
        (Component::Runtime, Some(store)) => format!(
            "{} {}",
            store.kind.as_deref().unwrap_or("backup store"),
            store.location.as_deref().unwrap_or("(as configured on the brokers)")
        ),
        (Component::Runtime, None) => "the brokers' backup store".into(),
        (Component::Database, _) => databases::place(part),
        _ => {
            let snapshots = counted(part.snapshots.len(), "snapshot", "snapshots");
            format!("{snapshots} in repository {}", repository(m))
        }
    }
}

fn repository(m: &Manifest) -> &str {
    m.repository.as_ref().map_or("camunda", |r| r.name.as_str())
}

fn prepare(text: &mut String, m: &Manifest) {
    line!(text, "## 1. Prepare\n");
    line!(text, "- Install exactly Camunda {}: snapshot names carry the version.", m.versions.camunda);
    if let Some(topology) = &m.topology {
        let told: Vec<String> = [
            (topology.partitions, "partition (must be the same)", "partitions (must be the same)"),
            (topology.brokers(), "broker", "brokers"),
            (topology.replication, "replica of each partition", "replicas of each partition"),
        ]
        .into_iter()
        .filter_map(|(number, one, many)| Some(counted(usize::try_from(number?).ok()?, one, many)))
        .collect();
        if !told.is_empty() {
            line!(text, "- Configure {}.", told.join(", "));
        }
    }
    line!(
        text,
        "- {} must be {} or later, with the repository `{}` registered{}.",
        m.versions.search_product,
        m.versions.search,
        repository(m),
        m.repository
            .as_ref()
            .map(|r| format!(
                " (type {}{})",
                r.kind,
                r.location.as_ref().map(|l| format!(", {l}")).unwrap_or_default()
            ))
            .unwrap_or_default()
    );
    if let Some(command) = registration(m) {
        line!(
            text,
            "  On an empty search server register it again, read-only until you are done:\n\n  ```bash\n  {command}\n  ```\n"
        );
    }
    line!(
        text,
        "- On an empty search server start the applications once, so that they create their index templates; \
         then go on."
    );
    line!(text, "- Stop every Camunda process: brokers, gateways, web applications, Optimize, connectors.\n");
}

/// How the repository is registered again, where it is known well enough.
fn registration(m: &Manifest) -> Option<String> {
    let repository = m.repository.as_ref().filter(|repository| repository.kind == "fs")?;
    let location = repository.location.as_ref().filter(|location| !location.contains(['"', '\\', '\'']))?;
    let body = format!(r#"{{"type":"fs","settings":{{"location":"{location}","readonly":true}}}}"#);
    Some(format!(
        "curl -XPUT \"$SEARCH/_snapshot/{}\" -H 'Content-Type: application/json' -d '{body}'",
        repository.name
    ))
}

fn search(text: &mut String, m: &Manifest) {
    line!(text, "## 2. Restore {}\n", m.versions.search_product);
    line!(text, "```bash\nexport SEARCH=http://localhost:9200    # your address\n```\n");
    let patterns: Vec<String> = m.index_prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    let patterns = if patterns.is_empty() { "*".to_owned() } else { patterns.join(",") };
    line!(
        text,
        "Delete **every** index of this installation, those that are newer than the backup, too: what they hold came after \
         it and would haunt what is restored, and an open index of the same name makes a restore fail (with status 500). List \
         them, strike out what belongs to somebody else, then delete the rest by exact name:\n"
    );
    line!(
        text,
        "```bash\ncurl -s \"$SEARCH/_cat/indices/{patterns}?h=index&expand_wildcards=all\" | sort > delete.txt    # read it, edit it\n\
         while read -r index; do curl -s -XDELETE \"$SEARCH/$index\"; done < delete.txt\n```\n"
    );
    if !m.foreign_indices.is_empty() {
        line!(
            text,
            "Somebody else's are, by the configuration of this backup: {}.\n",
            m.foreign_indices.join(", ")
        );
    }
    line!(text, "Then restore every snapshot, one after the other, in this order:\n\n```bash");
    for snapshot in m.parts.iter().flat_map(|p| &p.snapshots) {
        if snapshot.indices.is_empty() {
            line!(text, "# {} holds no index: nothing to restore", snapshot.name);
            continue;
        }
        let body = match m.versions.search_product {
            SearchProduct::Elasticsearch => {
                r#"{"indices":"*","include_global_state":false,"feature_states":["none"]}"#
            }
            SearchProduct::Opensearch => r#"{"indices":"*","include_global_state":false}"#,
        };
        line!(
            text,
            "curl -XPOST \"$SEARCH/_snapshot/{}/{}/_restore?wait_for_completion=true\" -H 'Content-Type: \
             application/json' -d '{body}'   # {} shards",
            snapshot.repository,
            snapshot.name,
            snapshot.shards_total
        );
    }
    line!(text, "```\n");
    line!(
        text,
        "Each answer must say `\"failed\":0`. Go on when every primary shard is STARTED; this must print nothing:\n\n\
         ```bash\ncurl -s \"$SEARCH/_cat/shards/{patterns}?h=index,shard,prirep,state\" | grep ' p ' | grep -v STARTED\n```\n"
    );
}

fn brokers(text: &mut String, m: &Manifest) {
    line!(text, "## 3. Restore the brokers\n");
    line!(
        text,
        "On every broker, with the broker's own configuration (node id, data directory, backup store) and an \
         **empty** data directory:\n"
    );
    let profile = if restores_by_profile(m) { "SPRING_PROFILES_ACTIVE=restore " } else { "" };
    line!(text, "```bash\n{profile}bin/restore --backupId={}\n```\n", m.backup);
    line!(
        text,
        "On Kubernetes: with the brokers scaled to none, one Job a broker with the broker's image, volume and environment and \
         `restartPolicy: Never`. The images of 8.5 and later do the same when they find `ZEEBE_RESTORE=true` and \
         `ZEEBE_RESTORE_FROM_BACKUP_ID={}`; take both away before the start.\n",
        m.backup
    );
    line!(
        text,
        "It must end with \"Successfully restored broker from backup\" and exit code 0. Run it as a job that is \
         never restarted: a second start finds data and fails, and before 8.9 it could delete what it had \
         restored (camunda issue 48199).\n"
    );
    line!(text, "| partition | checkpoint | exported | broker |\n| --- | --- | --- | --- |");
    let runtime = m.part(Component::Runtime);
    for partition in runtime.iter().flat_map(|p| &p.partitions) {
        let witness = m.witness.witness.partitions.iter().find(|w| w.partition == partition.partition);
        let number = |n: Option<i64>| n.map_or_else(|| "?".into(), |n| n.to_string());
        line!(
            text,
            "| {} | {} | {} | {} |",
            partition.partition,
            number(partition.checkpoint),
            number(witness.and_then(|w| w.exported_in_backup)),
            partition.broker_version.as_deref().unwrap_or("?")
        );
    }
    line!(text, "");
}

/// From 8.7 on the restore application is a profile of the one for all (Camunda docs 8.7, "Restore").
fn restores_by_profile(m: &Manifest) -> bool {
    let version = m.versions.camunda.parse().map(|version: CamundaVersion| version.numbers);
    version.map_or(m.versions.dialect == Dialect::UnifiedActuators, |numbers| numbers >= (8, 7, 0))
}

fn after(text: &mut String, m: &Manifest) {
    line!(text, "## 4. Start\n");
    line!(
        text,
        "Start the brokers, then the applications. Exporting continues from the positions above and fills in what \
         the snapshots do not hold; for some minutes the applications show less than there is.\n"
    );
    line!(
        text,
        "Check that exporting runs: `curl <management>/actuator/partitions` must say `\"exporterPhase\":\"EXPORTING\"` \
         for every partition."
    );
    if !m.uncovered_indices.is_empty() {
        line!(text, "\nThese indices were there and are in no snapshot:\n");
        for index in &m.uncovered_indices {
            line!(text, "- {index}");
        }
    }
}
