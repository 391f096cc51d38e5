//! Real receivers: Alertmanager from Debian's packages and an SMTP server from Python's. What is missing is fetched into
//! `target/receivers`; where that fails the test says so and is skipped.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::*;
use crate::clock;

/// The folder of what is fetched.
fn receivers() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/receivers");
    std::fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

async fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    matches!(tokio::time::timeout(Duration::from_mins(2), command.status()).await, Ok(Ok(status)) if status.success())
}

/// Alertmanager's program.
async fn alertmanager() -> Option<PathBuf> {
    let folder = receivers();
    let program = folder.join("alertmanager/usr/bin/prometheus-alertmanager");
    if !program.exists() {
        succeeds(Command::new("apt-get").args(["download", "prometheus-alertmanager"]).current_dir(&folder)).await;
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        let package = names.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"))?;
        succeeds(Command::new("dpkg").arg("-x").arg(package).arg(folder.join("alertmanager"))).await;
    }
    let starts = Command::new("unshare")
        .args(NAMESPACE)
        .args(["true"])
        .arg(shared(&program))
        .stdin(Stdio::null())
        .status()
        .await;
    (program.exists() && starts.is_ok_and(|status| status.success())).then_some(program)
}

/// Debian's Alertmanager wants its templates under `/usr/share`: it sees its own files there, and nobody else does.
const NAMESPACE: [&str; 6] = [
    "--user",
    "--map-root-user",
    "--mount",
    "sh",
    "-c",
    "mount --bind \"$1\" /usr/share && program=$0 && shift && exec \"$program\" \"$@\"",
];

/// `/usr/share` of the package that the program is in.
fn shared(program: &Path) -> PathBuf {
    program.parent().and_then(Path::parent).unwrap().join("share")
}

/// Waits until `found` gives something.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut found: impl FnMut() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = found().await {
                return found;
            }
            // poll: what is waited for
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap_or_else(|_| panic!("no {what} within a minute"))
}

