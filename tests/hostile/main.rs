//! A server full of malice, a disk full of data: nothing outside is touched, nothing acknowledged is lost, nobody hangs.

#[path = "../support/mod.rs"]
mod support;

mod content;
mod full;
mod power;
mod swapped;
mod vast;
