//! Trained networks for other programs, and from them: ONNX, safetensors, PyTorch, and modules of Burn.
//!
//! [`export`] writes a network with its weights; [`import`] finds the network that a file of weights belongs to.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod export;
pub mod import;
