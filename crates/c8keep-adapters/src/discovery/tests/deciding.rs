//! The deciding half alone: what is configured and what was observed, put together by hand.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::Dialect;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{Installation, Records, SearchProduct};

use crate::camunda::configprops::{BrokerTold, Exporter, Told};
use crate::camunda::topology::{Members, Topology, TopologyBroker};
use crate::discovery::observe::{AppSeen, BrokerSeen, ClusterSeen, From, Observed, SearchSeen};
use crate::discovery::resolve::{Resolved, resolve};
use crate::discovery::{Configured, Level, RecordsChoice};
use crate::search::SearchIdentity;
use crate::transport::Endpoint;

const ELASTIC: &str = "io.camunda.zeebe.exporter.ElasticsearchExporter";
const OPENSEARCH: &str = "io.camunda.zeebe.exporter.opensearch.OpensearchExporter";

fn at(address: &str) -> Endpoint {
    Endpoint::parse(address).unwrap()
}

fn exporter(class: &str, prefix: Option<&str>) -> Exporter {
    Exporter { class: class.into(), url: None, prefix: prefix.map(Into::into) }
}

fn identity(product: SearchProduct, uuid: &str) -> SearchIdentity {
    SearchIdentity { product, version: "8.16.6".into(), cluster_uuid: uuid.into() }
}

fn server(address: &str, source: &str, uuid: &str) -> SearchSeen {
    let identity = Ok(identity(SearchProduct::Elasticsearch, uuid));
    SearchSeen { endpoint: at(address), source: source.into(), identity }
}

fn unreachable(address: &str, source: &str) -> SearchSeen {
    let fault = Fault::new(FaultKind::Unreachable, "asking", address, "connection refused");
    SearchSeen { endpoint: at(address), source: source.into(), identity: Err(fault) }
}

fn broker(address: &str, node: Option<u32>, from: From) -> BrokerSeen {
    BrokerSeen { endpoint: at(address), node, unread: None, from, told: None }
}

fn app(repository: &str) -> AppSeen {
    let said = ("camunda.operate.backup.repositoryName".to_owned(), repository.to_owned());
    let told = Told { repositories: vec![said], ..Told::default() };
    AppSeen { endpoint: at("operate:9600"), version: Some("8.6.0".into()), told: Some(told), fault: None }
}

/// 8.6, one broker, one Elasticsearch exporter, Operate.
fn observed() -> Observed {
    let exporters = BTreeMap::from([("es".to_owned(), exporter(ELASTIC, None))]);
    let told = Told {
        broker: Some(BrokerTold { node: Some(0), ..BrokerTold::default() }),
        exporters,
        ..Told::default()
    };
    let members = Members { nodes: BTreeSet::from([0]), count: 1, ..Members::default() };
    Observed {
        cluster: ClusterSeen {
            management: at("gateway:9600"),
            version: "8.6.0".parse().unwrap(),
            other_version: None,
            dialect: Dialect::SplitActuators,
            endpoints: vec!["backups".into(), "exporting".into()],
            members: Some(members),
            topology: None,
            rest: Err("http://gateway:8080/v2/topology: connection refused".into()),
            rest_wants_login: false,
            told: Some(told),
            exporters: Some(BTreeMap::from([("es".to_owned(), "ENABLED".to_owned())])),
        },
        brokers: vec![broker("gateway:9600", Some(0), From::Management)],
        apps: BTreeMap::from([(HistoryApp::Operate, app("camunda"))]),
        searches: vec![server("es:9200", "exporter es", "u1")],
        indices: Some(vec![]),
        unseen: vec![],
        repositories: vec!["camunda".into(), "other".into()],
    }
}

fn exporting_with(mut observed: Observed, exporters: &[(&str, Exporter, &str)]) -> Observed {
    let told = observed.cluster.told.as_mut().unwrap();
    told.exporters = exporters.iter().map(|(id, e, _)| ((*id).to_owned(), e.clone())).collect();
    let states = exporters.iter().map(|(id, _, state)| ((*id).to_owned(), (*state).to_owned()));
    observed.cluster.exporters = Some(states.collect());
    observed
}

