//! Scraping: bytes of thousands of targets on keep-alive connections, for next to nothing.
//!
//! One thread does it all (`worker`). It wakes every few milliseconds rather than at every response, so one system call
//! finds dozens of them; pages are read in place (`body`) from one shared buffer, so a target at rest costs its socket alone.

mod body;
mod connection;
mod endpoint;
mod error;
mod exchange;
pub(crate) mod process;
mod worker;

pub(crate) use endpoint::{Endpoint, EndpointTls};
pub(crate) use exchange::fetch;
pub(crate) use worker::{Order, Scraper, ScraperStats};
