//! The application port, which tells the topology: where it is configured, or where the management address suggests it.

use c8keep_core::fault::Fault;

use super::super::candidates::{fits, rest_candidates};
use super::{Asker, ClusterSeen, PROBE_DEADLINE};
use crate::camunda::topology::{self, Topology};
use crate::camunda::wire::Answer;
use crate::camunda::{configuration_of, topology_of};
use crate::transport::Endpoint;

const REST_PORT_DEFAULT: u16 = 8080;

/// Why there is no application port.
pub(super) struct NoRest {
    pub(super) why: String,
    pub(super) wants_login: bool,
}

/// Why an address tells no topology.
enum NoTopology {
    /// Nobody answers: nor will he at another path.
    Silent(NoRest),
    /// Something else answers.
    Elsewhere(NoRest),
}

impl Asker<'_> {
    /// The application port: the configured one, or the management host with the port that it tells.
    pub(super) async fn rest(
        &self,
        seen: &ClusterSeen,
    ) -> Result<Result<(Endpoint, Topology), NoRest>, Fault> {
        let access = &self.configured.access.rest;
        let candidates = if let Some(address) = &self.configured.rest {
            vec![Endpoint::parse(address)?]
        } else {
            let mut port = seen.told.as_ref().and_then(|told| told.rest_port);
            if port.is_none() {
                // A bonus: without it the default port is tried.
                let told = configuration_of(&**self.transport, &seen.management, "server").await;
                port = told.ok().flatten().and_then(|told| told.rest_port);
            }
            rest_candidates(&seen.management, port.unwrap_or(REST_PORT_DEFAULT))
        };
        let mut why = NoRest { why: "its address cannot be derived".into(), wants_login: false };
        for candidate in candidates {
            match self.topology_at(candidate.with_access(access), seen).await {
                Ok(found) => return Ok(Ok(found)),
                Err(NoTopology::Silent(silent)) => return Ok(Err(silent)),
                Err(NoTopology::Elsewhere(elsewhere)) => why = elsewhere,
            }
        }
        Ok(Err(why))
    }

    /// The topology of this cluster, if it is told at that address.
    async fn topology_at(
        &self,
        candidate: Endpoint,
        seen: &ClusterSeen,
    ) -> Result<(Endpoint, Topology), NoTopology> {
        let asked = topology_of(&**self.transport, &candidate, PROBE_DEADLINE).await;
        let (target, response) = asked.map_err(|(target, error)| {
            NoTopology::Silent(NoRest { why: format!("{target}: {error}"), wants_login: false })
        })?;
        let answer = Answer::of(&response);
        let Some(topology) = topology::topology(&answer) else {
            let told = match answer.status {
                status @ (401 | 403) => {
                    format!("{}; {}", answer.told(), candidate.access().who().hint(status))
                }
                _ => answer.told(),
            };
            let wants_login = matches!(answer.status, 401 | 403);
            let why = format!("{target} answered {told}");
            return Err(NoTopology::Elsewhere(NoRest { why, wants_login }));
        };
        if !fits(&topology, seen) {
            let why = format!("{target} is another cluster's");
            return Err(NoTopology::Elsewhere(NoRest { why, wants_login: false }));
        }
        Ok((candidate, topology))
    }
}
