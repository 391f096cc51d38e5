//! What the crate v8-heap-parser does of a snapshot: parse, dominators, retained sizes, classes with retained sizes. A package of
//! its own, built by `cargo xtask bench heap` for that comparison alone. Prints one line of JSON.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("expected a file")?;
    let bytes = std::fs::read(path)?;
    let graph = v8_heap_parser::decode_slice(&bytes)?;
    drop(bytes);
    let classes = graph.get_class_groups(false).len();
    let total_bytes: u64 = graph.nodes().iter().map(|node| node.weight.self_size).sum();
    println!(
        "{{\"nodes\":{},\"total_bytes\":{total_bytes},\"root_retained_bytes\":{},\"classes\":{classes}}}",
        graph.nodes().len(),
        graph.retained_size(0)
    );
    Ok(())
}
