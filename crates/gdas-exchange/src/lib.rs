//! Export and import of trained networks: ONNX, safetensors, PyTorch, and modules of Burn.
//!
//! [`export`] writes a network with its weights; [`import`] reads weights and rebuilds their network.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod export;
pub mod import;