fn resolved(configured: &Configured, observed: &Observed) -> Result<Resolved, Fault> {
    let resolved = resolve(configured, observed);
    resolved.gaps.first().map_or_else(|| Ok(()), |gap| Err(gap.fault.clone()))?;
    Ok(resolved)
}

fn found(observed: &Observed) -> Installation {
    resolved(&Configured::default(), observed).unwrap().installation
}

fn contradictions(resolved: &Resolved) -> Vec<String> {
    let all = resolved.findings.iter().filter(|f| f.level == Level::Contradiction);
    all.map(|f| f.what.clone()).collect()
}

fn prefix(prefix: &str) -> Records {
    Records::Prefix { prefix: prefix.into() }
}

#[test]
fn the_default_prefix_is_taken_where_the_exporter_tells_none() {
    assert_eq!(found(&observed()).records, prefix("zeebe-record"));
    let both = [
        ("es", exporter(ELASTIC, Some("a")), "ENABLED"),
        ("os", exporter(OPENSEARCH, Some("b")), "DISABLED"),
    ];
    assert_eq!(
        found(&exporting_with(observed(), &both)).records,
        prefix("a"),
        "a disabled one does not count"
    );
    let upper = exporting_with(observed(), &[("ES", exporter(OPENSEARCH, Some("c")), "ENABLED")]);
    assert_eq!(found(&upper).records, prefix("c"));
}

/// Operate lives from exported records: without them it stands still, and so does what a backup is worth.
#[test]
fn an_exporter_that_is_absent_or_disabled_is_a_contradiction() {
    let told = |configured: &Configured, exporters: &[(&str, Exporter, &str)]| {
        contradictions(&resolved(configured, &exporting_with(observed(), exporters)).unwrap())
    };
    let disabled = [("es", exporter(ELASTIC, None), "DISABLED")];
    let said = told(&Configured::default(), &disabled);
    assert!(said[0].contains("exporter es is configured, and disabled"), "{said:?}");
    assert!(said[1].contains("operate reads exported records"), "{said:?}");
    let off = Configured { records: Some(RecordsChoice::Off), ..Configured::default() };
    assert_eq!(told(&off, &disabled), [""; 0], "switched off by name");
    let mut unified = exporting_with(observed(), &[]);
    unified.cluster.version = "8.8.0".parse().unwrap();
    unified.cluster.dialect = Dialect::UnifiedActuators;
    unified.cluster.endpoints.push("backupHistory".into());
    let webapps = AppSeen { version: Some("8.8.0".into()), ..app("camunda") };
    unified.apps = BTreeMap::from([(HistoryApp::Webapps, webapps)]);
    let resolved = resolved(&Configured::default(), &unified).unwrap();
    assert_eq!(contradictions(&resolved), [""; 0], "from 8.8 on nobody but Optimize reads them");
}

#[test]
fn components_of_different_minor_versions_contradict_each_other() {
    let with = |app_version: &str| {
        let mut observed = observed();
        observed.apps.get_mut(&HistoryApp::Operate).unwrap().version = Some(app_version.into());
        contradictions(&resolved(&Configured::default(), &observed).unwrap())
    };
    assert_eq!(with("8.6.11"), [""; 0], "patches may differ");
    assert_eq!(with("8.5.3"), ["operate is 8.5.3, the cluster 8.6.0"]);
}

#[test]
fn brokers_of_different_versions_contradict_each_other() {
    let with = |versions: [Option<&str>; 2]| {
        let mut observed = observed();
        let brokers = (0..).zip(versions).map(|(node, version)| {
            let (host, version) = (format!("b{node}"), version.map(str::to_owned));
            TopologyBroker { node, host, port: None, version }
        });
        let brokers = brokers.collect();
        observed.cluster.topology = Some(Topology { brokers, ..Topology::default() });
        contradictions(&resolved(&Configured::default(), &observed).unwrap())
    };
    assert_eq!(with([Some("8.6.0"), Some("8.6.0")]), [""; 0]);
    assert_eq!(with([Some("8.6.0"), None]), [""; 0], "not told");
    let said = ["the brokers are of different versions: 8.6.0 (0), 8.6.1 (1)"];
    assert_eq!(with([Some("8.6.0"), Some("8.6.1")]), said);
}

