//! A profile as collapsed stacks: a line a stack, from the root down, with its value, as flame graph tools read them.

use super::super::calls::call_tree;
use super::super::model::Profile;

/// One column of a profile as lines `main;serve;put 4096`, equal stacks summed, sorted.
///
/// What would end a frame or a line within a name is written as `:` or a space.
pub fn write_collapsed(profile: &Profile, column: usize) -> String {
    let mut lines = Vec::new();
    call_tree(&[(profile, column)]).stacks(|names, values| {
        let names: Vec<String> = names.iter().map(|name| collapsed_name(name)).collect();
        lines.push(format!("{} {}\n", names.join(";"), values[0]));
    });
    lines.sort_unstable();
    lines.concat()
}

/// A name as it may stand in a collapsed stack.
pub fn collapsed_name(name: &str) -> String {
    let shown = |c: char| match c {
        ';' => ':',
        c if c.is_control() => ' ',
        c => c,
    };
    name.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::profile;
    use super::*;

    #[test]
    fn a_stack_is_a_line_and_equal_ones_are_summed() {
        let stacks: &[(&str, &[i64])] = &[
            ("main;put:4", &[10]),
            ("main;put:5", &[20]),
            ("main>get", &[-3]),
            ("main", &[1]),
            ("none", &[0]),
            ("", &[9]),
        ];
        let of = profile(&[("inuse_space", "bytes")], stacks);
        assert_eq!(write_collapsed(&of, 0), "main 1\nmain;get -3\nmain;put 30\n");
    }

    #[test]
    fn a_name_ends_neither_its_frame_nor_its_line() {
        assert_eq!(collapsed_name("a;b\nc d"), "a:b c d");
    }
}
