//! Neural architecture search by gradient descent (GDAS), on Burn.
//!
//! The main path: [`search::search`] alternates weight and architecture steps on a [`supernet::Supernet`],
//! drawing one operation per edge with [`sampler::draw`]; [`train::train`] trains what was found.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod algorithms;
pub mod budget;
pub mod config;
pub mod cost;
pub mod data;
pub mod device;
mod error;
pub mod loss;
pub mod network;
pub mod optim;
pub mod proxies;
pub mod rng;
pub mod run;
pub mod sampler;
pub mod search;
pub mod space;
pub mod stats;
pub mod supernet;
mod timing;
pub mod train;
mod unread;
pub mod weights;

pub use burn::tensor::Device;
pub use error::Error;
pub use gdas_kernels::graph;
