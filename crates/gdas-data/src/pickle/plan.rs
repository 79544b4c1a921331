//! A first pass over a pickle that reduces the memory of the second.

use std::collections::HashMap;
use std::io::BufRead;

use super::opcode::{Decoder, Op};
use super::{Limits, PickleError};

/// Number of uses of each memo entry of a pickle.
///
/// A pickle stores nearly every value in its memo, but few are used again. With a plan the reader keeps only those, until
/// their last use, so that a large table can be read item by item ([`super::Hooks::dict_item`]) with the memory of one item.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    uses: HashMap<u64, u32>,
}

impl Plan {
    /// Reads one pickle without building values.
    ///
    /// # Errors
    /// As [`super::from_slice`], for faults that are detectable without building values.
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

    /// Counts one use, and returns whether it was the last.
    pub(super) fn was_last_use(&mut self, index: u64) -> bool {
        match self.uses.get_mut(&index) {
            Some(uses) if *uses > 1 => {
                *uses -= 1;
                false
            }
            _ => true,
        }
    }

    /// Number of remaining uses of the memo entry.
    pub(super) fn uses(&self, index: u64) -> u32 {
        self.uses.get(&index).copied().unwrap_or(0)
    }
}
