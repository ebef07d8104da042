//! In place of a vault that cannot be spoken to at all, as where its secret cannot be fetched.

use async_trait::async_trait;
use c8keep_core::fault::Fault;
use c8keep_engine::ports::Vault;

/// Every call fails with the reason.
#[derive(Debug)]
pub struct NoVault {
    fault: Fault,
}

impl NoVault {
    /// Why there is none.
    pub fn because(fault: Fault) -> NoVault {
        NoVault { fault }
    }
}

#[async_trait]
impl Vault for NoVault {
    fn place(&self) -> String {
        self.fault.target.clone()
    }

    async fn create(&self, _: &str, _: &[u8]) -> Result<String, Fault> {
        Err(self.fault.clone())
    }

    async fn read(&self, _: &str) -> Result<Option<Vec<u8>>, Fault> {
        Err(self.fault.clone())
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, Fault> {
        Err(self.fault.clone())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        Err(self.fault.clone())
    }
}
