//! Rolls in a model world, under every misfortune that a seed can think of: the operator dies or
//! hears nothing at a write, acts on an old view, nodes die, are evicted, fall behind or fall silent,
//! and people change their minds. The laws hold after every step, and when the misfortunes stop the
//! world comes to rest as the spec wants it.
//!
//! `OTTLA_SEEDS=1000` plays fewer seeds, and `OTTLA_SEED=17` plays one and tells it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

/// Lives are made of small objects; the C library's allocator took a third longer over them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "simulation/crash.rs"]
mod crash;
#[path = "simulation/edit.rs"]
mod edit;
#[path = "simulation/event.rs"]
mod event;
#[path = "simulation/life.rs"]
mod life;
#[path = "simulation/probes.rs"]
mod probes;
#[path = "simulation/rest.rs"]
mod rest;
#[path = "simulation/seeds.rs"]
mod seeds;
