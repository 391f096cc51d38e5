//! How a server is spoken to: authentication, TLS, redirects. The same keys for scrape jobs and for `http_sd_configs`.

use super::reader::{Fields, Reader};
use super::secret::{Secret, Sourced};

/// How requests authenticate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// User name and password (RFC 7617).
    Basic {
        /// The user's name.
        username: Sourced<String>,
        /// The password; none sends an empty one.
        password: Option<Sourced<Secret>>,
    },
    /// `Authorization: SCHEME CREDENTIALS`.
    Header {
        /// `Bearer`, mostly.
        scheme: String,
        /// The token.
        credentials: Sourced<Secret>,
    },
}

/// The oldest TLS version that is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl TlsVersion {
    pub(super) const CHOICES: [(&'static str, Self); 2] = [("TLS12", Self::Tls12), ("TLS13", Self::Tls13)];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "TLS12",
            Self::Tls13 => "TLS13",
        }
    }
}

/// `tls_config`: what a server's certificate is checked against, and our own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities, PEM, in place of the system's.
    pub ca: Option<Sourced<String>>,
    /// Our certificate and its key, PEM; both or neither.
    pub identity: Option<ClientIdentity>,
    /// The name to expect in the certificate, in place of the address.
    pub server_name: Option<String>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// The oldest version.
    pub min_version: TlsVersion,
}

/// A client certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The certificate, with its chain.
    pub cert: Sourced<String>,
    /// The private key.
    pub key: Sourced<Secret>,
}

/// Everything about the connection to a server that is not its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpClient {
    /// How requests authenticate.
    pub auth: Auth,
    /// TLS, used with the scheme `https`.
    pub tls: Tls,
    /// Follow redirects, on the same host only.
    pub follow_redirects: bool,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self { auth: Auth::None, tls: Tls::default(), follow_redirects: true }
    }
}

impl HttpClient {
    pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Self {
        let auth = read_auth(reader, fields);
        let tls = reader.section(fields, "tls_config", read_tls).unwrap_or_default();
        let follow_redirects = reader.boolean(fields, "follow_redirects").unwrap_or(true);
        Self { auth, tls, follow_redirects }
    }

    /// Every file that it names, with the key that names it.
    pub fn files(&self) -> Vec<(&'static str, &std::path::Path)> {
        let mut files = Vec::new();
        match &self.auth {
            Auth::None => {}
            Auth::Basic { username, password } => {
                files.push(("username_file", username.file()));
                files.push(("password_file", password.as_ref().and_then(Sourced::file)));
            }
            Auth::Header { credentials, .. } => files.push(("credentials_file", credentials.file())),
        }
        files.push(("ca_file", self.tls.ca.as_ref().and_then(Sourced::file)));
        if let Some(identity) = &self.tls.identity {
            files.push(("cert_file", identity.cert.file()));
            files.push(("key_file", identity.key.file()));
        }
        files.into_iter().filter_map(|(key, file)| Some((key, file?))).collect()
    }
}

fn read_auth(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Auth {
    const KINDS: [&str; 4] = ["basic_auth", "authorization", "bearer_token", "bearer_token_file"];
    let mut given: Vec<&str> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    if fields.has("bearer_token") {
        // Both spellings of one kind are told of where the two are read.
        given.retain(|kind| *kind != "bearer_token_file");
    }
    if let [first, second, ..] = given[..] {
        let message = format!("`{}` and `{second}` exclude each other", fields.path_of(first));
        reader.error(fields.key_place(second), message, None, Some("keep one way to authenticate".to_owned()));
    }
    let basic = reader.section(fields, "basic_auth", read_basic).flatten();
    let header = reader.section(fields, "authorization", read_header).flatten();
    let bearer_place = fields.key_place(if fields.has("bearer_token") { "bearer_token" } else { "bearer_token_file" });
    let bearer = reader.secret(fields, "bearer_token", "bearer_token_file");
    if bearer.is_some() {
        let hint = "write `authorization: {credentials_file: ...}`";
        reader.warn(bearer_place, "`bearer_token` is the spelling of old Prometheus".to_owned(), Some(hint.to_owned()));
    }
    let bearer = bearer.map(|at| Auth::Header { scheme: "Bearer".to_owned(), credentials: at.value });
    basic.or(header).or(bearer).unwrap_or_default()
}

fn read_basic(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Auth> {
    let username = reader.sourced(fields, "username", "username_file");
    let password = reader.secret(fields, "password", "password_file");
    let Some(username) = username else {
        if !fields.has("username") && !fields.has("username_file") {
            let message = format!("`{}` needs `username` or `username_file`", fields.path);
            reader.error(fields.place, message, None, None);
        }
        return None;
    };
    Some(Auth::Basic { username: username.value, password: password.map(|at| at.value) })
}

pub(super) fn read_header(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Auth> {
    let scheme = reader.text(fields, "type");
    let credentials = reader.secret(fields, "credentials", "credentials_file");
    if let Some(scheme) = &scheme {
        if scheme.value.eq_ignore_ascii_case("basic") {
            let message = format!("`{}.type` cannot be `Basic`", fields.path);
            reader.error(scheme.place, message, None, Some("write `basic_auth`".to_owned()));
            return None;
        }
        if scheme.value.is_empty() || !scheme.value.chars().all(|c| c.is_ascii_graphic()) {
            reader.error(scheme.place, format!("expected one word for `{}.type`", fields.path), None, None);
            return None;
        }
    }
    let Some(credentials) = credentials else {
        if !fields.has("credentials") && !fields.has("credentials_file") {
            let message = format!("`{}` needs `credentials` or `credentials_file`", fields.path);
            reader.error(fields.place, message, None, None);
        }
        return None;
    };
    let scheme = scheme.map_or_else(|| "Bearer".to_owned(), |at| at.value);
    Some(Auth::Header { scheme, credentials: credentials.value })
}

pub(super) fn read_tls(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Tls {
    let ca = reader.sourced(fields, "ca", "ca_file").map(|at| at.value);
    let cert = reader.sourced(fields, "cert", "cert_file");
    let key = reader.secret(fields, "key", "key_file");
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientIdentity { cert: cert.value, key: key.value }),
        (Some(at), None) => {
            lonely(reader, fields, at.place, "cert_file", "key_file");
            None
        }
        (None, Some(at)) => {
            lonely(reader, fields, at.place, "key_file", "cert_file");
            None
        }
        (None, None) => None,
    };
    let server_name = reader.text(fields, "server_name").map(|at| at.value);
    let insecure_skip_verify = reader.boolean(fields, "insecure_skip_verify").unwrap_or(false);
    let min_version = reader.choice(fields, "min_version", &TlsVersion::CHOICES).map(|at| at.value).unwrap_or_default();
    if insecure_skip_verify {
        let place = fields.key_place("insecure_skip_verify");
        let hint = "name the authority: `ca_file`";
        reader.warn(place, "any certificate is accepted".to_owned(), Some(hint.to_owned()));
    }
    Tls { ca, identity, server_name, insecure_skip_verify, min_version }
}

fn lonely(reader: &mut Reader<'_>, fields: &Fields<'_>, place: super::yaml::Place, has: &str, needs: &str) {
    reader.error(place, format!("`{}.{has}` needs `{needs}`", fields.path), None, None);
}
