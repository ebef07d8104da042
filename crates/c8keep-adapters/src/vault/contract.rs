//! What every vault promises, as checks that run against any of them: a folder, a store in memory, and the real servers
//! that the live suite starts.
//!
//! Each check works below a name of its own and needs nothing but the port, so it shows only what the engine can see.

use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_engine::ports::Vault;
use futures::future::join_all;

use super::sha256_hex;

/// The promise that was not kept, and how.
#[derive(Debug, thiserror::Error)]
#[error("{promise}: {how}")]
pub struct Broken {
    /// Which promise.
    pub promise: &'static str,
    /// What was seen instead.
    pub how: String,
}

/// Checks every promise below `name`, which nothing else uses; returns how many there are.
pub async fn holds(vault: &dyn Vault, name: &str) -> Result<usize, Broken> {
    let broken = |promise| move |how| Broken { promise, how };
    let at = |check: &str| format!("{name}/{check}");
    empty(vault, &at("empty")).await.map_err(broken("what is not there is none, and no fault"))?;
    round(vault, &at("round")).await.map_err(broken("an object comes back as it was written"))?;
    again(vault, &at("again")).await.map_err(broken("the same bytes again are success"))?;
    once(vault, &at("once")).await.map_err(broken("an object is never written over"))?;
    race(vault, &at("race")).await.map_err(broken("of many who write different bytes exactly one wins"))?;
    names(vault, &at("names")).await.map_err(broken("a name is listed as it was given"))?;
    lists(vault, &at("lists")).await.map_err(broken("a list holds what lies below a folder and no more"))?;
    upload(vault, &at("upload")).await.map_err(broken("a large object is whole or not there at all"))?;
    paths(vault).await.map_err(broken("no path leaves the vault"))?;
    probe(vault, name).await.map_err(broken("checking leaves nothing behind"))?;
    Ok(10)
}

async fn empty(vault: &dyn Vault, at: &str) -> Result<(), String> {
    expect("read", told(vault.read(&format!("{at}/none.json")).await)?, None)?;
    expect("list", told(vault.list(at).await)?, Vec::<String>::new())
}

async fn round(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let mebibyte: Vec<u8> =
        (0..1 << 20).map(|n: u32| n.to_le_bytes()[usize::from(n.is_multiple_of(3))]).collect();
    for (name, bytes) in [("empty", &b""[..]), ("small.json", b"{}\n"), ("large.bin", &mebibyte)] {
        let path = format!("{at}/{name}");
        expect("checksum", told(vault.create(&path, bytes).await)?, sha256_hex(bytes))?;
        if told(vault.read(&path).await)?.as_deref() != Some(bytes) {
            return Err(format!("{path} came back otherwise"));
        }
    }
    Ok(())
}

async fn again(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let path = format!("{at}/manifest.json");
    let first = told(vault.create(&path, b"one").await)?;
    expect("second checksum", told(vault.create(&path, b"one").await)?, first)
}

async fn once(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let path = format!("{at}/manifest.json");
    told(vault.create(&path, b"one").await)?;
    match vault.create(&path, b"two").await {
        Err(Fault { kind: FaultKind::Refused, effect: Effect::None, .. }) => {}
        other => return Err(format!("the second create said {other:?}")),
    }
    expect("read", told(vault.read(&path).await)?, Some(b"one".to_vec()))
}

async fn race(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let path = format!("{at}/1.json");
    let bytes = |n: u8| vec![b'a' + n; 4096];
    let writing = (0..8).map(|n| {
        let (path, bytes) = (path.clone(), bytes(n));
        async move { (n, vault.create(&path, &bytes).await) }
    });
    let ended = join_all(writing).await;
    let winners: Vec<u8> = ended.iter().filter(|(_, end)| end.is_ok()).map(|(n, _)| *n).collect();
    let [winner] = winners[..] else { return Err(format!("winners: {winners:?} in {ended:?}")) };
    let refused = |end: &Result<String, Fault>| end.as_ref().err().map(|fault| fault.kind);
    for (n, end) in ended.iter().filter(|(n, _)| *n != winner) {
        expect(&format!("writer {n}"), refused(end), Some(FaultKind::Refused))?;
    }
    // Reading compares with the checksum, so that is the winner's, too.
    expect("read", told(vault.read(&path).await)?, Some(bytes(winner)))
}

