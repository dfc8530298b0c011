//! Scripted faults, delays and foreign writes, for tests.

/// One scripted fault.
pub struct Fault {}

/// A lower with scripted faults.
pub struct Fake {}
