//! A client that was away meets its server again: what either side did arrives, and nothing is lost.

mod alike;
mod bed;
mod both_sides;
mod crash;
mod disputes;
mod histories;
mod meddler;
mod modes;
mod one_side;
