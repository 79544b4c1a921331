//! Neural architecture search by gradient descent (GDAS), on Burn.
//!
//! [`Search`] finds a cell for a data set, [`Train`] trains a network of it. [`search::step`] is one step of a search.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod alpha;
mod answers;
pub mod arrays;
pub mod budget;
mod builder;
pub mod config;
mod confusion;
pub mod cost;
pub mod data;
mod deferred;
pub mod device;
mod error;
pub mod files;
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
pub use answers::{Answer, Answers, Bin, Calibration, KEPT_ANSWERS, KEPT_MISTAKES, Mistake};
pub use builder::Builder;
pub use burn::tensor::Device;
pub use confusion::{ClassResult, Confusion};
pub use deferred::{Deferred, Pending, read_all};
pub use error::{DrawError, Error, Kept};
pub use gdas_kernels::graph;
pub use search::Search;
pub use space::{Genotype, Space};
pub use train::Train;
