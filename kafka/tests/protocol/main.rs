//! The client against a stand-in on loopback that answers what the test wants, sense or nonsense.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking, also in functions that are no tests themselves"
)]

mod answers;
#[path = "../conversations.rs"]
mod conversations;
mod faults;
#[path = "../frames.rs"]
mod frames;
mod peer;
mod replay;
mod routes;
mod topics;
mod versions;
