//! Has cargo look again at the example services, which the binary carries, when one of them changes.

fn main() {
    println!("cargo::rerun-if-changed=../../services");
    println!("cargo::rerun-if-changed=../../agents");
}
