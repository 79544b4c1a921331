//! Neural architecture search by gradient descent (GDAS), on Burn.
//!
//! The main path: [`search::step`] is one step of a search, on one page; [`search::search`] takes many of them on a
//! [`supernet::Supernet`]; [`train::train`] trains what was found.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod alpha;
pub mod budget;
pub mod config;
pub mod cost;
pub mod data;
mod deferred;
pub mod device;
mod error;
pub mod loss;
pub mod network;
pub mod optim;
pub mod proxies;
pub mod rng;
pub mod run;
pub mod search;
pub mod shell;
pub mod space;
pub mod stats;
pub mod supernet;
mod timing;
pub mod train;
pub mod weights;

pub use alpha::{Alpha, argmax, log_softmax, softmax, softmax_gradient};
pub use burn::tensor::Device;
pub use deferred::{Deferred, Pending, read_all};
pub use error::{DrawError, Error, Kept};
pub use gdas_kernels::graph;
