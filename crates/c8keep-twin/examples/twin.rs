//! Serves a twin on loopback for trying things by hand: `cargo run -p c8keep-twin --example twin -- 8.6.0 es`.
//!
//! Prints the addresses as JSON and ends after `--seconds N` (default 600), or when standard input is closed.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use c8keep_twin::{Config, Product, World, http};
use jiff::Timestamp;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let version = args.next().unwrap_or_else(|| "8.6.0".to_owned());
    let mut config = Config::of(&version);
    let mut seconds = 600;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "os" => config.search = Product::OpenSearch,
            "es" => config.search = Product::Elasticsearch,
            "--optimize" => config.optimize = true,
            "--seconds" => seconds = args.next().ok_or("--seconds needs a number")?.parse()?,
            other => {
                return Err(
                    format!("unknown argument {other}; known: es, os, --optimize, --seconds N").into()
                );
            }
        }
    }
    let world = Arc::new(Mutex::new(World::new(config)));
    let served = http::serve(world, Arc::new(Timestamp::now)).await?;
    let urls: BTreeMap<String, String> = served
        .addresses
        .iter()
        .map(|(host, address)| (host.to_string(), format!("http://{address}")))
        .collect();
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&urls)?)?;
    // A thread of its own, as reading standard input cannot be cancelled.
    let (closed, input_closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    tokio::select! {
        _ = input_closed => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
    }
    Ok(())
}
