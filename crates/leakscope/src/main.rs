//! The one binary: arguments, commands, output, exit codes.

fn main() {}
