//! From a vault's address and login to a store: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::wire::{Wire, deepest};
use super::{ObjectVault, PATIENCE, Patience};

/// Where an object store is, and how to log in.
#[derive(Debug, Clone, Default)]
pub struct Store {
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: String,
    /// The server, where it is not the cloud's own.
    pub endpoint: Option<String>,
    /// S3's region.
    pub region: Option<String>,
    /// Whether the bucket is in the path rather than in the host's name. Without it: where an endpoint is given.
    pub path_style: Option<bool>,
    /// Whether plain HTTP may leave this machine.
    pub allow_http: bool,
    /// Azure's storage account.
    pub account: Option<String>,
    /// `None`: the cloud's usual variables, or the machine's own login.
    pub login: Option<Login>,
}

/// A login that was configured.
#[derive(Debug, Clone)]
pub struct Login {
    /// S3: the access key's id. The others have none.
    pub id: Option<String>,
    /// S3: the secret key. Azure: the account's key, or a shared access signature. GCS: the service account's key, as JSON.
    pub secret: SecretString,
}

/// Whether a vault's address is one of an object store rather than a folder.
pub fn is_store(address: &str) -> bool {
    address.contains("://")
}

impl Store {
    /// Opens the vault. Nothing is sent yet.
    pub fn open(&self) -> Result<ObjectVault, Fault> {
        self.open_with(PATIENCE)
    }

    /// The same with other limits.
    pub(super) fn open_with(&self, patience: Patience) -> Result<ObjectVault, Fault> {
        let address = Url::parse(&self.url).map_err(|error| self.usage(error.to_string()))?;
        if !address.username().is_empty() || address.password().is_some() || address.query().is_some() {
            return Err(self.usage("it holds more than a bucket and a prefix; logins go elsewhere"));
        }
        let bucket = address.host_str().filter(|host| !host.is_empty());
        let bucket = bucket.ok_or_else(|| self.usage("it names no bucket"))?;
        let prefix = address.path().trim_matches('/').to_owned();
        let place = format!("{}://{bucket}/{prefix}", address.scheme());
        let store = match address.scheme() {
            "s3" => self.s3(bucket, patience)?,
            "gs" => self.gcs(bucket, patience)?,
            "az" => self.azure(bucket, patience)?,
            other => {
                return Err(self.usage(format!("{other}:// is not known; s3://, gs:// and az:// are")));
            }
        };
        Ok(ObjectVault::new(store, &place, &prefix).with_patience(patience))
    }

