//! A server's directory comes here: names, contents, another look, and what a scan makes of both sides.

mod again;
mod ahead;
mod bed;
mod contents;
mod faults;
mod names;
mod parts;
mod scanning;
