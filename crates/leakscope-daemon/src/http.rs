//! HTTP towards others, for evidence and alerts: one way to make a client, to authenticate, and to say why it failed.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use rustls::ClientConfig;

use crate::config::{Auth, Secret, SecretError, Sourced};

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client that follows no redirect and uses no proxy: only what is configured is asked. `tls` is needed for `https` only.
///
/// # Errors
/// Why no client can be made, as a sentence.
pub(crate) fn client(tls: Option<&Arc<ClientConfig>>) -> Result<reqwest::Client, String> {
    let config = tls.map_or_else(plain, |config| Ok((**config).clone()))?;
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("leakscope/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(config);
    builder.build().map_err(|error| reason(&error))
}

/// A request with its credentials; those in files are read at each request, so that they can be rotated.
///
/// # Errors
/// [`SecretError`] when a file cannot be read.
pub(crate) fn authorize(request: RequestBuilder, auth: &Auth) -> Result<RequestBuilder, SecretError> {
    Ok(match auth {
        Auth::None => request,
        Auth::Basic { username, password } => {
            let password = password.as_ref().map(Sourced::<Secret>::read).transpose()?;
            request.basic_auth(username.read()?, password.map(|secret| secret.expose().to_owned()))
        }
        Auth::Header { scheme, credentials } => {
            let value = format!("{scheme} {}", credentials.read()?.expose());
            request.header(reqwest::header::AUTHORIZATION, value)
        }
    })
}

/// The innermost cause of an error, which says more than "error sending request" and names no URL.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// For servers that are asked without TLS: the client wants a configuration all the same.
fn plain() -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}
