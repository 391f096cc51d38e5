//! `web.config_file`: TLS and users of the API in the form of the Prometheus exporter toolkit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::http::TlsVersion;
use super::problem::{ConfigErrors, Problem};
use super::reader::{Fields, Reader};
use super::secret::Secret;
use super::yaml::Value;
use super::{Env, load, read_yaml};

/// Whether clients have to show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No.
    #[default]
    None,
    /// It is checked when one is shown.
    VerifyIfGiven,
    /// Yes, one that `client_ca_file` signed.
    Require,
}

/// `tls_server_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTls {
    /// Our certificate with its chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Whether clients show theirs.
    pub client_auth: ClientAuth,
    /// The authorities of clients, PEM.
    pub client_ca_file: Option<PathBuf>,
    /// The oldest version.
    pub min_version: TlsVersion,
}

/// The content of `web.config_file`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebFile {
    /// TLS; without it the API is plain HTTP.
    pub tls: Option<WebTls>,
    /// Users and the bcrypt hashes of their passwords.
    pub basic_auth_users: BTreeMap<String, Secret>,
}

impl WebFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem there is.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = load::read_text(path).map_err(|problem| ConfigErrors { problems: vec![*problem], n_more: 0 })?;
        Self::parse(&text, &path.display().to_string(), &|name| std::env::var(name).ok())
    }

    /// Reads a web configuration. Pure.
    ///
    /// # Errors
    /// [`ConfigErrors`] with every problem there is.
    pub fn parse(text: &str, file_name: &str, env: Env<'_>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(env);
        let root = read_yaml(&mut reader, file_name, text);
        let read = root.and_then(|root| {
            reader.mapping(&root, "", |reader, fields| Self {
                tls: reader.section(fields, "tls_server_config", read_tls).flatten(),
                basic_auth_users: read_users(reader, fields),
            })
        });
        let n_more = reader.n_more();
        if reader.errors.is_empty() {
            return Ok(read.unwrap_or_default());
        }
        let mut errors = reader.errors;
        errors.sort_by_key(|(place, _)| (place.line, place.column));
        let problems: Vec<Problem> = errors.into_iter().map(|(_, problem)| problem).collect();
        Err(ConfigErrors { problems, n_more })
    }
}

fn read_tls(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<WebTls> {
    const CLIENT_AUTH: [(&str, ClientAuth); 5] = [
        ("NoClientCert", ClientAuth::None),
        ("RequestClientCert", ClientAuth::None),
        ("RequireAnyClientCert", ClientAuth::Require),
        ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
        ("RequireAndVerifyClientCert", ClientAuth::Require),
    ];
    let cert_file = reader.path(fields, "cert_file");
    let key_file = reader.path(fields, "key_file");
    let client_auth = reader.choice(fields, "client_auth_type", &CLIENT_AUTH).map(|at| at.value).unwrap_or_default();
    let client_ca_file = reader.path(fields, "client_ca_file").map(|at| at.value);
    let min_version = reader.choice(fields, "min_version", &TlsVersion::CHOICES).map(|at| at.value).unwrap_or_default();
    if client_auth != ClientAuth::None && client_ca_file.is_none() {
        let message = format!("`{}` needs `client_ca_file`", fields.path_of("client_auth_type"));
        reader.error(fields.key_place("client_auth_type"), message, None, None);
    }
    for key in ["cert_file", "key_file"] {
        if !fields.has(key) {
            reader.error(fields.place, format!("`{}` needs `{key}`", fields.path), None, None);
        }
    }
    let (cert_file, key_file) = (cert_file?.value, key_file?.value);
    Some(WebTls { cert_file, key_file, client_auth, client_ca_file, min_version })
}

fn read_users(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> BTreeMap<String, Secret> {
    let mut users = BTreeMap::new();
    let Some(node) = fields.take("basic_auth_users") else { return users };
    let path = fields.path_of("basic_auth_users");
    let Value::Mapping(entries) = &node.value else {
        reader.expected("a mapping of users", node, &path, None);
        return users;
    };
    for (key, value) in entries {
        // As written: a bcrypt hash is full of dollars.
        let Some(hash) = reader.raw_text_of(value, &path) else { continue };
        if is_bcrypt(&hash.value) {
            users.insert(key.text.clone(), Secret::new(hash.value));
        } else {
            let hint = "make one by `htpasswd -nBC 10 '' | tr -d ':'`";
            reader.error(
                hash.place,
                format!("expected a bcrypt hash for a user of `{path}`"),
                None,
                Some(hint.to_owned()),
            );
        }
    }
    users
}

fn is_bcrypt(hash: &str) -> bool {
    let version = ["$2a$", "$2b$", "$2y$"].iter().any(|version| hash.starts_with(version));
    version && hash.len() == 60 && hash.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_tls_are_read_and_a_plain_password_is_refused_unseen() {
        let hash = format!("$2y$10${}", "a".repeat(53));
        let text =
            format!("tls_server_config: {{cert_file: a.pem, key_file: b.pem}}\nbasic_auth_users:\n  ann: {hash}\n");
        let file = WebFile::parse(&text, "/etc/web.yml", &|_| None).unwrap();
        assert_eq!(file.tls.unwrap().cert_file, Path::new("/etc/a.pem"));
        assert_eq!(file.basic_auth_users["ann"].expose(), hash);
        let errors = WebFile::parse("basic_auth_users:\n  ann: hunter2\n", "web.yml", &|_| None).unwrap_err();
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
}
