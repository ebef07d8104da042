//! Whom discovery shows which credentials: each server those that were configured for it, and a stranger none.

use std::collections::BTreeMap;

use super::*;
use crate::discovery::Accesses;
use crate::transport::{Access, Credential, Secret};

fn user(name: &str) -> Access {
    let password = Secret::Given("geheim".into());
    Access::default().with_credential(Credential::Basic { user: name.into(), password })
}

fn accesses() -> Accesses {
    let apps = [(HistoryApp::Operate, user("operate")), (HistoryApp::Tasklist, user("tasklist"))];
    Accesses {
        management: user("management"),
        brokers: user("brokers"),
        rest: user("rest"),
        apps: BTreeMap::from(apps),
        search: user("search"),
    }
}

/// Who asked at each address: `host:port` to users.
async fn visitors(configured: Configured, scene: Scene) -> BTreeMap<String, BTreeSet<String>> {
    let scene = Arc::new(scene);
    // Whether anything is found does not matter here.
    let _ = discover(Arc::clone(&scene) as Arc<dyn crate::transport::Transport>, &configured).await;
    let mut visitors: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (request, who) in scene.asked_by() {
        let place = request.split("://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        visitors.entry(place).or_default().insert(who);
    }
    visitors
}

#[tokio::test]
async fn each_server_sees_its_own_credentials_and_no_others() {
    let given = Configured {
        brokers: vec!["localhost:9601".into()],
        search: Some("http://search.example:9200".into()),
        access: accesses(),
        ..configured()
    };
    let scene = search(installation(), "http://search.example:9200", "uuid-1", &[]);
    let visitors = visitors(given, scene).await;
    let at = |place: &str| visitors[place].iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(at("localhost:9600"), ["user management"]);
    assert_eq!(at("localhost:9601"), ["user brokers"]);
    assert_eq!(at("localhost:18111"), ["user rest"]);
    assert_eq!(at("localhost:9610"), ["user operate"]);
    assert_eq!(at("localhost:9640"), ["user tasklist"]);
    assert_eq!(at("search.example:9200"), ["user search"]);
    // The exporter names this one; it was not configured, so it is a stranger.
    assert_eq!(at("127.0.0.1:19250"), ["nobody"]);
}

#[tokio::test]
async fn a_search_server_that_is_found_sees_its_credentials_where_none_is_configured() {
    let given = Configured { access: accesses(), ..configured() };
    let visitors = visitors(given, installation()).await;
    assert_eq!(visitors["127.0.0.1:19250"].iter().collect::<Vec<_>>(), ["user search"]);
}

/// A login in the management address goes along to what is found at the same cluster.
#[tokio::test]
async fn a_login_in_the_management_address_goes_along() {
    let management = Some("http://operator:geheim@localhost:9600".into());
    let visitors = visitors(Configured { management, ..configured() }, installation()).await;
    assert_eq!(visitors["localhost:18111"].iter().collect::<Vec<_>>(), ["user operator"]);
    assert_eq!(visitors["localhost:9610"].iter().collect::<Vec<_>>(), ["nobody"]);
}

/// Asked over the wire, and only with a login: the list of the server itself does not say that it is short.
#[tokio::test]
async fn a_login_that_sees_less_is_noticed() {
    let question = format!("POST {SEARCH}/_security/user/_has_privileges");
    let told = async |access: Accesses| {
        let body = json!({"cluster": {"create_snapshot": true}, "index": {"optimize-*": {"monitor": false}}});
        let scene = installation().on(&question, 200, &body);
        let found = run(scene, &Configured { access, ..configured() }).await.unwrap();
        format!("{:?}", found.findings)
    };
    assert!(told(accesses()).await.contains("may not see optimize-*"));
    assert!(told(Accesses::default()).await.contains("no index optimize-*, no address"));
}
