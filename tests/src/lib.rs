//! What the test binaries of the whole product share.

pub mod fault;
pub mod script;
pub mod world;
