//! A first look at a pickle, so that the second needs less memory.

use std::collections::HashMap;
use std::io::BufRead;

use super::opcode::{Decoder, Op};
use super::{Limits, PickleError};

/// Which remembered values of a pickle are asked for again, and how often.
///
/// A pickle remembers nearly every value (its memo), though few are used twice. With a plan the
/// reader keeps only those, and only until their last use, so that a large table can be read item
/// by item ([`super::Hooks::dict_item`]) in memory for one item.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    uses: HashMap<u64, u32>,
}

impl Plan {
    /// Reads through one pickle without building anything.
    ///
    /// # Errors
    /// As [`super::from_slice`], for the faults that can be seen without building.
    pub fn of(source: impl BufRead, limits: Limits) -> Result<Self, PickleError> {
        let mut decoder = Decoder::new(source);
        decoder.max_data = limits.memory;
        let mut uses = HashMap::new();
        loop {
            match decoder.next()? {
                Op::Stop => return Ok(Self { uses }),
                Op::Get(index) => {
                    *uses.entry(index).or_insert(0) += 1;
                    if uses.len() as u64 > limits.memory / 64 {
                        let what = format!("over {} remembered values", uses.len() - 1);
                        return Err(PickleError::Limit { offset: decoder.offset, what });
                    }
                }
                _ => {}
            }
        }
    }

    /// Counts one use; whether it was the last.
    pub(super) fn was_last_use(&mut self, index: u64) -> bool {
        match self.uses.get_mut(&index) {
            Some(uses) if *uses > 1 => {
                *uses -= 1;
                false
            }
            _ => true,
        }
    }

    /// How often the value remembered under this index is asked for again.
    pub(super) fn uses(&self, index: u64) -> u32 {
        self.uses.get(&index).copied().unwrap_or(0)
    }
}
