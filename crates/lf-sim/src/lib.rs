//! Whole LF networks in one process and in virtual time, from one seed.
//!
//! Each simulated node is made of the real parts: a store over simulated storage that loses what was not synced, the
//! acceptance rules, pulses, and replication ([`lf_node::core::sync`]), which are all pure code. The network between
//! them, their clocks, their users and the hostile nodes among them are simulated here. There is no wall clock, no
//! thread and no randomness but the seed's, so a seed that fails fails again.
//!
//! ```
//! use lf_sim::{Scenario, run};
//! let outcome = run(&Scenario::calm(1, 3), false).expect("nothing goes wrong in a calm network");
//! assert_eq!(outcome.honest, 3);
//! ```
#![forbid(unsafe_code)]

mod node;
mod random;
mod records;
pub mod report;
mod scenario;
mod trace;
mod verdicts;
mod world;

pub use random::Random;
pub use records::Flaw;
pub use scenario::{Behaviour, Mesh, Scenario, Wire};
pub use world::{Figures, Outcome, Violation, run};
