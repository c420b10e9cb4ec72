//! The operator: it watches Ottla's custom resources and makes Kubernetes and Kafka match them.
//!
//! Decisions live in `ottla-plan`; this crate reads, writes and wires. `main.rs` only parses
//! arguments and starts it, so that tests can drive every part as a library.

pub mod act;
pub mod api_call;
pub mod args;
pub mod client;
pub mod context;
pub mod explain;
pub mod guard;
pub mod health;
pub mod kubernetes_api;
pub mod lease;
pub mod metrics;
pub mod observe;
pub mod reach;
pub mod reconcile;
pub mod run;
pub mod start;
pub mod telemetry;
pub mod tls_secret;
