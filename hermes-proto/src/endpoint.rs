//! Stub.
/// Stub
#[derive(Debug)]
pub struct Endpoint;
