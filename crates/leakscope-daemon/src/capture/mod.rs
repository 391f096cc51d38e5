//! Taking evidence: what a target gives (`survey`), and taking it (`take`), one file a runtime.
//!
//! A runtime's file knows its mechanisms and nothing else: no policy, no store, no engine. It is told of a [`Subject`],
//! says what can be had of it, and streams what is wanted into an [`Output`].

pub(crate) mod go;
pub(crate) mod native;
mod node;
mod probe;
pub(crate) mod process;

pub(crate) use probe::{Answer, CaptureError, Found, HttpAccess, Known, Output, Subject, Taken};
