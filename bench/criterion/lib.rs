//! Only benches live here; see `benches/kernels.rs`.
