//! The rivals of GDAS, one file each: those that search the benchmark's table ([`table`]).

pub mod table;
