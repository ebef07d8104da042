//! Which query parameters the search products take: an unknown one is refused, and they do not know the same ones.

use super::search::error;
use super::{Answer, Request};
use crate::config::Product;
use crate::world::World;

/// The calls of the snapshot API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    GetRepository,
    PutRepository,
    DeleteRepository,
    Verify,
    Create,
    Get,
    Delete,
    Status,
}

const ALWAYS: &[&str] = &["pretty", "human", "error_trace", "filter_path", "master_timeout"];

/// Refuses a request with a parameter that the product does not know.
pub(crate) fn refuse(world: &World, request: &Request, call: Call) -> Option<Answer> {
    let product = world.config.search;
    let known = |name: &String| {
        let own = name == "cluster_manager_timeout" && product == Product::OpenSearch;
        own || ALWAYS.contains(&name.as_str()) || of(call, product).contains(&name.as_str())
    };
    let unknown: Vec<String> =
        request.query.keys().filter(|name| !known(name)).map(|name| format!("[{name}]")).collect();
    let plural = match unknown.len() {
        0 => return None,
        1 => "",
        _ => "s",
    };
    let list = unknown.join(", ");
    // The servers guess what was meant; two guesses were seen.
    let hint = match (product, list.as_str()) {
        (Product::Elasticsearch, "[cluster_manager_timeout]") => " -> did you mean [master_timeout]?",
        (Product::OpenSearch, "[include_repository]") => " -> did you mean [repository]?",
        _ => "",
    };
    let reason = format!("request [{}] contains unrecognized parameter{plural}: {list}{hint}", request.path);
    Some(error(world, 400, "illegal_argument_exception", &reason))
}

fn of(call: Call, product: Product) -> &'static [&'static str] {
    let elastic = product == Product::Elasticsearch;
    match call {
        Call::GetRepository => &["local"],
        Call::PutRepository => &["verify", "timeout"],
        Call::DeleteRepository | Call::Verify => &["timeout"],
        Call::Create => &["wait_for_completion"],
        Call::Get if elastic => &[
            "ignore_unavailable",
            "verbose",
            "index_details",
            "index_names",
            "include_repository",
            "size",
            "sort",
            "order",
            "after",
            "offset",
            "from_sort_value",
            "slm_policy_filter",
        ],
        Call::Get => &["ignore_unavailable", "verbose"],
        Call::Delete if elastic => &["wait_for_completion"],
        Call::Delete => &[],
        Call::Status => &["ignore_unavailable"],
    }
}