#[test]
fn records_are_left_out_only_when_nobody_writes_them_or_by_name() {
    let camunda = [("camundaexporter", exporter("io.camunda.exporter.CamundaExporter", None), "ENABLED")];
    let it = found(&exporting_with(observed(), &camunda));
    assert!(matches!(&it.records, Records::Excluded { reason } if reason.contains("camundaexporter")));
    assert!(it.not_covered.iter().any(|n| n.what == "exported records"));
    let it = found(&exporting_with(observed(), &[]));
    assert!(matches!(&it.records, Records::Excluded { reason } if reason.contains("none is configured")));
    let off = Configured { records: Some(RecordsChoice::Off), ..Configured::default() };
    let it = resolved(&off, &observed()).unwrap().installation;
    assert!(matches!(&it.records, Records::Excluded { reason } if reason.contains("switched off")));
}

#[test]
fn brokers_that_do_not_tell_their_exporters_leave_the_records_in() {
    let mut silent = observed();
    silent.cluster.told = None;
    assert_eq!(found(&silent).records, prefix("zeebe-record"));
    let reads = ("camunda.operate.zeebeElasticsearch.prefix".to_owned(), "mine".to_owned());
    silent.apps.get_mut(&HistoryApp::Operate).unwrap().told.as_mut().unwrap().record_prefixes = vec![reads];
    assert_eq!(found(&silent).records, prefix("mine"), "what Operate imports from");
    let hidden = exporting_with(observed(), &[("es", Exporter::default(), "ENABLED")]);
    assert_eq!(found(&hidden).records, prefix("zeebe-record"), "values are hidden");
    let mut unknown = exporting_with(observed(), &[]);
    unknown.cluster.exporters = None;
    assert_eq!(found(&unknown).records, prefix("zeebe-record"), "no list of exporters");
}

#[test]
fn two_prefixes_are_not_mixed() {
    let two =
        [("a", exporter(ELASTIC, Some("x")), "ENABLED"), ("b", exporter(ELASTIC, Some("y")), "ENABLED")];
    let observed = exporting_with(observed(), &two);
    let fault = resolved(&Configured::default(), &observed).unwrap_err();
    assert!(fault.kind == FaultKind::Precondition && fault.answer.contains("x, y"), "{fault:?}");
    let choice = Some(RecordsChoice::Prefix("y".into()));
    let told = resolved(&Configured { records: choice, ..Configured::default() }, &observed).unwrap();
    assert_eq!(told.installation.records, prefix("y"), "what is configured wins");
    assert_eq!(contradictions(&told).len(), 1, "and x is told");
}

#[test]
fn repositories_that_differ_end_the_run_naming_each() {
    let mut two = observed();
    let mut tasklist = app("other");
    tasklist.endpoint = at("tasklist:9600");
    tasklist.told.as_mut().unwrap().repositories[0].0 = "camunda.tasklist.backup.repositoryName".into();
    two.apps.insert(HistoryApp::Tasklist, tasklist);
    let fault = resolved(&Configured::default(), &two).unwrap_err();
    assert_eq!(fault.kind.exit_code(), 10);
    for part in ["camunda.operate", "says camunda", "camunda.tasklist", "says other", "tasklist:9600"] {
        assert!(fault.answer.contains(part), "{fault:?}");
    }
    assert!(fault.hint.contains("every component"), "{fault:?}");
    let given = Configured { repository: Some("mine".into()), ..Configured::default() };
    let fault = resolved(&given, &observed()).unwrap_err();
    assert!(fault.kind == FaultKind::Precondition && fault.answer.contains("the configuration says mine"));
    assert!(fault.hint.contains("`search.repository`") && fault.hint.contains("to camunda,"), "{fault:?}");
    let given = Configured { repository: Some("camunda".into()), ..Configured::default() };
    assert_eq!(resolved(&given, &observed()).unwrap().installation.repository, "camunda");
}

