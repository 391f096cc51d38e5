//! What holds of the detector on every input, and what it says of the models and recordings that matter.

mod hostile;
mod laws;
mod tables;
