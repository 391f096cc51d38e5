//! The first rows of both programs, as far as they can be compared: function, flat and cumulative bytes.

use serde_json::Value;

/// Rows that are compared.
pub(super) const N_ROWS: usize = 10;

/// Function, flat and cumulative value.
pub(super) type TopRow = (String, i64, i64);

/// The rows of `pprof -top -unit=bytes`: behind the heads, six columns each, the name last.
pub(super) fn of_pprof(printed: &str) -> Vec<TopRow> {
    let rows = printed.lines().skip_while(|line| !line.trim_start().starts_with("flat "));
    rows.skip(1).filter_map(pprof_row).collect()
}

/// ` 96731136B 27.27% 27.27% 105373838B 29.70%  encoding/json.genMap (inline)`.
fn pprof_row(line: &str) -> Option<TopRow> {
    let mut rest = line;
    let mut columns = [""; 5];
    for column in &mut columns {
        let (word, after) = rest.trim_start().split_once(char::is_whitespace)?;
        (*column, rest) = (word, after);
    }
    let bytes = |text: &str| text.strip_suffix('B').unwrap_or(text).parse::<i64>().ok();
    let name = rest.trim().trim_end_matches(" (inline)").trim_end_matches(" (partial-inline)");
    Some((name.to_owned(), bytes(columns[0])?, bytes(columns[3])?))
}

/// The rows of the JSON of `leakscope analyze` or `diff`, of one sample type.
pub(super) fn of_leakscope(answer: &Value, sample_type: &str) -> Option<Vec<TopRow>> {
    let types = answer["sample_types"].as_array()?;
    let index = types.iter().position(|one| one["type"] == sample_type)?;
    let row = |row: &Value| {
        Some((row["name"].as_str()?.to_owned(), row["flat"][index].as_i64()?, row["cum"][index].as_i64()?))
    };
    let mut rows: Vec<TopRow> = answer["functions"].as_array()?.iter().filter_map(row).collect();
    sort(&mut rows);
    Some(rows)
}

/// As `pprof -top` sorts: greatest flat value first, then by name.
fn sort(rows: &mut [TopRow]) {
    rows.sort_by(|(name, flat, _), (other, other_flat, _)| {
        other_flat.unsigned_abs().cmp(&flat.unsigned_abs()).then(name.cmp(other))
    });
}

/// Whether the first rows are the same; an empty list is never.
pub(super) fn same(ours: &[TopRow], pprof: &[TopRow]) -> bool {
    let n_rows = N_ROWS.min(pprof.len());
    n_rows > 0 && ours.iter().take(n_rows).eq(pprof.iter().take(n_rows))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PRINTED: &str = "File: json.test\nShowing top 2 nodes out of 51\n      flat  flat%   sum%        cum   cum%\n 96731136B 27.27% 27.27% 105373838B 29.70%  json.Test.func5\n         0     0% 27.27%  65680998B 18.52%  main.(*T[go.shape.int]).genMap (inline)\n";

    #[test]
    fn rows_of_both_programs_are_compared() {
        let pprof = of_pprof(PRINTED);
        let rows = [("json.Test.func5", 96_731_136, 105_373_838), ("main.(*T[go.shape.int]).genMap", 0, 65_680_998)];
        assert_eq!(pprof, rows.map(|(name, flat, cum)| (name.to_owned(), flat, cum)));
        let functions: Vec<Value> = rows
            .iter()
            .rev()
            .map(|(name, flat, cum)| json!({"name": name, "flat": [1, flat], "cum": [1, cum]}))
            .collect();
        let answer = json!({"sample_types": [{"type": "x"}, {"type": "inuse_space"}], "functions": functions});
        let ours = of_leakscope(&answer, "inuse_space").unwrap();
        assert!(same(&ours, &pprof));
        assert!(!same(&ours, &[]));
        assert_eq!(of_leakscope(&answer, "other"), None);
    }
}
