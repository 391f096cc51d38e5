//! Names of addresses in real programs, built in the ways that programs are.

use std::path::Path;
use std::process::Command;

use leakscope_heap::profile::{self, Profile};

/// Writes its own stack as a dump of jemalloc, whose format has nothing but addresses and mappings.
const PROGRAM: &str = r#"#include <execinfo.h>
#include <stdio.h>

template <class T> struct Shop {
  static __attribute__((noinline)) void keep(T n);
};

static inline __attribute__((always_inline)) void inner(int n) {
  void *stack[64];
  int depth = backtrace(stack, 64);
  printf("heap_v2/1\n  t*: 1: %d [0: 0]\n@", n);
  for (int i = 0; i < depth; i++) printf(" %p", stack[i]);
  printf("\n  t*: 1: %d [0: 0]\n\nMAPPED_LIBRARIES:\n", n);
}

template <class T> void Shop<T>::keep(T n) {
  inner(n);
  asm volatile("");
}

int main() {
  Shop<int>::keep(8);
  FILE *maps = fopen("/proc/self/maps", "r");
  for (int c; (c = fgetc(maps)) != EOF;) putchar(c);
  return 0;
}
"#;

/// What the program's own stack is called; none where there is no compiler.
fn names_of(options: &[&str], open: &mut dyn FnMut(&str, &str) -> Option<Vec<u8>>) -> Option<(Vec<String>, Profile)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.cc"), PROGRAM).unwrap();
    let mut compiler = Command::new("g++");
    compiler.args(["-O1", "-fno-omit-frame-pointer", "-o", "shop"]).args(options).arg("shop.cc");
    if !compiler.current_dir(folder.path()).status().ok()?.success() {
        return None;
    }
    let output = Command::new(folder.path().join("shop")).output().unwrap();
    let mut profile = profile::read(&output.stdout).unwrap();
    profile::symbolize(&mut profile, open);
    let lines = profile.stack(0).iter().flat_map(|location| profile.lines(*location));
    let names = lines.map(|line| {
        let function = &profile.functions()[line.function.unwrap() as usize];
        let file = Path::new(profile.text(function.file)).file_name().unwrap_or_default().to_string_lossy();
        format!("{} {file}:{}", profile.text(function.name), line.line)
    });
    let names = names.filter(|name| !name.starts_with('_') && !name.contains("libc")).collect();
    Some((names, profile))
}

fn file_of_program(path: &str, _build_id: &str) -> Option<Vec<u8>> {
    if path.ends_with("/shop") { std::fs::read(path).ok() } else { None }
}

#[test]
fn functions_lines_and_inlined_frames_are_found_however_a_program_is_built() {
    let with_lines = ["inner shop.cc:10", "Shop<int>::keep shop.cc:17", "main shop.cc:22"];
    let without = ["Shop<int>::keep :0", "main :0"];
    let cases: [(&[&str], &[&str]); 5] = [
        (&["-g"], &with_lines),
        (&["-g", "-no-pie"], &with_lines),
        (&["-g", "-gz"], &with_lines),
        (&["-gdwarf-4"], &with_lines),
        (&[], &without),
    ];
    for (options, expected) in cases {
        let Some((names, profile)) = names_of(options, &mut file_of_program) else {
            eprintln!("SKIPPED: there is no `g++`, or it does not know {options:?}");
            continue;
        };
        assert_eq!(names, expected, "{options:?}");
        let warnings = profile.warnings();
        assert!(warnings.iter().all(|warning| warning.contains("cannot be opened: ")), "{warnings:?}");
    }
}

#[test]
fn files_that_do_not_help_are_said() {
    let cases: [(&mut dyn FnMut(&str, &str) -> Option<Vec<u8>>, &str); 3] = [
        (&mut |_, _| None, "/shop` cannot be opened: 3 addresses stay without names"),
        (&mut |_, _| Some(b"no binary".to_vec()), "/shop` has no symbols that can be read ("),
        (&mut |_, _| std::fs::read("/proc/self/exe").ok(), "/shop` has no names for "),
    ];
    for (open, expected) in cases {
        let Some((_, profile)) = names_of(&["-g"], open) else {
            eprintln!("SKIPPED: there is no `g++`");
            return;
        };
        let found = profile.warnings().iter().any(|warning| warning.contains(expected));
        assert!(found, "{expected}: {:?}", profile.warnings());
    }
}