#[test]
fn a_repository_that_nobody_names_is_asked_for_with_what_is_registered() {
    let mut silent = observed();
    silent.apps.get_mut(&HistoryApp::Operate).unwrap().told = None;
    let fault = resolved(&Configured::default(), &silent).unwrap_err();
    assert!(fault.answer.contains("registered there: camunda, other"), "{fault:?}");
    assert!(fault.hint.contains("ELASTIC_SNAPSHOT_REPOSITORY"), "{fault:?}");
    let given = Configured { repository: Some("camunda".into()), ..Configured::default() };
    let told = resolved(&given, &silent).unwrap();
    assert!(
        told.findings
            .iter()
            .any(|f| f.level == Level::Note && f.what.contains("does not tell its repository"))
    );
}

#[test]
fn one_search_server_under_two_names_is_one() {
    let mut same = observed();
    same.searches.push(server("localhost:9200", "camunda.operate.elasticsearch.url", "u1"));
    assert!(contradictions(&resolved(&Configured::default(), &same).unwrap()).is_empty());
    same.searches.push(server("other:9200", "camunda.operate.elasticsearch.url", "u2"));
    let told = resolved(&Configured::default(), &same).unwrap();
    assert!(contradictions(&told)[0].contains("other:9200 is another search cluster (u2)"));
    assert_eq!(told.installation.search.cluster_uuid, "u1", "the first named is used");
}

#[test]
fn a_default_of_the_product_not_in_use_contradicts_nothing() {
    let mut defaults = observed();
    defaults.searches.push(server("localhost:9200", "camunda.operate.opensearch.url of operate", "u9"));
    defaults.searches.push(unreachable("localhost:9201", "camunda.operate.opensearch.url of operate"));
    let told = resolved(&Configured::default(), &defaults).unwrap();
    assert!(contradictions(&told).is_empty());
    assert!(told.findings.iter().all(|f| !f.what.contains("localhost")), "{:?}", told.findings);
}

#[test]
fn an_address_that_was_found_and_cannot_be_reached_is_a_note() {
    let mut partly = observed();
    partly.searches.insert(0, unreachable("camunda-elasticsearch:9200", "exporter es"));
    let told = resolved(&Configured::default(), &partly).unwrap();
    assert_eq!(told.installation.search.address, "http://es:9200");
    assert!(contradictions(&told).is_empty());
    assert!(
        told.findings
            .iter()
            .any(|f| f.level == Level::Note && f.what.contains("cannot be reached from here"))
    );
}

#[test]
fn a_search_server_out_of_reach_names_all_that_were_tried_and_what_to_set() {
    let mut none = observed();
    none.searches = vec![
        unreachable("a:9200", "exporter es"),
        unreachable("b:9200", "camunda.operate.elasticsearch.url"),
    ];
    let fault = resolved(&Configured::default(), &none).unwrap_err();
    assert_eq!(fault.kind.exit_code(), 13);
    assert!(fault.target.contains("a:9200") && fault.target.contains("b:9200"), "{fault:?}");
    for word in ["ELASTIC_ENDPOINT", "OPENSEARCH_ENDPOINT", "search.address"] {
        assert!(fault.hint.contains(word), "{fault:?}");
    }
    none.searches.clear();
    assert_eq!(resolved(&Configured::default(), &none).unwrap_err().kind, FaultKind::Usage);
}

#[test]
fn a_configured_search_server_out_of_reach_is_not_replaced_by_a_found_one() {
    let mut observed = observed();
    observed.searches.insert(0, unreachable("mine:9200", "configured"));
    let given = Configured { search: Some("mine:9200".into()), ..Configured::default() };
    assert_eq!(resolved(&given, &observed).unwrap_err().kind, FaultKind::Unreachable);
}

#[test]
fn a_search_server_that_wants_a_login_says_so() {
    let mut locked = observed();
    let fault = Fault::new(FaultKind::Unauthorised, "asking", "es:9200", "401");
    locked.searches[0].identity = Err(fault);
    assert_eq!(resolved(&Configured::default(), &locked).unwrap_err().kind.exit_code(), 12);
}

#[test]
fn a_cluster_without_an_id_is_waited_for() {
    let mut young = observed();
    young.searches = vec![server("es:9200", "exporter es", "_na_")];
    let fault = resolved(&Configured::default(), &young).unwrap_err();
    assert!(fault.is_retryable() && fault.answer.contains("not formed"), "{fault:?}");
}

