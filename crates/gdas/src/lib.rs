//! Neural architecture search by gradient descent (GDAS), on Burn.
#![forbid(unsafe_code)]

pub mod algorithms;
pub mod benchmark;
pub mod config;
pub mod cost;
pub mod data;
pub mod export;
mod error;
pub mod loss;
pub mod network;
pub mod optim;
pub mod pickle;
pub mod report;
pub mod reproduce;
pub mod rng;
pub mod run;
pub mod sampler;
pub mod search;
pub mod space;

pub use gdas_kernels::graph;
pub mod supernet;
pub mod train;
pub mod weights;

pub use error::Error;