async fn names(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let mut paths = ["a b", "a+b", "a%2Fb", "ä", "a:b=c", "A~b"].map(|name| format!("{at}/{name}"));
    for path in &paths {
        told(vault.create(path, path.as_bytes()).await)?;
    }
    paths.sort();
    expect("list", told(vault.list(at).await)?, paths.to_vec())?;
    for path in &paths {
        expect(path, told(vault.read(path).await)?, Some(path.clone().into_bytes()))?;
    }
    Ok(())
}

async fn lists(vault: &dyn Vault, at: &str) -> Result<(), String> {
    for path in ["1/manifest.json", "1/dumps/a.zst", "17/manifest.json"] {
        told(vault.create(&format!("{at}/{path}"), b"x").await)?;
    }
    let below = ["1/dumps/a.zst", "1/manifest.json"].map(|path| format!("{at}/{path}"));
    for prefix in [format!("{at}/1"), format!("{at}/1/")] {
        expect(&prefix, told(vault.list(&prefix).await)?, below.to_vec())?;
    }
    expect("all", told(vault.list(at).await)?.len(), 3)
}

async fn upload(vault: &dyn Vault, at: &str) -> Result<(), String> {
    let path = format!("{at}/dump.zst");
    let piece: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut under_way = told(vault.upload(&path).await)?;
    for _ in 0..6 {
        told(under_way.write(&piece).await)?;
    }
    expect("before its end", told(vault.list(at).await)?, Vec::<String>::new())?;
    let stored = told(under_way.finish().await)?;
    let whole = piece.repeat(6);
    let expected = (whole.len() as u64, sha256_hex(&whole));
    expect("stored", (stored.bytes, stored.sha256), expected)?;
    if told(vault.read(&path).await)? != Some(whole) {
        return Err(format!("{path} came back otherwise"));
    }
    expect(
        "a second one",
        vault.upload(&path).await.map(|_| ()).err().map(|f| f.kind),
        Some(FaultKind::Refused),
    )?;
    let mut given_up = told(vault.upload(&format!("{at}/given-up")).await)?;
    told(given_up.write(&piece).await)?;
    given_up.abandon().await;
    drop(told(vault.upload(&format!("{at}/dropped")).await)?);
    let empty = told(told(vault.upload(&format!("{at}/empty")).await)?.finish().await)?;
    expect("empty", empty.bytes, 0)?;
    expect("list", told(vault.list(at).await)?, ["dump.zst", "empty"].map(|n| format!("{at}/{n}")).to_vec())
}

async fn paths(vault: &dyn Vault) -> Result<(), String> {
    let long = "x".repeat(201);
    let deep = ["d"; 17].join("/");
    let bad = ["", "/etc/x", "../x", "a/../x", "a//x", "./a", "a/.hidden", "a\\b", "a\nb", "a/", "a.sha256"];
    for bad in bad.into_iter().chain([long.as_str(), deep.as_str()]) {
        let usage =
            |fault: Option<Fault>| expect(&format!("{bad:?}"), fault.map(|f| f.kind), Some(FaultKind::Usage));
        usage(vault.create(bad, b"x").await.err())?;
        usage(vault.read(bad).await.err())?;
    }
    expect("list", vault.list("../").await.is_err(), true)?;
    expect("check", vault.check("../x").await.is_err(), true)
}

async fn probe(vault: &dyn Vault, name: &str) -> Result<(), String> {
    let before = told(vault.list(name).await)?;
    told(vault.check(name).await)?;
    expect("list", told(vault.list(name).await)?, before)
}

fn told<T>(done: Result<T, Fault>) -> Result<T, String> {
    done.map_err(|fault| format!("{fault} ({:?}; {})", fault.kind, fault.hint))
}

#[expect(clippy::needless_pass_by_value, reason = "what is compared is made where it is compared")]
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), String> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} instead of {should:?}")) }
}
