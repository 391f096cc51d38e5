//! Who may ask: nobody but this host by default; with a token or users, whoever has one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::ApiState;
use super::problem::Problem;
use crate::config::Secret;
use crate::sync::lock;

/// Checked passwords remembered, since bcrypt takes a tenth of a second. Full: all are forgotten.
const CHECKED_MAX: usize = 256;

/// What a request must show.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// `Authorization: Bearer` with this token.
    pub(crate) token: Option<Secret>,
    /// `Authorization: Basic` of these users, by bcrypt hash.
    pub(crate) users: BTreeMap<String, Secret>,
    /// Host names that a browser may have used, beside literal addresses and `localhost`.
    pub(crate) host: Option<String>,
    checked: Mutex<BTreeMap<String, bool>>,
}

impl Access {
    pub(crate) fn new(token: Option<Secret>, users: BTreeMap<String, Secret>, host: Option<String>) -> Self {
        Self { token, users, host, checked: Mutex::default() }
    }

    fn open(&self) -> bool {
        self.token.is_none() && self.users.is_empty()
    }

    /// Who asks, as far as known, of a request that was let through.
    pub(crate) fn who(&self, headers: &HeaderMap) -> String {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let pair = shown.and_then(|shown| shown.split_once(' ')).filter(|_| !self.open());
        match pair {
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
                let decoded = unbase64(pair.trim()).unwrap_or_default();
                decoded.split(':').next().unwrap_or_default().to_owned()
            }
            Some(_) => "the holder of the token".to_owned(),
            None => "somebody who may ask without a token".to_owned(),
        }
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(shown) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        match shown.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                self.token.as_ref().is_some_and(|secret| equal(secret.expose().as_bytes(), token.trim().as_bytes()))
            }
            Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => self.admits_user(pair.trim()),
            _ => false,
        }
    }

    fn admits_user(&self, pair: &str) -> bool {
        if let Some(known) = lock(&self.checked).get(pair) {
            return *known;
        }
        let Some(decoded) = unbase64(pair) else { return false };
        let Some((user, password)) = decoded.split_once(':') else { return false };
        // An unknown user takes as long as a known one, so that time does not tell which exist.
        let hash = self.users.get(user).or(self.users.values().next());
        let matches = hash.is_some_and(|hash| bcrypt::verify(password, hash.expose()).unwrap_or(false));
        let admitted = matches && self.users.contains_key(user);
        let mut checked = lock(&self.checked);
        if checked.len() >= CHECKED_MAX {
            checked.clear();
        }
        checked.insert(pair.to_owned(), admitted);
        admitted
    }

    /// Whether the request names this host. Without authentication a web page elsewhere could reach us through a name of its own (DNS rebinding).
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
        let name = if host.starts_with('[') {
            host.split(']').next().unwrap_or(host).trim_start_matches('[')
        } else {
            host.split(':').next().unwrap_or(host)
        };
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<std::net::IpAddr>().is_ok()
            || self.host.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Lets a request through or refuses it, and gives every answer the headers that keep a browser strict.
pub(crate) async fn guard(State(state): State<Arc<ApiState>>, request: Request, next: Next) -> Response {
    state.telemetry.requests.inc();
    let path = request.uri().path().to_owned();
    let probe = matches!(path.as_str(), "/-/healthy" | "/-/ready");
    let mut response = match refusal(&state, &request, &path) {
        Some(response) if !probe => response,
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
        ),
    );
    response
}

fn refusal(state: &ApiState, request: &Request, path: &str) -> Option<Response> {
    let headers = request.headers();
    if state.access.open() {
        if !state.access.knows_host(headers) {
            let detail = "expected an address, `localhost` or the host of `web.external_url` as `Host`";
            return Some(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown-host", detail, path).into_response());
        }
    } else if !state.access.admits(headers) {
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "expected a known token or user", path);
        let scheme = if state.access.users.is_empty() { "Bearer" } else { "Basic realm=\"leakscope\"" };
        return Some(([(header::WWW_AUTHENTICATE, scheme)], problem).into_response());
    }
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && !same_origin(headers) {
        let problem =
            Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "expected a request of this very page", path);
        return Some(problem.into_response());
    }
    None
}

/// Browsers name the page that sends a request; others send no `Origin`.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, origin)| origin == host),
        (Some(_), None) => false,
    }
}

/// Compares in a time that does not depend on where they differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

/// RFC 4648 with or without padding, to text.
fn unbase64(text: &str) -> Option<String> {
    let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_or_a_user_is_admitted_and_nobody_else() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        let users = BTreeMap::from([("ada".to_owned(), Secret::new(hash))]);
        let access = Access::new(Some(Secret::new("t0ken")), users, None);
        for (shown, admitted) in [
            ("Bearer t0ken", true),
            ("bearer t0ken", true),
            ("Bearer t0keN", false),
            ("Basic YWRhOnNlY3JldA==", true),
            ("Basic YWRhOndyb25n", false),
            ("Basic Ym9iOnNlY3JldA==", false),
            ("Basic %%%", false),
            ("Digest x", false),
        ] {
            assert_eq!(access.admits(&headers(&[("authorization", shown)])), admitted, "{shown}");
            assert_eq!(access.admits(&headers(&[("authorization", shown)])), admitted, "again: {shown}");
        }
        assert!(!access.admits(&HeaderMap::new()));
        assert_eq!(access.who(&headers(&[("authorization", "Basic YWRhOnNlY3JldA==")])), "ada");
        assert_eq!(access.who(&headers(&[("authorization", "Bearer t0ken")])), "the holder of the token");
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let access = Access::new(None, BTreeMap::new(), Some("leaks.example".into()));
        for (host, known) in [
            ("127.0.0.1:7077", true),
            ("[::1]:7077", true),
            ("localhost", true),
            ("leaks.example:443", true),
            ("evil.example", false),
        ] {
            assert_eq!(access.knows_host(&headers(&[("host", host)])), known, "{host}");
        }
    }

    #[test]
    fn a_foreign_page_may_not_change_anything() {
        assert!(same_origin(&headers(&[("host", "127.0.0.1:7077")])));
        assert!(same_origin(&headers(&[("host", "127.0.0.1:7077"), ("origin", "http://127.0.0.1:7077")])));
        assert!(!same_origin(&headers(&[("host", "127.0.0.1:7077"), ("origin", "https://evil.example")])));
    }
}
