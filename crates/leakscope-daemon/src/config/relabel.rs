//! `relabel_configs` and `metric_relabel_configs`: rules as Prometheus has them, checked by compiling each. `regex` and `replacement` are taken as written: `$` and `${name}` mean groups there.

use leakscope_ingest::{Action, Relabel, RelabelConfig};

use super::reader::{Fields, Reader};
use super::sections::last_line;

pub(super) fn read(reader: &mut Reader<'_>, fields: &mut Fields<'_>, key: &'static str) -> Vec<RelabelConfig> {
    let mut number = 0;
    reader.list(fields, key, |reader, fields| {
        number += 1;
        read_rule(reader, fields, number)
    })
}

fn read_rule(reader: &mut Reader<'_>, fields: &mut Fields<'_>, number: usize) -> Option<RelabelConfig> {
    let n_errors = reader.errors.len();
    let items = reader.items(fields, "source_labels");
    let source_labels = items.into_iter().filter_map(|(node, path)| Some(reader.text_of(node, &path)?.value)).collect();
    let rule = RelabelConfig {
        source_labels,
        separator: reader.raw_text(fields, "separator").map(|text| text.value),
        regex: reader.raw_text(fields, "regex").map(|text| text.value),
        target_label: reader.raw_text(fields, "target_label").map(|text| text.value),
        replacement: reader.raw_text(fields, "replacement").map(|text| text.value),
        modulus: reader.count(fields, "modulus").map(|at| at.value),
        action: read_action(reader, fields).unwrap_or_default(),
    };
    if reader.errors.len() > n_errors {
        return None;
    }
    match Relabel::compile(number, &rule) {
        Ok(_) => Some(rule),
        Err(error) => {
            let text = error.to_string();
            // The place says which rule it is.
            let reason = text
                .strip_prefix("relabelling rule ")
                .and_then(|rest| rest.split_once(": "))
                .map_or(text.as_str(), |(_, rest)| rest);
            let message = match reason.lines().next() {
                Some(first) if reason.lines().count() > 1 => format!("{first} {}", last_line(reason)),
                _ => reason.to_owned(),
            };
            reader.error(fields.place, format!("`{}`: {message}", fields.path), None, None);
            None
        }
    }
}

fn read_action(reader: &mut Reader<'_>, fields: &mut Fields<'_>) -> Option<Action> {
    let choices = Action::ALL.map(|action| (action.name(), action));
    reader.choice_in_any_case(fields, "action", &choices).map(|at| at.value)
}
