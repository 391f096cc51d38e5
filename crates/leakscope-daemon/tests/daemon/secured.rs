//! Targets that want to know who asks, and targets that prove who they are.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;

use super::house::{House, until};
use super::server::{Reply, Server, response, rss};

fn refused() -> Reply {
    Reply::Keep(response("401 Unauthorized", "WWW-Authenticate: Basic\r\n", b""))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_is_told_who_asks() {
    let server = Server::start(|head, _| {
        let shown = head.lines().find_map(|line| line.strip_prefix("Authorization: "));
        match shown {
            Some("Basic YWRhOnNlY3JldA==" | "Bearer t0ken" | "Token x y") => Reply::Keep(rss(1_000_000)),
            _ => refused(),
        }
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("password"), "secret\n").unwrap();
    let ways = [
        ("basic", "basic_auth: {username: ada, password: secret}"),
        ("basic_file", "basic_auth: {username: ada, password_file: password}"),
        ("bearer", "authorization: {credentials: t0ken}"),
        ("typed", "authorization: {type: Token, credentials: 'x y'}"),
        ("wrong", "basic_auth: {username: ada, password: other}"),
        ("lost", "authorization: {credentials_file: nowhere}"),
        ("split", "authorization: {credentials: \"t0ken\\r\\nX-Evil: 1\"}"),
    ];
    let mut config = "global: {scrape_interval: 500ms}\nscrape_configs:\n".to_owned();
    for (job, auth) in ways {
        writeln!(config, "- {{job_name: {job}, {auth}, static_configs: [{{targets: ['{}']}}]}}", server.address)
            .unwrap();
    }
    let house = House::start_in(folder, &config).await;
    for job in ["basic", "basic_file", "bearer", "typed"] {
        house.target_up(job).await;
    }
    house.target_failing("wrong", "expected status 200, found 401").await;
    let lost = house.target_failing("lost", "cannot read `").await;
    assert!(lost.last_error.as_deref().is_some_and(|text| text.contains("nowhere`: No such file")), "{lost:#?}");
    house.target_failing("split", "credentials").await;
    assert!(!server.requests().iter().any(|head| head.contains("X-Evil")));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_s_file_is_read_again_when_it_is_rotated() {
    let wanted = Arc::new(Mutex::new("Bearer one".to_owned()));
    let server = {
        let wanted = wanted.clone();
        Server::start(move |head, _| {
            let line = format!("Authorization: {}\r\n", wanted.lock().unwrap());
            if head.contains(&line) { Reply::Keep(rss(1_000_000)) } else { refused() }
        })
        .await
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "one\n").unwrap();
    let config = format!(
        "scrape_configs:\n- {{job_name: rotated, scrape_interval: 300ms, authorization: {{credentials_file: token}}, static_configs: [{{targets: ['{}']}}]}}\n",
        server.address
    );
    let house = House::start_in(folder, &config).await;
    house.target_up("rotated").await;
    "Bearer two".clone_into(&mut wanted.lock().unwrap());
    house.target_failing("rotated", "found 401").await;
    std::fs::write(house.path("token"), "two\n").unwrap();
    house.target_up("rotated").await;
    house.stop().await;
}

/// An authority of its own, with a key for whatever it signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for a name, and its key.
    pub(crate) fn sign(&self, name: &str, purpose: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    /// A client's side that trusts this authority.
    pub(crate) fn client(&self) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// A server's side that wants a certificate of its clients.
    fn server(&self, name: &str) -> Arc<rustls::ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let (certificate, key) = self.sign(name, ExtendedKeyUsagePurpose::ServerAuth);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    fn write(&self, folder: &Path, file: &str) {
        std::fs::write(folder.join(file), self.0.pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_proves_who_it_is_and_so_do_we() {
    let (ours, other) = (Authority::new(), Authority::new());
    let server = Server::start_tls(ours.server("metrics.internal"), |_, _| Reply::Keep(rss(1_000_000))).await;
    let folder = tempfile::tempdir().unwrap();
    ours.write(folder.path(), "ca.pem");
    other.write(folder.path(), "other.pem");
    std::fs::write(folder.path().join("empty.pem"), "nothing").unwrap();
    let (certificate, key) = ours.sign("leakscope", ExtendedKeyUsagePurpose::ClientAuth);
    std::fs::write(folder.path().join("client.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
    let jobs = [
        (
            "good",
            "https",
            "ca_file: ca.pem, server_name: metrics.internal, cert_file: client.pem, key_file: client.key",
        ),
        ("skipping", "https", "insecure_skip_verify: true, cert_file: client.pem, key_file: client.key"),
        (
            "foreign",
            "https",
            "ca_file: other.pem, server_name: metrics.internal, cert_file: client.pem, key_file: client.key",
        ),
        (
            "misnamed",
            "https",
            "ca_file: ca.pem, server_name: other.internal, cert_file: client.pem, key_file: client.key",
        ),
        ("unknown", "https", "ca_file: ca.pem, server_name: metrics.internal"),
        ("no_file", "https", "ca_file: missing.pem"),
        ("no_pem", "https", "ca_file: empty.pem"),
        ("plain", "http", "ca_file: ca.pem"),
    ];
    let mut config = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
    for (job, scheme, tls) in jobs {
        writeln!(
            config,
            "- {{job_name: {job}, scheme: {scheme}, tls_config: {{{tls}}}, static_configs: [{{targets: ['{}']}}]}}",
            server.address
        )
        .unwrap();
    }
    // A rule may turn single targets of a plain job to TLS.
    writeln!(config, "- {{job_name: turned, tls_config: {{insecure_skip_verify: true, cert_file: client.pem, key_file: client.key}}, relabel_configs: [{{target_label: __scheme__, replacement: https}}], static_configs: [{{targets: ['{}']}}]}}", server.address).unwrap();
    let house = House::start_in(folder, &config).await;
    for job in ["good", "skipping", "turned"] {
        house.target_up(job).await;
    }
    for (job, error) in [
        ("foreign", "other.pem`"),
        ("misnamed", "other.internal"),
        ("unknown", "ertificate"),
        ("no_file", "missing.pem`: No such file"),
        ("no_pem", "expected certificates in PEM"),
        ("plain", "expected"),
    ] {
        house.target_failing(job, error).await;
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_connections_are_kept_too() {
    let ours = Authority::new();
    let server = Server::start_tls(ours.server("metrics.internal"), |_, _| Reply::Keep(rss(1_000_000))).await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = ours.sign("leakscope", ExtendedKeyUsagePurpose::ClientAuth);
    std::fs::write(folder.path().join("client.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("client.key"), key.serialize_pem()).unwrap();
    let config = format!(
        "scrape_configs:\n- {{job_name: kept, scrape_interval: 1s, scheme: https, tls_config: {{insecure_skip_verify: true, cert_file: client.pem, key_file: client.key}}, static_configs: [{{targets: ['{}']}}]}}\n",
        server.address
    );
    let house = House::start_in(folder, &config).await;
    until("the page was asked for three times", async || (server.n_requests() >= 3).then_some(())).await;
    assert_eq!(server.n_connections(), 1);
    house.stop().await;
}
