//! Nothing. The dependencies of this package say which features the workspace's dependencies have; see its `Cargo.toml`.
