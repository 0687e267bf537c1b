//! LF's client: everything a program needs to read and write an LF network through nodes' HTTP API, and the
//! client's own file.
//!
//! Keys never leave this process: records are made, worked for and signed here; names are sent as key ranges, and
//! values are unmasked here. What a node answers is checked before it is believed.
//!
//! ```no_run
//! use lf_client::{Client, Find, SelectorArg};
//!
//! let client = Client::new(["http://127.0.0.1:9980"])?;
//! let find = Find { selectors: vec!["greeting".parse()?], ..Find::default() };
//! for set in client.find(&find)?.sets {
//!     println!("{:?}", set.winner().value);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Writing is [`Client::write`], following what is new [`Client::watch`]; the handbook's page howto/rust.md shows both.
//!
//! No terminal, no environment and no home directory here: paths and URLs are given by the caller, and long work
//! reports to callbacks that can stop it.
#![forbid(unsafe_code)]

/// The handbook's page on this crate: what it shows compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/howto/rust.md")]
pub struct HandbookPage;

mod certificates;
mod client;
mod config;
mod error;
mod find;
mod genesis;
mod http;
mod secrets;
mod selector;
mod verify;
mod watch;
mod work;
mod write;

pub use client::Client;
pub use config::{Config, ConfigError, OwnerEntry, write_private};
pub use error::ClientError;
pub use find::{Explained, Find, Found, FoundRecord, FoundSet, Order};
pub use genesis::{Amendment, GenesisPlan, make_genesis};
pub use http::Url;
pub use selector::{Ordinals, SelectorArg, SelectorArgError};
pub use verify::{Problem, VerifyReport, verify_file};
pub use watch::{Watch, WatchEvent};
pub use work::{WORK_MEMORY_BYTES, WorkProgress, Workers};
pub use write::{Pulsing, Write, WriteStep, Written};
