//! A vault that could not be opened, for whoever can do without it.

use async_trait::async_trait;
use c8keep_core::fault::Fault;
use c8keep_engine::ports::Vault;

/// Answers everything with why it could not be opened: what is paused is resumed also where the vault's secret is gone.
#[derive(Debug, Clone)]
pub struct UnopenedVault {
    place: String,
    why: Fault,
}

impl UnopenedVault {
    /// The one that should have been at this place.
    pub fn new(place: impl Into<String>, why: Fault) -> UnopenedVault {
        UnopenedVault { place: place.into(), why }
    }
}

#[async_trait]
impl Vault for UnopenedVault {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn create(&self, _: &str, _: &[u8]) -> Result<String, Fault> {
        Err(self.why.clone())
    }

    async fn read(&self, _: &str) -> Result<Option<Vec<u8>>, Fault> {
        Err(self.why.clone())
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, Fault> {
        Err(self.why.clone())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        Err(self.why.clone())
    }
}
