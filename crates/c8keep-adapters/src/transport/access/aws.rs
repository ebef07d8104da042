//! AWS Signature Version 4, for Amazon OpenSearch Service: every request is signed with keys that are read for it.
//! The signing itself is AWS' own crate, behind the cargo feature `aws`.

use std::time::SystemTime;

use super::{Headers, Secret};
use crate::transport::Request;

/// With which keys requests are signed, and for what.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// As in `eu-central-1`.
    pub region: String,
    /// `es` for OpenSearch Service, `aoss` for its serverless kind.
    pub service: String,
    /// The access key's id.
    pub access_key_id: Secret,
    /// The access key.
    pub secret_access_key: Secret,
    /// For keys that are lent.
    pub session_token: Option<Secret>,
}

impl AwsKeys {
    /// Whether this build can sign.
    pub const SUPPORTED: bool = cfg!(feature = "aws");

    pub(super) fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.access_key_id, &self.secret_access_key].into_iter().chain(&self.session_token)
    }

    /// Adds the signature of a request at an instant.
    #[cfg(feature = "aws")]
    pub(super) async fn sign(
        &self,
        request: &Request,
        body: &[u8],
        now: SystemTime,
        headers: &mut Headers,
    ) -> Result<(), String> {
        use aws_credential_types::Credentials;
        use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
        use aws_sigv4::sign::v4::SigningParams;
        use reqwest::header::{HeaderName, HeaderValue};
        use secrecy::ExposeSecret;

        let id = self.access_key_id.read().await?;
        let key = self.secret_access_key.read().await?;
        let token = match &self.session_token {
            Some(token) => Some(token.read().await?),
            None => None,
        };
        for secret in [&id, &key].into_iter().chain(&token) {
            headers.scrub.add(secret);
        }
        let token = token.as_ref().map(|token| token.expose_secret().to_owned());
        let identity =
            Credentials::new(id.expose_secret(), key.expose_secret(), token, None, "c8keep").into();
        let failed = |why: &dyn std::fmt::Display| format!("the request cannot be signed for AWS: {why}");
        let settings = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(&self.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|e| failed(&e))?;
        let method = request.method.to_string();
        let signable =
            SignableRequest::new(&method, &request.url, std::iter::empty(), SignableBody::Bytes(body));
        let signed = sign(signable.map_err(|e| failed(&e))?, &settings.into()).map_err(|e| failed(&e))?;
        for (name, value) in signed.output().headers() {
            let name = HeaderName::try_from(name).map_err(|e| failed(&e))?;
            let mut value = HeaderValue::try_from(value).map_err(|e| failed(&e))?;
            value.set_sensitive(true);
            headers.map.insert(name, value);
        }
        Ok(())
    }

    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_async, reason = "the same shape as with the feature")]
    pub(super) async fn sign(
        &self,
        _: &Request,
        _: &[u8],
        _: SystemTime,
        _: &mut Headers,
    ) -> Result<(), String> {
        Err("this build of c8keep cannot sign for AWS: build it with the feature `aws`".into())
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::transport::{Endpoint, Method};

    /// The example "get-vanilla" of AWS' own test suite for Signature Version 4, as a search server would get it.
    #[tokio::test]
    async fn the_signature_is_that_of_the_published_example() {
        let secret = |text: &str| Secret::Given(text.into());
        let keys = AwsKeys {
            region: "us-east-1".into(),
            service: "service".into(),
            access_key_id: secret("AKIDEXAMPLE"),
            secret_access_key: secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: None,
        };
        // 2015-08-30T12:36:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636);
        let request = Endpoint::parse("https://example.amazonaws.com").unwrap().request(Method::Get, "/");
        let mut headers = Headers::default();
        keys.sign(&request, b"", now, &mut headers).await.unwrap();
        let of = |name: &str| headers.map[name].to_str().unwrap().to_owned();
        assert_eq!(of("x-amz-date"), "20150830T123600Z");
        assert_eq!(
            of("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
        );
        let other = Endpoint::parse("https://example.amazonaws.com").unwrap().request(Method::Get, "/x");
        let mut others = Headers::default();
        keys.sign(&other, b"", now, &mut others).await.unwrap();
        assert_ne!(others.map["authorization"], headers.map["authorization"]);
        assert!(!format!("{keys:?}{headers:?}").contains("wJalrXUtn"));
    }
}
