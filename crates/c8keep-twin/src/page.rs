//! The documented procedure as data: the ten steps of the page "Create a backup", and the calls that each of them is. Played
//! as it stands or in a wrong order, it shows what the order is worth; c8keep's own plans are nothing to it.

use serde_json::{Value, json};

use crate::{Config, Host, Request};

/// One documented step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Pause,
    History,
    WaitHistory,
    Optimize,
    WaitOptimize,
    Records,
    WaitRecords,
    Runtime,
    WaitRuntime,
    Resume,
}

/// 8.5 to 8.7: the web applications come before the pause (documentation 8.6, "Backup and restore").
pub const SPLIT: &[Step] = &[
    Step::History,
    Step::WaitHistory,
    Step::Optimize,
    Step::WaitOptimize,
    Step::Pause,
    Step::Records,
    Step::WaitRecords,
    Step::Runtime,
    Step::WaitRuntime,
    Step::Resume,
];

/// 8.8: the ten steps of the page "Create a backup".
pub const UNIFIED: &[Step] = &[
    Step::Pause,
    Step::History,
    Step::Optimize,
    Step::WaitHistory,
    Step::WaitOptimize,
    Step::Records,
    Step::WaitRecords,
    Step::Runtime,
    Step::WaitRuntime,
    Step::Resume,
];

/// What a step does at one host.
#[derive(Clone, Debug)]
pub enum Call {
    /// One request.
    Send(Host, Request),
    /// This is asked until the answer says it.
    Await {
        host: Host,
        path: String,
        /// Where in the answer: a JSON pointer.
        at: &'static str,
        wanted: &'static str,
    },
}

impl Step {
    /// The start that this step waits for, if it waits.
    pub fn waits_for(self) -> Option<Step> {
        match self {
            Step::WaitHistory => Some(Step::History),
            Step::WaitOptimize => Some(Step::Optimize),
            Step::WaitRecords => Some(Step::Records),
            Step::WaitRuntime => Some(Step::Runtime),
            _ => None,
        }
    }

    /// Its calls at an installation, in order; none where the installation has nothing of the kind.
    pub fn calls(self, config: &Config, id: u64) -> Vec<Call> {
        let unified = config.unified();
        let runtime = if unified { "/actuator/backupRuntime" } else { "/actuator/backups" };
        let history = if unified { "/actuator/backupHistory" } else { "/actuator/backups" };
        let apps: &[Host] = match (unified, config.tasklist) {
            (true, _) => &[Host::Gateway],
            (false, true) => &[Host::Operate, Host::Tasklist],
            (false, false) => &[Host::Operate],
        };
        let optimize: &[Host] = if config.optimize { &[Host::Optimize] } else { &[] };
        let records = format!("/_snapshot/camunda/camunda_zeebe_records_backup_{id}");
        let start = |host: Host, path: &str| post(host, path, &json!({ "backupId": id }));
        let done = |host: Host, path: &str| awaits(host, format!("{path}/{id}"), "/state", "COMPLETED");
        match self {
            Step::Pause => vec![post(Host::Gateway, "/actuator/exporting/pause?soft=true", &Value::Null)],
            Step::Resume => vec![post(Host::Gateway, "/actuator/exporting/resume", &Value::Null)],
            Step::History => apps.iter().map(|host| start(*host, history)).collect(),
            Step::WaitHistory => apps.iter().map(|host| done(*host, history)).collect(),
            Step::Optimize => optimize.iter().map(|host| start(*host, "/actuator/backups")).collect(),
            Step::WaitOptimize => optimize.iter().map(|host| done(*host, "/actuator/backups")).collect(),
            Step::Records => vec![post(Host::Search, &records, &json!({ "indices": "zeebe-record*" }))],
            Step::WaitRecords => vec![awaits(Host::Search, records, "/snapshots/0/state", "SUCCESS")],
            Step::Runtime => vec![start(Host::Gateway, runtime)],
            Step::WaitRuntime => vec![done(Host::Gateway, runtime)],
        }
    }
}

fn post(host: Host, path: &str, body: &Value) -> Call {
    Call::Send(host, Request::new("POST", path).json(body))
}

fn awaits(host: Host, path: String, at: &'static str, wanted: &'static str) -> Call {
    Call::Await { host, path, at, wanted }
}