#[test]
fn the_wrong_variable_for_the_product_is_told() {
    let given = Configured { search_product: Some(SearchProduct::Opensearch), ..Configured::default() };
    let told = resolved(&given, &observed()).unwrap();
    assert!(contradictions(&told)[0].contains("OpenSearch, but Elasticsearch answers"));
    assert_eq!(told.installation.search.product, SearchProduct::Elasticsearch);
}

#[test]
fn optimize_has_an_address_or_is_switched_off_or_is_not_there() {
    let mut there = observed();
    there.indices = Some(vec!["optimize-metadata_v3".into()]);
    let fault = resolved(&Configured::default(), &there).unwrap_err();
    assert_eq!(fault.kind.exit_code(), 10);
    assert!(fault.hint.contains("OPTIMIZE_MANAGEMENT_API"), "{fault:?}");
    let off = Configured { off: BTreeSet::from([HistoryApp::Optimize]), ..Configured::default() };
    let it = resolved(&off, &there).unwrap().installation;
    assert!(it.not_covered.iter().any(|n| n.what == "optimize" && n.why.contains("switched off")));
    assert!(found(&observed()).not_covered.iter().all(|n| n.what != "optimize"), "not there, not missed");
    there.indices = None;
    let told = resolved(&Configured::default(), &there).unwrap();
    assert!(told.findings.iter().any(|f| f.what.contains("cannot be told") && f.what.contains("OPTIMIZE")));
}

/// A list in which an application's indices are missing proves nothing where the login may not see them.
#[test]
fn what_the_login_may_not_see_is_not_called_absent() {
    let mut narrow = observed();
    narrow.unseen = vec!["monitor of optimize-*".into()];
    let said = |observed: &Observed| {
        let told = resolved(&Configured::default(), observed).unwrap().findings;
        let of_it: Vec<String> =
            told.into_iter().map(|f| f.what).filter(|what| what.contains("optimize-*")).collect();
        of_it.concat()
    };
    assert!(
        said(&narrow).contains("may not see optimize-*; set OPTIMIZE_MANAGEMENT_API"),
        "{}",
        said(&narrow)
    );
    assert_eq!(said(&observed()), "no optimize: no index optimize-*, no address");
    narrow.indices = Some(vec!["optimize-metadata_v3".into()]);
    assert_eq!(resolved(&Configured::default(), &narrow).unwrap_err().kind.exit_code(), 10, "one was seen");
}

/// It tells the word for both products; only the one in use counts, and its own name is no other word.
#[test]
fn indices_of_other_names_are_known() {
    let mut observed = observed();
    let mut told = |of: &[(&str, &str)]| {
        let prefixes = of
            .iter()
            .map(|(product, prefix)| (format!("camunda.operate.{product}.indexPrefix"), (*prefix).into()));
        observed.apps.get_mut(&HistoryApp::Operate).unwrap().told.as_mut().unwrap().index_prefixes =
            prefixes.collect();
        found(&observed).apps[0].index_prefix.clone()
    };
    assert_eq!(told(&[("elasticsearch", "mine"), ("opensearch", "operate")]).as_deref(), Some("mine"));
    assert_eq!(told(&[("elasticsearch", "operate"), ("opensearch", "theirs")]), None);
    assert_eq!(told(&[]), None);
}

#[test]
fn an_optional_application_is_not_required() {
    assert!(found(&observed()).apps[0].required);
    let optional = Configured { optional: BTreeSet::from([HistoryApp::Operate]), ..Configured::default() };
    assert!(!resolved(&optional, &observed()).unwrap().installation.apps[0].required);
}

#[test]
fn relational_storage_is_refused_by_name() {
    let mut unified = observed();
    unified.cluster.dialect = Dialect::UnifiedActuators;
    let fault = resolved(&Configured::default(), &unified).unwrap_err();
    assert!(fault.kind == FaultKind::Precondition && fault.answer.contains("backupHistory"), "{fault:?}");
}

