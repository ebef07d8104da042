//! Free ports on loopback, outside the range from which outgoing connections take theirs: a server that is started
//! slowly or started again later still finds its port free.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

const FIRST: u16 = 10_300;
const COUNT: u16 = 11_000;
// SeaweedFS also listens on every port plus this.
const TWIN_OFFSET: u16 = 10_000;
const TRIES_MAX: u16 = 2_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that is free now, and free 10,000 above. Asked of the system; two runs begin at different places, so that
/// they do not race for the same ones.
pub fn free() -> Result<u16> {
    let _ = NEXT.compare_exchange(0, start(), Ordering::Relaxed, Ordering::Relaxed);
    for _ in 0..TRIES_MAX {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if is_free(port) && is_free(port + TWIN_OFFSET) {
            return Ok(port);
        }
    }
    bail!("no free port on 127.0.0.1 among {TRIES_MAX} tried from {FIRST} up")
}

fn start() -> u16 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mixed = now.subsec_micros() + std::process::id().wrapping_mul(97);
    1 + u16::try_from(mixed % u32::from(COUNT)).unwrap_or(0)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_the_same_port_twice_and_never_a_taken_one() {
        let first = free().expect("a port");
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("it is free");
        assert!(!is_free(first));
        assert_ne!(free().expect("another port"), first);
    }
}
