//! Memory that `POST /hold` sizes: no leak, since whoever asks for it can have it released.

use std::collections::HashMap;
use std::fs::File;
use std::io;

use serde_json::{Value, json};

use crate::work::Dice;

const BYTES_MAX: usize = 1 << 30;
const BLOCK_BYTES: usize = 4 * 1024;
const BLOCK_BYTES_MAX: usize = 128 * 1024;
const DESCRIPTORS_MAX: usize = 4096;

#[derive(Default)]
pub(crate) struct Held {
    blocks: Vec<String>,
    n_bytes: usize,
    descriptors: Vec<File>,
}

impl Held {
    pub(crate) fn set(&mut self, query: &HashMap<String, String>, dice: &Dice) -> io::Result<Value> {
        let number = |name: &str, fallback: usize, max: usize| {
            query.get(name).and_then(|text| text.parse().ok()).unwrap_or(fallback).min(max)
        };
        let n_bytes = number("bytes", self.n_bytes, BYTES_MAX);
        let block = number("block", BLOCK_BYTES, BLOCK_BYTES_MAX).max(1);
        let renewed = number("renew", 0, BYTES_MAX);
        let release = self.n_bytes.saturating_sub(n_bytes) + renewed;
        if query.get("order").is_some_and(|order| order == "random") {
            self.release_random(release, dice);
        } else {
            self.release_oldest(release);
        }
        while self.n_bytes + block <= n_bytes {
            self.blocks.push(dice.text(block));
            self.n_bytes += block;
        }
        let n_descriptors = number("descriptors", self.descriptors.len(), DESCRIPTORS_MAX);
        while self.descriptors.len() < n_descriptors {
            self.descriptors.push(File::open("/dev/null")?);
        }
        self.descriptors.truncate(n_descriptors);
        Ok(json!({"bytes": self.n_bytes, "blocks": self.blocks.len(), "descriptors": n_descriptors}))
    }

    fn release_oldest(&mut self, n_bytes: usize) {
        let mut freed = 0;
        let mut n_blocks = 0;
        while let Some(block) = self.blocks.get(n_blocks).filter(|_| freed < n_bytes) {
            freed += block.len();
            n_blocks += 1;
        }
        self.blocks.drain(..n_blocks);
        self.n_bytes -= freed;
    }

    fn release_random(&mut self, n_bytes: usize, dice: &Dice) {
        let mut freed = 0;
        while freed < n_bytes && !self.blocks.is_empty() {
            freed += self.blocks.swap_remove(dice.below(self.blocks.len())).len();
        }
        self.n_bytes -= freed;
    }
}
