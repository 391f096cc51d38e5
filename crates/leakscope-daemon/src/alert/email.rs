//! E-mail: text and HTML in one message, with the same `Message-ID` at every try.

use std::fmt::Write as _;
use std::time::Duration;

use leakscope_model::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{
    Certificate, Identity, Tls as SmtpTls, TlsParameters, TlsVersion as SmtpTlsVersion,
};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, Tokio1Executor};

use super::word::{Word, annotations, cut};
use crate::config::{Email, Encryption, Tls, TlsVersion};

/// Longest subject, characters.
const SUBJECT_CHARS_MAX: usize = 200;

/// A connection to the server, not yet made.
pub(super) type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// The mail that tells these words; `id` is the same at every try of the same words.
///
/// # Errors
/// What of it cannot be said in a mail.
pub(super) fn message(email: &Email, words: &[Word], id: &str, now: Timestamp) -> Result<Message, String> {
    let titles: Vec<&str> = words.iter().map(|word| word.title.as_str()).collect();
    let host = email.from.email.domain();
    let thread = words.first().map(|word| word.dedup.clone()).unwrap_or_default();
    let mut builder = Message::builder()
        .from(email.from.clone())
        .subject(cut(&titles.join("; "), SUBJECT_CHARS_MAX))
        .message_id(Some(format!("<{}@{host}>", token(id))))
        .references(format!("<{}@{host}>", token(&thread)))
        .date(std::time::UNIX_EPOCH + Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0)));
    for to in &email.to {
        builder = builder.to(Mailbox::clone(to));
    }
    // RFC 3834: no out-of-office answers to machines.
    let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into());
    let parts = MultiPart::alternative_plain_html(text_of(words), html_of(words));
    let message = builder.raw_header(automatic).multipart(parts);
    message.map_err(|error| format!("expected a mail that can be sent, found: {error}"))
}

/// Characters that may stand in an id between angle brackets.
fn token(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '.' }).take(180).collect()
}

fn text_of(words: &[Word]) -> String {
    let mut text = String::new();
    for word in words {
        let state = if word.firing { "firing" } else { "resolved" };
        let _ = writeln!(text, "{} ({state})\n\n{}\n", word.title, word.text);
        if !word.story.url.is_empty() {
            let _ = writeln!(text, "{}\n", word.story.url);
        }
    }
    text
}

fn html_of(words: &[Word]) -> String {
    let mut html = String::from("<!doctype html>\n<html><body style=\"font-family: sans-serif\">\n");
    for word in words {
        let state = if word.firing { "firing" } else { "resolved" };
        let _ = writeln!(html, "<h2>{} ({state})</h2>", escape(&word.title));
        let _ = writeln!(html, "<p style=\"white-space: pre-wrap\">{}</p>", escape(&word.text));
        html.push_str("<table>\n");
        for (name, value) in
            annotations(word).into_iter().filter(|(name, _)| !matches!(*name, "summary" | "description"))
        {
            let _ = writeln!(html, "<tr><th align=\"left\">{name}</th><td>{}</td></tr>", escape(&value));
        }
        html.push_str("</table>\n");
        if !word.story.url.is_empty() {
            let _ = writeln!(html, "<p><a href=\"{}\">Open in leakscope</a></p>", escape(&word.story.url));
        }
    }
    html.push_str("</body></html>\n");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The way to the server. Secrets and certificates are read now, so that they can be rotated.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn transport(email: &Email, tls: &Tls, timeout: Duration) -> Result<Transport, String> {
    let security = match email.encryption {
        Encryption::None => SmtpTls::None,
        Encryption::StartTls => SmtpTls::Required(parameters(email, tls)?),
        Encryption::Tls => SmtpTls::Wrapper(parameters(email, tls)?),
    };
    let mut builder =
        Transport::builder_dangerous(email.host.clone()).port(email.port).tls(security).timeout(Some(timeout));
    if let Some(hello) = &email.hello {
        builder = builder.hello_name(ClientId::Domain(hello.clone()));
    }
    if let Some((user, password)) = &email.auth {
        let password = password.read().map_err(|error| error.with_source())?;
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

fn parameters(email: &Email, tls: &Tls) -> Result<TlsParameters, String> {
    let failed = |reason: String| format!("`tls_config` cannot be used: {reason}");
    let name = tls.server_name.clone().unwrap_or_else(|| email.host.clone());
    let mut builder = TlsParameters::builder(name).set_min_tls_version(match tls.min_version {
        TlsVersion::Tls12 => SmtpTlsVersion::Tlsv12,
        TlsVersion::Tls13 => SmtpTlsVersion::Tlsv13,
    });
    if let Some(ca) = &tls.ca {
        let pem = ca.read().map_err(|error| error.with_source())?;
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(|error| failed(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    if let Some(identity) = &tls.identity {
        let cert = identity.cert.read().map_err(|error| error.with_source())?;
        let key = identity.key.read().map_err(|error| error.with_source())?;
        let identity = Identity::from_pem(cert.as_bytes(), key.expose().as_bytes());
        builder = builder.identify_with(identity.map_err(|error| failed(error.to_string()))?);
    }
    if tls.insecure_skip_verify {
        builder = builder.dangerous_accept_invalid_certs(true).dangerous_accept_invalid_hostnames(true);
    }
    builder.build_rustls().map_err(|error| failed(error.to_string()))
}