#[test]
fn a_broker_behind_a_service_and_its_own_address_counts_once() {
    let mut observed = observed();
    observed.brokers = vec![
        broker("core:9600", Some(1), From::Management),
        broker("core-0.core:9600", Some(0), From::Found),
        broker("core-1.core:9600", Some(1), From::Found),
        BrokerSeen {
            unread: Some("name not known".into()),
            ..broker("core-2.core:9600", Some(2), From::Found)
        },
    ];
    observed.cluster.members.as_mut().unwrap().count = 3;
    let told = resolved(&Configured::default(), &observed).unwrap();
    let addresses: Vec<&str> = told.installation.brokers.iter().map(|b| b.address.as_str()).collect();
    assert_eq!(addresses, ["http://core-0.core:9600", "http://core-1.core:9600"]);
    let notes: Vec<&str> =
        told.findings.iter().filter(|f| f.level == Level::Note).map(|f| f.what.as_str()).collect();
    assert!(notes.iter().any(|n| n.contains("2 of 3 brokers are reached")), "{notes:?}");
    assert!(notes.iter().any(|n| n.contains("out of reach from here: name not known")), "{notes:?}");
}

/// A broker that moved: its former address is still found, and nobody answers there.
#[test]
fn an_address_out_of_reach_hides_no_broker() {
    let mut observed = observed();
    let former = broker("old:9600", Some(0), From::Found);
    observed.brokers = vec![
        BrokerSeen { unread: Some("refused".into()), ..former },
        broker("new:9600", Some(0), From::Found),
    ];
    let brokers = found(&observed).brokers;
    assert_eq!(brokers.iter().map(|b| b.address.as_str()).collect::<Vec<_>>(), ["http://new:9600"]);
}

#[test]
fn a_gateway_without_partitions_is_no_broker() {
    let mut observed = observed();
    let gateway = broker("gateway:9600", None, From::Management);
    observed.brokers = vec![BrokerSeen { unread: Some("HTTP 404: Not Found".into()), ..gateway }];
    let told = resolved(&Configured::default(), &observed).unwrap();
    assert!(told.installation.brokers.is_empty());
    assert!(
        told.findings.iter().any(|f| f.what.contains("0 of 1 brokers are reached")),
        "{:?}",
        told.findings
    );
}

#[test]
fn the_fingerprint_is_the_clusters_own_id_where_it_tells_one() {
    let before = found(&observed()).fingerprint;
    assert_eq!(before.to_string(), "u1/zeebe-record");
    let mut later = observed();
    later.cluster.members.as_mut().unwrap().cluster_id = Some("c-1".into());
    let after = found(&later).fingerprint;
    assert_eq!(after.to_string(), "c-1 (u1/zeebe-record)");
    assert!(after.is_same_installation(&before), "an upgrade makes no other installation");
    later.cluster.members.as_mut().unwrap().cluster_id = Some("c-2".into());
    assert!(!found(&later).fingerprint.is_same_installation(&after));
}

#[test]
fn a_cluster_that_makes_its_own_ids_is_refused_before_the_pause() {
    let mut continuous = observed();
    let broker = continuous.cluster.told.as_mut().unwrap().broker.as_mut().unwrap();
    broker.own_ids = Some("camunda.data.primary-storage.backup.continuous".into());
    assert!(resolved(&Configured::default(), &continuous).is_ok(), "8.6 has no such mode");
    continuous.cluster.version = "8.9.2".parse().unwrap();
    let fault = resolved(&Configured::default(), &continuous).unwrap_err();
    assert!(fault.kind == FaultKind::Precondition && fault.answer.contains("backup.continuous"), "{fault:?}");
}

/// One address for two applications, of which neither tells what it is: nobody knows which of the two is given wrong.
#[test]
fn one_address_for_optimize_and_operate_names_both() {
    let mut observed = observed();
    for app_of in [HistoryApp::Operate, HistoryApp::Optimize] {
        observed.apps.insert(app_of, AppSeen { told: None, ..app("camunda") });
    }
    let Err(fault) = resolved(&Configured::default(), &observed) else {
        panic!("one of them would be missing")
    };
    assert!(fault.answer.contains("the same address"), "{fault:?}");
    for variable in ["OPERATE_MANAGEMENT_API", "OPTIMIZE_MANAGEMENT_API"] {
        assert!(fault.hint.contains(variable), "{fault:?}");
    }
}
