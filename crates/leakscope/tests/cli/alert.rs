//! `alert test` against a receiver that takes, one that refuses, and none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::run::run;

/// A receiver that answers every request with `status`; its address.
fn receiver(status: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            // The body of a test is one JSON object, and nothing follows it.
            while !request.ends_with(b"}") {
                let n = stream.read(&mut piece).unwrap();
                request.extend_from_slice(&piece[..n]);
            }
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    format!("http://{address}/hunter2")
}

#[test]
fn a_test_says_what_was_sent_and_what_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    for (status, exit, said) in [
        ("200 OK", 0, "ops/webhook[0] took it: 200 OK: ok\n  sent: A test of leakscope's alerts\n"),
        (
            "404 Not Found",
            3,
            "ops/webhook[0] did not take it: expected status 2xx, found 404 Not Found: ok\n  sent: A test of leakscope's alerts\n",
        ),
    ] {
        let text =
            format!("alerting: {{receivers: [{{name: ops, webhook_configs: [{{url: '{}'}}]}}]}}\n", receiver(status));
        std::fs::write(folder.path().join("leakscope.yaml"), text).unwrap();
        let ran = run(folder.path(), &["alert", "test", "ops", "--config.file", "leakscope.yaml"]);
        assert_eq!((ran.exit, ran.stdout.as_str()), (exit, said), "{}", ran.stderr);
        assert!(!ran.stdout.contains("hunter2"));
    }
    let ran = run(folder.path(), &["alert", "test", "nobody", "--config.file", "leakscope.yaml"]);
    assert_eq!(ran.exit, 2);
    assert!(ran.stderr.contains("receiver `nobody` is not in the configuration; there is `ops`"), "{}", ran.stderr);
}
