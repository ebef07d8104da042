//! The vault of the night: one store for all hosts, which fills up, fails, and is out of reach of one of them.

use async_trait::async_trait;
use c8keep_adapters::vault::sha256_hex;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::Vault;

use super::Seat;
use crate::mutants::Mutant;
use crate::night::Night;
use crate::weather::What;

#[async_trait]
impl Vault for Seat {
    fn place(&self) -> String {
        "the simulated vault".into()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        self.event("keeps", path).await;
        self.reaches_vault()?;
        let done = self.night().kept(self.me, path, bytes);
        self.event("has kept", if done.is_ok() { "well" } else { "badly" }).await;
        done
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        Ok(self.night().vault.get(path).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        Ok(self.night().vault.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        self.alive().await;
        self.reaches_vault()?;
        let full = self.night().weather.vault_is_full;
        if full { Err(vault_fault("no space left on device").with_retry()) } else { Ok(()) }
    }
}

impl Seat {
    fn reaches_vault(&self) -> Result<(), Fault> {
        let host = self.host();
        let mut night = self.night();
        if night.weather.vault_is_lost_to != Some(host) {
            return Ok(());
        }
        night.sometimes("the vault was lost to one host");
        Err(Fault { kind: FaultKind::Unreachable, ..vault_fault("no route to host") }.with_retry())
    }
}

impl Night {
    fn kept(&mut self, me: usize, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        let fails = self.take_armed(|what| match what {
            What::VaultFails => Some(false),
            What::VaultTakesAndFails => Some(true),
            _ => None,
        });
        if (self.weather.vault_is_full || fails == Some(false))
            && self.setting.mutant == Some(Mutant::VaultFailureIgnored)
        {
            return Ok(sha256_hex(bytes));
        }
        if self.weather.vault_is_full || fails == Some(false) {
            self.sometimes("the vault failed");
            return Err(vault_fault("no space left on device").with_retry());
        }
        match self.vault.get(path) {
            Some(there) if there == bytes => {}
            Some(_) => {
                self.sometimes("the vault has another object there");
                return Err(Fault { kind: FaultKind::Refused, ..vault_fault("other bytes are there") });
            }
            None => {
                self.vault.insert(path.to_owned(), bytes.to_vec());
                self.claimed(me, path);
            }
        }
        if fails == Some(true) {
            self.sometimes("a write that failed is in the vault all the same");
            return Err(vault_fault("input/output error").with_retry().with_unknown_effect());
        }
        Ok(sha256_hex(bytes))
    }
}

fn vault_fault(answer: &str) -> Fault {
    Fault::new(FaultKind::Storage, "writing into the vault", "the simulated vault", answer)
}
