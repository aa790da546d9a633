//! The real program, driven from outside: started, asked over HTTP and the command line, stopped,
//! killed, started again. Nothing here knows the inside of any crate.
//!
//! [`program`] starts and stops it, [`http`] asks it as a server and as a browser does.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test ends at the first thing that is wrong"
)]

mod access;
mod api;
mod bad_input;
mod bad_input_api;
mod categories;
mod consent;
mod crash;
mod definitions;
mod definitions_refused;
mod deliveries;
mod deliveries_ends;
mod deliveries_failing;
mod deliveries_formats;
mod deliveries_resumed;
mod deliveries_taken_over;
mod deliveries_templates;
mod deliveries_upset;
mod demo;
mod edge;
mod exactness;
mod exactness_oulad;
mod exactness_segments;
mod exports;
mod failover;
mod first_steps;
mod history;
mod hostile;
mod hosts;
mod http;
mod imports;
mod insights;
mod ledger;
mod life;
mod lints;
mod lookups;
mod network;
mod opening;
mod outage;
mod outage_gone;
mod outage_proxy;
mod pages;
mod program;
mod raised;
mod receiver;
mod retention;
mod retention_erasure;
mod seeing;
mod sensitive;
mod sizes;
mod stores;
mod story;
mod syncs;
mod taxonomies;
mod uploads;
mod visitor_door;
mod watched;
mod why;
mod windows;
