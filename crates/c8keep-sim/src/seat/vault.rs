//! The vault of the night: one store for all hosts, which fills up, fails, and is out of reach of one of them.

use async_trait::async_trait;
use c8keep_adapters::vault::sha256_hex;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::Vault;
use jiff::SignedDuration;

use super::{Seat, sleep};
use crate::mutants::Mutant;
use crate::night::{Due, LateWrite, Night};
use crate::weather::What;

#[async_trait]
impl Vault for Seat {
    fn place(&self) -> String {
        "the simulated vault".into()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        self.event("keeps", path).await;
        self.reaches_vault()?;
        let pace = self.night().pace_of_vault();
        let done = match pace {
            Pace::Prompt => self.night().kept(self.me, path, bytes),
            Pace::Slow { takes, at_once } => self.slowly(path, bytes, takes, at_once).await,
            Pace::Silent => {
                let write = LateWrite { path: path.to_owned(), bytes: bytes.to_vec() };
                self.night().weather.late_writes.push(write);
                Err(self.no_end().await.with_unknown_effect())
            }
        };
        self.event("has kept", if done.is_ok() { "well" } else { "badly" }).await;
        done
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        self.hears_of_vault().await?;
        Ok(self.night().vault.get(path).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        self.hears_of_vault().await?;
        Ok(self.night().vault.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        self.alive().await;
        self.reaches_vault()?;
        self.hears_of_vault().await?;
        let full = self.night().weather.vault_is_full;
        if full { Err(vault_fault("no space left on device").with_retry()) } else { Ok(()) }
    }
}

/// How fast the vault is.
enum Pace {
    Prompt,
    /// Whether what is written is there at once, or only when the answer comes.
    Slow {
        takes: SignedDuration,
        at_once: bool,
    },
    Silent,
}

/// As long as the production vaults wait for one operation.
const PATIENCE: SignedDuration = SignedDuration::from_secs(30);

impl Seat {
    /// One write that takes long. Whoever gives up finds it there later all the same.
    async fn slowly(
        &self,
        path: &str,
        bytes: &[u8],
        takes: SignedDuration,
        at_once: bool,
    ) -> Result<String, Fault> {
        if at_once {
            let done = self.night().kept(self.me, path, bytes);
            if takes > PATIENCE {
                return Err(self.no_end().await.with_unknown_effect());
            }
            self.passes(takes).await;
            return done;
        }
        if takes > PATIENCE {
            let write = LateWrite { path: path.to_owned(), bytes: bytes.to_vec() };
            {
                let mut night = self.night();
                let lands = night.now + takes;
                night.plan(lands, Due::Keep(write));
            }
            return Err(self.no_end().await.with_unknown_effect());
        }
        self.passes(takes).await;
        self.night().kept(self.me, path, bytes)
    }

    async fn hears_of_vault(&self) -> Result<(), Fault> {
        let silent = self.night().weather.vault_is_silent;
        if silent { Err(self.no_end().await) } else { Ok(()) }
    }

    async fn no_end(&self) -> Fault {
        self.passes(PATIENCE).await;
        self.night().sometimes("the vault did not answer in time");
        Fault { kind: FaultKind::Unreachable, ..vault_fault("no end within 30s") }.with_retry()
    }

    async fn passes(&self, time: SignedDuration) {
        let until = self.night().now + time;
        sleep(self, until).await;
        self.alive().await;
    }

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
    fn pace_of_vault(&mut self) -> Pace {
        if self.weather.vault_is_silent {
            return Pace::Silent;
        }
        if !self.weather.vault_is_slow {
            return Pace::Prompt;
        }
        self.sometimes("the vault was slow");
        let takes = SignedDuration::from_secs(5 + i64::try_from(self.dice.below(35)).unwrap_or(0));
        Pace::Slow { takes, at_once: self.dice.once_in(2) }
    }

    /// What nobody waits for any more is written. As a claim it has no owner who knows of it.
    pub(crate) fn lands(&mut self, LateWrite { path, bytes }: LateWrite) {
        if !self.vault.contains_key(&path) {
            self.sometimes("a write landed in the vault that nobody waited for");
            self.vault.insert(path, bytes);
        }
    }

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
