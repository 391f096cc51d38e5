//! Who dominates whom.
