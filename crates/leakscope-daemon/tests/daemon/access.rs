//! Who may ask the API.

use std::net::SocketAddr;
use std::time::Duration;

use leakscope_daemon::{Daemon, Settings, StartError};
use rcgen::ExtendedKeyUsagePurpose;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::client::ask;
use super::house::{House, settings};
use super::secured::Authority;

/// A folder with this configuration.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("leakscope.yaml"), config).unwrap();
    folder
}

fn open_to_all(folder: &TempDir) -> Settings {
    Settings { listen: Some(SocketAddr::from(([0, 0, 0, 0], 0))), ..settings(folder) }
}

/// Where to reach a daemon that listens everywhere.
fn reached(daemon: &Daemon) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], daemon.address().port()))
}

const QUIET: &str = "local_discovery: {enabled: false}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_elsewhere_reaches_nothing() {
    let house = House::start(&format!("{QUIET}web: {{external_url: 'https://leaks.example/x'}}\n")).await;
    let address = house.address();
    for (host, status) in [("127.0.0.1:1", 200), ("localhost", 200), ("leaks.example", 200), ("[::1]:7077", 200)] {
        assert_eq!(ask(address, "GET", "/api/v1/status", &[("Host", host)]).await.status, status, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example:7077", "127.0.0.1.evil.example"] {
        ask(address, "GET", "/api/v1/status", &[("Host", host)]).await.problem(421);
        ask(address, "GET", "/", &[("Host", host)]).await.problem(421);
    }
    let own = format!("http://{address}");
    for (origin, status) in [("https://evil.example", 403), ("null", 403), (own.as_str(), 200)] {
        let answer = ask(address, "POST", "/-/reload", &[("Origin", origin)]).await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.text());
    }
    assert_eq!(ask(address, "GET", "/api/v1/status", &[("Origin", "https://evil.example")]).await.status, 200);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_hosts_are_served_only_with_authentication_or_on_an_explicit_word() {
    let quiet = folder(QUIET);
    let refusal = Daemon::start(open_to_all(&quiet)).await.unwrap_err();
    assert!(matches!(refusal, StartError::Open { .. }), "{refusal}");
    for part in ["0.0.0.0:0", "web.authorization", "--web.allow-unauthenticated-non-loopback"] {
        assert!(refusal.to_string().contains(part), "{refusal}");
    }
    assert!(!quiet.path().join("data").exists(), "nothing was begun");

    let allowed = Settings { allow_unauthenticated_non_loopback: true, ..open_to_all(&quiet) };
    let daemon = Daemon::start(allowed).await.unwrap();
    assert_eq!(ask(reached(&daemon), "GET", "/api/v1/status", &[]).await.status, 200);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_token_only_its_bearer_is_served() {
    let folder = folder(&format!("{QUIET}web: {{authorization: {{credentials: t0ken}}}}\n"));
    let daemon = Daemon::start(open_to_all(&folder)).await.unwrap();
    let address = reached(&daemon);
    for shown in [vec![], vec![("Authorization", "Bearer other")], vec![("Authorization", "Basic dDBrZW4=")]] {
        for path in ["/api/v1/status", "/", "/metrics", "/api/v1/events", "/api/v1/openapi.json"] {
            let answer = ask(address, "GET", path, &shown).await;
            answer.problem(401);
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
        ask(address, "POST", "/-/reload", &shown).await.problem(401);
        assert_eq!(ask(address, "GET", "/-/healthy", &shown).await.status, 200, "probes carry no token");
    }
    let token = ("Authorization", "Bearer t0ken");
    assert_eq!(ask(address, "GET", "/api/v1/status", &[token]).await.status, 200);
    assert_eq!(ask(address, "GET", "/api/v1/status", &[token, ("Host", "leaks.example")]).await.status, 200);
    assert_eq!(ask(address, "POST", "/-/reload", &[token, ("Origin", "https://evil.example")]).await.status, 403);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_show_their_passwords() {
    let folder = folder(&format!("{QUIET}web: {{config_file: web.yml}}\n"));
    let hash = bcrypt::hash("secret", 4).unwrap();
    std::fs::write(folder.path().join("web.yml"), format!("basic_auth_users:\n  ada: {hash}\n")).unwrap();
    let daemon = Daemon::start(open_to_all(&folder)).await.unwrap();
    let address = reached(&daemon);
    for (shown, status) in [
        ("Basic YWRhOnNlY3JldA==", 200),
        ("Basic YWRhOndyb25n", 401),
        ("Basic Ym9iOnNlY3JldA==", 401),
        ("Basic !", 401),
        ("Bearer secret", 401),
    ] {
        assert_eq!(ask(address, "GET", "/api/v1/status", &[("Authorization", shown)]).await.status, status, "{shown}");
    }
    let answer = ask(address, "GET", "/api/v1/status", &[]).await;
    assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"leakscope\""));
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_speaks_tls_and_a_client_that_does_not_holds_up_nobody() {
    let folder = folder(&format!("{QUIET}web: {{config_file: web.yml}}\n"));
    let authority = Authority::new();
    let (certificate, key) = authority.sign("leaks.example", ExtendedKeyUsagePurpose::ServerAuth);
    std::fs::write(folder.path().join("web.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("web.key"), key.serialize_pem()).unwrap();
    let web = "tls_server_config: {cert_file: web.pem, key_file: web.key}\n";
    std::fs::write(folder.path().join("web.yml"), web).unwrap();
    let daemon = Daemon::start(settings(&folder)).await.unwrap();
    assert!(daemon.url().starts_with("https://"), "{}", daemon.url());

    let mut silent = TcpStream::connect(daemon.address()).await.unwrap();
    let mut plain = TcpStream::connect(daemon.address()).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let stream = TcpStream::connect(daemon.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("leaks.example").unwrap();
    let mut stream = TlsConnector::from(authority.client()).connect(name, stream).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("leakscope is healthy\n"), "{answer}");

    daemon.stop().await;
    // What is not shaken hands with ends with the daemon, well before its handshake would take too long.
    let ended = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut [0; 1])).await;
    assert!(matches!(ended, Ok(Ok(0) | Err(_))), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_is_one_daemon_s() {
    let house = House::start(QUIET).await;
    let file = house.path("leakscope.yaml");
    let folder = file.parent().unwrap();
    let settings = Settings {
        config: leakscope_daemon::config::Config::load(&file).unwrap(),
        config_file: None,
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        storage_path: Some(folder.join("data")),
        allow_unauthenticated_non_loopback: false,
        time_scale: None,
        program: None,
    };
    let refusal = Daemon::start(settings).await.unwrap_err();
    assert!(matches!(refusal, StartError::Store(_)) && refusal.to_string().contains("data"), "{refusal}");
    house.stop().await;
}
