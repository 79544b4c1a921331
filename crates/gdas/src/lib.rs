//! Neural architecture search by gradient descent (GDAS), on Burn.
#![forbid(unsafe_code)]

pub mod algorithms;
pub mod benchmark;
pub mod config;
pub mod cost;
pub mod data;
pub mod export;
pub mod network;
pub mod pickle;
pub mod report;
pub mod reproduce;
pub mod rng;
pub mod run;
pub mod space;

pub use gdas_kernels::graph;
