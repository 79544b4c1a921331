//! Algorithms that search the benchmark's [table].

pub mod table;
