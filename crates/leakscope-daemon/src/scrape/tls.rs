//! TLS towards targets: what a job's `tls_config` means to rustls.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::ScrapeError;
use crate::config::{Tls, TlsVersion};

/// The client side for one job: its authorities (the system's, unless it names some), its certificate, its least version.
pub(crate) fn client_config(tls: &Tls) -> Result<Arc<ClientConfig>, ScrapeError> {
    let failed = |reason: String| ScrapeError::TlsConfig { reason: format!("`tls_config` cannot be used: {reason}") };
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match tls.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|error| failed(error.to_string()))?;
    let builder = if tls.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider)))
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let cert = identity.cert.read()?;
            let chain = CertificateDer::pem_slice_iter(cert.as_bytes())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| failed(format!("the client certificate: {error}")))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key.read()?.expose().as_bytes())
                .map_err(|error| failed(format!("the client key: {error}")))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| failed(error.to_string()))?
        }
    };
    Ok(Arc::new(config))
}

fn roots(tls: &Tls) -> Result<RootCertStore, ScrapeError> {
    let failed = |reason: String| ScrapeError::TlsConfig { reason };
    let mut store = RootCertStore::empty();
    if let Some(ca) = &tls.ca {
        let pem = ca.read()?;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let added = certificate
                .map_err(|error| error.to_string())
                .and_then(|one| store.add(one).map_err(|error| error.to_string()));
            added.map_err(|error| failed(format!("expected certificates in PEM for `ca_file`, found: {error}")))?;
        }
        if store.is_empty() {
            return Err(failed("expected certificates in PEM for `ca_file`, found none".into()));
        }
        return Ok(store);
    }
    let system = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(system.certs);
    if store.is_empty() {
        return Err(failed("this system has no certificate authorities; name them by `ca_file`".into()));
    }
    Ok(store)
}

/// The name that a target's certificate must carry.
pub(crate) fn server_name(tls: &Tls, host: &str) -> Result<ServerName<'static>, ScrapeError> {
    let name = tls.server_name.as_deref().unwrap_or_else(|| host.trim_matches(['[', ']']));
    ServerName::try_from(name.to_owned())
        .map_err(|_| ScrapeError::TlsConfig { reason: format!("expected a host name, found `{name}`") })
}

/// `insecure_skip_verify`: any certificate, but a handshake that fits it.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
