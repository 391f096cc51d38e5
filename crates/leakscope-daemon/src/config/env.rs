//! `${VAR}` and `${VAR:-default}` in a text; `$$` is a dollar. Anything else after a dollar stays as it is, so that `pa$word` needs no care.

use super::reader::Env;

/// Longest text after substitution, bytes. Beyond: refused.
const EXPANDED_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpandProblem {
    pub(super) message: String,
    pub(super) hint: String,
}

/// `text` with variables put in. The values of variables are taken as they are, never expanded again.
pub(super) fn expand(text: &str, env: Env<'_>) -> Result<String, ExpandProblem> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        expanded.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, default, after)) = variable(after) {
            match (env(name), default) {
                (Some(value), None) => expanded.push_str(&value),
                // As in a shell, `:-` also replaces an empty value.
                (Some(value), Some(_)) if !value.is_empty() => expanded.push_str(&value),
                (_, Some(default)) => expanded.push_str(default),
                (None, None) => return Err(missing(name)),
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
        if expanded.len() > EXPANDED_BYTES_MAX {
            return Err(ExpandProblem {
                message: format!("expected at most {EXPANDED_BYTES_MAX} bytes after substitution, found more"),
                hint: "name a file instead of putting its content into a variable".to_owned(),
            });
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn missing(name: &str) -> ExpandProblem {
    ExpandProblem {
        message: format!("environment variable `{name}` is not set"),
        hint: format!("set it, or give a default: `${{{name}:-default}}`; a dollar itself is written `$$`"),
    }
}

/// The name, default and rest of `{NAME}...` or `{NAME:-default}...`; `None` when this is no variable (`${1}` of a regular expression).
fn variable(after_dollar: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inside, rest) = after_dollar.strip_prefix('{')?.split_once('}')?;
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, default, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_dollars_survive() {
        let env = |name: &str| match name {
            "HOST" => Some("db".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICKY" => Some("${HOST}".to_owned()),
            _ => None,
        };
        for (text, expanded) in [
            ("${HOST}:80", Ok("db:80")),
            ("${HOST}${HOST}", Ok("dbdb")),
            ("${NONE:-x:-y}", Ok("x:-y")),
            ("${EMPTY:-x}", Ok("x")),
            ("${EMPTY}", Ok("")),
            ("${TRICKY}", Ok("${HOST}")),
            ("pa$word $1 ${1} $", Ok("pa$word $1 ${1} $")),
            ("$${HOST} $$", Ok("${HOST} $")),
            ("${HOST", Ok("${HOST")),
            ("${NONE}", Err("environment variable `NONE` is not set")),
        ] {
            let found = expand(text, &env).map_err(|problem| problem.message);
            assert_eq!(found, expanded.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