/// A running Alertmanager that tells `server`, and its address.
async fn start_alertmanager(program: &Path, folder: &Path, server: &Server) -> (Child, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = format!(
        "route: {{receiver: hook, group_by: [service], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}}\nreceivers: [{{name: hook, webhook_configs: [{{url: '{}/from-alertmanager'}}]}}]\n",
        server.url
    );
    std::fs::write(folder.join("am.yml"), settings).unwrap();
    let child = Command::new("unshare")
        .args(NAMESPACE)
        .args([program, &shared(program)])
        .arg(format!("--config.file={}", folder.join("am.yml").display()))
        .arg(format!("--storage.path={}", folder.join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    until("Alertmanager", || async { get(&format!("{url}/api/v2/status")).await }).await;
    (child, url)
}

async fn get(url: &str) -> Option<Value> {
    let answer = crate::http::client(None).unwrap().get(url).send().await.ok()?;
    serde_json::from_slice(&answer.bytes().await.ok()?).ok()
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn alertmanager_receives_groups_and_resolves() {
    let Some(program) = alertmanager().await else {
        eprintln!("skipped: Alertmanager is not here and `apt-get download prometheus-alertmanager` brings none");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start().await;
    let (_child, url) = start_alertmanager(&program, folder.path(), &server).await;
    let settings = config(&format!(
        "{{name: ops, alertmanager_configs: [{{urls: ['{url}']}}], webhook_configs: [{{url: '{}/from-us'}}]}}",
        server.url
    ));
    let mut desk = Desk::open(Arc::new(Store::open(&folder.path().join("store")).unwrap()), &settings).unwrap();
    let carts = [explained(incident(1, "cart", &[Open, Explained])), incident(2, "shop", &[Open])];
    desk.notice(clock::now(), notice(&carts[0], Occasion::Explained));
    desk.notice(clock::now(), notice(&carts[1], Occasion::Opened));
    desk.round(clock::now()).await;
    desk.resend(clock::now(), &carts).await;
    let groups = until("two groups", || async {
        get(&format!("{url}/api/v2/alerts/groups"))
            .await
            .filter(|groups| groups.as_array().is_some_and(|all| all.len() == 2))
    });
    let groups = groups.await;
    let services: Vec<&str> = (0..2).map(|group| groups[group]["labels"]["service"].as_str().unwrap()).collect();
    assert_eq!(services, ["cart", "shop"]);
    assert_eq!(groups[0]["alerts"].as_array().unwrap().len(), 1, "told again, it is the same alert");
    let labels = serde_json::from_value(groups[0]["alerts"][0]["labels"].clone()).unwrap();
    assert_eq!(groups[0]["alerts"][0]["fingerprint"], super::super::super::webhook::fingerprint(&labels));

    desk.notice(clock::now(), notice(&incident(1, "cart", &[Open, Explained, Recovered]), Occasion::Resolved));
    desk.round(clock::now()).await;
    let theirs = until("end of an alert", || async {
        let told = server.requests().into_iter().filter(|one| one.path == "/from-alertmanager");
        told.map(|one| one.body).find(|body| body["status"] == "resolved")
    });
    let theirs = theirs.await;
    assert_eq!(theirs["groupLabels"]["service"], "cart");
    // What we send to webhooks has the fields that Alertmanager's own message has, no more and no less.
    desk.round(clock::now().plus(Duration::from_mins(1))).await;
    let ours = server.requests().into_iter().find(|one| one.path == "/from-us").unwrap().body;
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!(keys(&ours["alerts"][0]), keys(&theirs["alerts"][0]));
}

/// Python with aiosmtpd.
async fn python() -> Option<PathBuf> {
    let folder = receivers().join("smtp");
    let python = folder.join("bin/python");
    let works = |python: &Path| succeeds_owned(python.to_owned(), vec!["-c".into(), "import aiosmtpd".into()]);
    if !works(&python).await {
        succeeds(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await;
        succeeds_owned(python.clone(), vec!["-m".into(), "pip".into(), "install".into(), "aiosmtpd==1.4.6".into()])
            .await;
    }
    works(&python).await.then_some(python)
}

async fn succeeds_owned(program: PathBuf, args: Vec<String>) -> bool {
    succeeds(Command::new(program).args(args)).await
}

const SMTP_SERVER: &str = r#"
import asyncio, email, json, ssl, sys
from email import policy
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, cert, key = sys.argv[1:4]

class Handler:
    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        print(json.dumps({
            "to": envelope.rcpt_tos, "tls": server.transport.get_extra_info("ssl_object") is not None, "user": bool(session.authenticated),
            "subject": message["Subject"], "id": message["Message-ID"],
            "parts": [part.get_content_type() for part in message.walk()],
            "text": message.get_body(("plain",)).get_content(),
        }), flush=True)
        return "250 kept"

def check(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"leakscope", b"hunter2")
    return AuthResult(success=good)

async def main():
    context = None
    if mode != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
    def make():
        secured = mode != "none"
        return SMTP(Handler(), hostname="localhost", authenticator=check if secured else None, auth_required=secured,
                    tls_context=context if mode == "starttls" else None, require_starttls=mode == "starttls",
                    auth_require_tls=mode == "starttls")
    server = await asyncio.get_running_loop().create_server(make, "127.0.0.1", 0, ssl=context if mode == "tls" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"#;

async fn start_smtp(python: &Path, mode: &str, folder: &Path) -> (Child, String, Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(python)
        .args(["-c", SMTP_SERVER, mode])
        .args([folder.join("cert.pem"), folder.join("key.pem")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().expect("the server says its port");
    (child, port, lines)
}

#[tokio::test]
async fn a_mail_server_takes_alerts_in_the_clear_by_starttls_and_by_tls_with_a_password() {
    let Some(python) = python().await else {
        eprintln!("skipped: aiosmtpd is not here and pip brings none");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    for mode in ["none", "starttls", "tls"] {
        let (_child, port, mut lines) = start_smtp(&python, mode, folder.path()).await;
        let cert = folder.path().join("cert.pem");
        let secured = format!(
            ", auth_username: leakscope, auth_password: hunter2, tls_config: {{ca_file: '{}', server_name: localhost}}",
            cert.display()
        );
        let settings = config(&format!(
            "{{name: ops, email_configs: [{{to: 'a@example.org, b@example.org', from: leakscope@example.org, smarthost: '127.0.0.1:{port}', encryption: {mode}{}}}]}}",
            if mode == "none" { "" } else { &secured }
        ));
        let store = Arc::new(Store::open(&folder.path().join(mode)).unwrap());
        let mut desk = Desk::open(store, &settings).unwrap();
        desk.notice(at(0), notice(&explained(incident(1, "cart", &[Open, Explained])), Occasion::Explained));
        pass(&mut desk, 0, 31).await;
        let errors: Vec<_> = desk.store.deliveries(9).unwrap().into_iter().map(|one| one.last_error).collect();
        assert_eq!(states(&desk), ["ops/email[0]: delivered after 1"], "{mode}: {errors:?}");
        let mail: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
        assert_eq!(mail["to"], serde_json::json!(["a@example.org", "b@example.org"]));
        assert_eq!((&mail["tls"], &mail["user"]), (&(mode != "none").into(), &(mode != "none").into()), "{mode}");
        assert_eq!(mail["subject"], "cart leaks memory: Cart.add");
        assert_eq!(mail["parts"], serde_json::json!(["multipart/alternative", "text/plain", "text/html"]));
        assert!(mail["text"].as_str().unwrap().contains("(cart.js:42), confidence 95 %"), "{}", mail["text"]);
    }
}
