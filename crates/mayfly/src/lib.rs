//! The `mayfly` program: settings, command line, HTTP, roles, and the worker that turns hits into
//! memberships. Read [`serve`] (what runs), [`app`] (what can be asked), [`worker`] (how hits
//! become memberships), [`http`] (routes), [`cli`].

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod explain;
pub mod http;
mod import;
pub mod metrics;
pub mod networks;
pub mod replay;
pub mod serve;
pub mod tokens;
pub mod worker;
