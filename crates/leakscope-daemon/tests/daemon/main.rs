//! The daemon as a whole: started in this process on a free port with a folder of its own, against real servers, and asked over its API.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as a test does")]

mod access;
mod alerts;
mod alone;
mod api;
mod bad_input;
mod captures;
mod client;
mod events;
mod house;
mod keeping;
mod local;
mod scraping;
mod secured;
mod server;
mod sources;
mod stopping;
