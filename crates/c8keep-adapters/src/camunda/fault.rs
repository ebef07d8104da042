//! From what a Camunda server answered instead of what was asked to a [`Fault`] in words that an operator can act on.
//! A body is never repeated as a whole: exceptions come with their stack, and configuration with its passwords.

use c8keep_core::fault::{Fault, FaultKind};

use super::wire::Answer;
use crate::transport::{Request, Who};

/// What is being asked, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What is being done, as in "pausing exporting".
    pub doing: String,
    /// Method and address.
    pub target: String,
    /// Who asks.
    pub who: Who,
}

const WRONG_PORT: &str = "this is not a management port: 9600 is the management port of the orchestration cluster, \
                          Operate and Tasklist, 8092 that of Optimize; 8080 is the application";
/// Something else answers at the management address.
pub const MANAGEMENT_ELSEWHERE: &str = "set ORCHESTRATION_CLUSTER_MANAGEMENT_API, or `management` in the configuration, to the management port of the \
     gateway or the orchestration cluster, 9600 by default; 8080 is the application, 9200 the search server; a context path belongs \
     to the address";
/// Tomcat, in which these servers run, lets no such name into a request (`HttpParser.DomainParseState`).
const UNDERSCORE: &str = "the host's name has an underscore, which this server refuses";
const OTHER_NAME: &str = "give it by a name without an underscore, or by its IP address; in Docker Compose a second name is a \
                          network alias";
const OTHER_SERVER: &str = "a server of Camunda does not answer like this: see what answers at this address";

impl Call {
    /// A request's call, for messages.
    pub fn of(doing: impl Into<String>, request: &Request) -> Call {
        Call { who: request.access.who(), ..Call::new(doing, request.describe()) }
    }

    /// A call of nobody.
    pub fn new(doing: impl Into<String>, target: impl Into<String>) -> Call {
        Call { doing: doing.into(), target: target.into(), who: Who::default() }
    }

    /// A fault of this call.
    pub fn fault(&self, kind: FaultKind, answer: impl Into<String>) -> Fault {
        Fault::new(kind, &self.doing, &self.target, answer)
    }

    /// The answer to a reading call is not one that it may have. A web page is a wrong port, unless its status says that
    /// it comes from something in front of the right one: a login, a limit, a server that is not up.
    pub fn unexpected(&self, answer: &Answer<'_>) -> Fault {
        let said = answer.told();
        match answer.status {
            401 | 403 => self.fault(FaultKind::Unauthorised, said).with_hint(self.who.hint(answer.status)),
            502..=504 => self
                .fault(FaultKind::Unreachable, said)
                .with_retry()
                .with_hint("see whether all brokers are up"),
            500 | 408 | 429 => {
                self.fault(FaultKind::Refused, said).with_retry().with_hint("the log of that server says why")
            }
            400 if answer.is_html() && self.has_an_underscore() => {
                self.fault(FaultKind::Refused, format!("{said}: {UNDERSCORE}")).with_hint(OTHER_NAME)
            }
            _ if answer.is_html() => self.fault(FaultKind::Strange, said).with_hint(WRONG_PORT),
            404 | 405 => self.fault(FaultKind::Absent, said).with_hint(
                "the endpoint does not exist there: is this the right component, and is the endpoint exposed \
                 (management.endpoints.web.exposure.include)? A context path belongs to the address",
            ),
            300..=399 => self.fault(FaultKind::Strange, said).with_hint(WRONG_PORT),
            400..=499 => self.fault(FaultKind::Refused, said).with_hint(OTHER_SERVER),
            _ => self.fault(FaultKind::Strange, said).with_hint(OTHER_SERVER),
        }
    }

    fn has_an_underscore(&self) -> bool {
        let host = self.target.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next());
        host.is_some_and(|host| host.contains('_'))
    }

    /// The answer to a call that changes something is not one that it may have: who knows what has happened.
    pub fn unexpected_change(&self, answer: &Answer<'_>) -> Fault {
        let fault = self.unexpected(answer);
        // These come before anything is carried out; every other answer may follow half of the work.
        if matches!(answer.status, 400 | 401 | 403 | 404 | 405) { fault } else { fault.with_unknown_effect() }
    }

    /// The answer has the right status and cannot be read.
    pub fn unreadable(&self, answer: &Answer<'_>, why: &str) -> Fault {
        if answer.is_html() {
            return self.unexpected(answer);
        }
        self.fault(
            FaultKind::Strange,
            format!("HTTP {} with a body that is not understood: {why}", answer.status),
        )
        .with_hint(OTHER_SERVER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Tomcat answers to whoever asks for `broker_0`: a page that speaks of no name at all.
    #[test]
    fn a_name_with_an_underscore_is_what_is_wrong() {
        let body = b"<!doctype html><html><title>HTTP Status 400 \xe2\x80\x93 Bad Request</title></html>";
        let told = |target: &str| Call::new("asking", target).unexpected(&Answer { status: 400, body });
        let refused = told("GET http://broker_0:9600/actuator/partitions");
        assert!(refused.answer.contains("underscore") && refused.hint.contains("IP address"), "{refused:?}");
        let elsewhere = told("GET http://broker-0:9600/actuator/some_thing");
        assert_eq!((elsewhere.kind, elsewhere.hint.as_str()), (FaultKind::Strange, WRONG_PORT));
    }
}