    fn s3(&self, bucket: &str, patience: Patience) -> Result<Arc<dyn ObjectStore>, Fault> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_http_connector(wire(patience))
            .with_retry(retry(patience))
            // Servers that only speak like S3 often lack the request that deletes many.
            .with_disable_bulk_delete(true);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(Login { id, secret }) = &self.login {
            let id = id.as_ref().ok_or_else(|| self.usage("a login for S3 has an id and a secret"))?;
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose_secret());
        }
        let from_env = |key| builder.get_config_value(&key);
        let endpoint = self.endpoint.clone().or_else(|| {
            from_env(AmazonS3ConfigKey::S3Endpoint).or_else(|| from_env(AmazonS3ConfigKey::Endpoint))
        });
        let path_style = self.path_style.unwrap_or(endpoint.is_some());
        builder = builder
            .with_virtual_hosted_style_request(!path_style)
            .with_client_options(self.options(endpoint.as_deref())?);
        if let Some(endpoint) = endpoint {
            let endpoint = if path_style { endpoint } else { self.with_bucket(&endpoint, bucket)? };
            builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        Ok(Arc::new(builder.build().map_err(|error| self.usage(deepest(&error)))?))
    }

    fn gcs(&self, bucket: &str, patience: Patience) -> Result<Arc<dyn ObjectStore>, Fault> {
        let mut builder = GoogleCloudStorageBuilder::from_env()
            .with_bucket_name(bucket)
            .with_http_connector(wire(patience))
            .with_retry(retry(patience))
            .with_client_options(self.options(self.endpoint.as_deref())?);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_base_url(endpoint);
        }
        if let Some(Login { secret, .. }) = &self.login {
            builder = builder.with_service_account_key(secret.expose_secret());
        }
        Ok(Arc::new(builder.build().map_err(|error| self.usage(deepest(&error)))?))
    }

    fn azure(&self, container: &str, patience: Patience) -> Result<Arc<dyn ObjectStore>, Fault> {
        let mut builder = MicrosoftAzureBuilder::from_env()
            .with_container_name(container)
            .with_http_connector(wire(patience))
            .with_retry(retry(patience))
            .with_client_options(self.options(self.endpoint.as_deref())?);
        if let Some(account) = &self.account {
            builder = builder.with_account(account);
        }
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        if let Some(Login { secret, .. }) = &self.login {
            let secret = secret.expose_secret();
            // A key is base64; a shared access signature is a query, and always has a signature in it.
            let is_signature = secret.contains("sig=");
            let key = if is_signature { AzureConfigKey::SasKey } else { AzureConfigKey::AccessKey };
            builder = builder.with_config(key, secret);
        }
        Ok(Arc::new(builder.build().map_err(|error| self.usage(deepest(&error)))?))
    }

    /// Plain HTTP never leaves this machine unless that is asked for.
    fn options(&self, endpoint: Option<&str>) -> Result<ClientOptions, Fault> {
        let options = ClientOptions::new();
        let Some(endpoint) = endpoint else { return Ok(options) };
        let parsed =
            Url::parse(endpoint).map_err(|error| self.endpoint_fault(endpoint, error.to_string()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(self.endpoint_fault(parsed.host_str().unwrap_or_default(), "it holds a login"));
        }
        match parsed.scheme() {
            "https" => Ok(options),
            "http" if self.allow_http || is_loopback(&parsed) => Ok(options.with_allow_http(true)),
            "http" => Err(self
                .endpoint_fault(endpoint, "plain HTTP would show everything to whoever listens")
                .with_hint("give an https address, or say `allow_http: true`")),
            other => Err(self.endpoint_fault(endpoint, format!("{other}:// is neither https nor http"))),
        }
    }

    /// The endpoint with the bucket in the host's name, as the library wants it.
    fn with_bucket(&self, endpoint: &str, bucket: &str) -> Result<String, Fault> {
        let mut url =
            Url::parse(endpoint).map_err(|error| self.endpoint_fault(endpoint, error.to_string()))?;
        let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
        url.set_host(Some(&host)).map_err(|error| self.endpoint_fault(endpoint, error.to_string()))?;
        Ok(url.as_str().trim_end_matches('/').to_owned())
    }

    fn usage(&self, answer: impl Into<String>) -> Fault {
        // Whatever stands before an @ may be a password.
        let shown = self.url.rsplit('@').next().unwrap_or_default();
        Fault::new(FaultKind::Usage, "opening the vault", shown, answer).with_hint(
            "write it like s3://bucket/prefix, gs://bucket/prefix or az://container/prefix (docs/vaults.md)",
        )
    }

    fn endpoint_fault(&self, endpoint: &str, answer: impl Into<String>) -> Fault {
        let shown = endpoint.rsplit('@').next().unwrap_or_default();
        Fault::new(FaultKind::Usage, "opening the vault", format!("{}, endpoint {shown}", self.url), answer)
            .with_hint("write it like https://minio.example.org:9000")
    }
}

fn wire(patience: Patience) -> Wire {
    Wire { request: patience.request }
}

/// Short: the engine repeats what is worth repeating, and a claim cannot wait.
fn retry(patience: Patience) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
            base: 2.0,
        },
        max_retries: patience.retries,
        retry_timeout: patience.operation,
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
