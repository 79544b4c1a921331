//! Python pickles read as plain data: nothing is imported, called or executed.
//!
//! Data sets and benchmark tables come as pickles, and a pickle is a program. This reader runs its
//! stack machine (protocols 0 to 5), but builds only values: `None`, booleans, integers, floats,
//! text, bytes, lists, tuples, sets, dictionaries and NumPy arrays. A name that a pickle asks for
//! (`GLOBAL`, `REDUCE`, `NEWOBJ`, ...) must be on a short list, and is understood as data: for
//! example `numpy.dtype('u1')` is a note that the following bytes are unsigned. Any other name is
//! an error with the name and its byte offset. [`Hooks`] lets a caller extend the list.
//!
//! Memory is bounded by [`Limits`], whatever the input claims about itself. Values cannot contain
//! themselves, and nesting is limited, so neither reading nor dropping one can overflow the stack.
//!
//! ```
//! use gdas_data::pickle;
//!
//! // pickle.dumps({"labels": [3, 8]}, protocol=2)
//! let bytes = b"\x80\x02}q\x00X\x06\x00\x00\x00labelsq\x01]q\x02(K\x03K\x08es.";
//! let value = pickle::from_slice(bytes)?;
//! assert_eq!(value.get("labels").and_then(|labels| labels.to_i64s()), Some(vec![3, 8]));
//!
//! // pickle.dumps(os.system) is refused, not run.
//! let error = pickle::from_slice(b"cos\nsystem\n.").unwrap_err();
//! assert!(error.to_string().contains("os.system"));
//! # Ok::<(), pickle::PickleError>(())
//! ```

mod known;
mod machine;
mod opcode;
mod plan;
mod value;

use std::io::BufRead;

pub use machine::Reader;
pub use plan::Plan;
pub use value::{Array, Dtype, Global, Nested, Object, Value};

/// Limits on the resources that reading a pickle may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of the values in bytes, estimated from above. Values taken over by [`Hooks::dict_item`] are not counted.
    pub memory: u64,
    /// Maximum nesting depth of containers.
    pub depth: u32,
}

impl Default for Limits {
    /// 1 GiB and 100 levels.
    fn default() -> Self {
        Self { memory: 1 << 30, depth: 100 }
    }
}

/// Callbacks while a pickle is read. The default of each method allows no further names and changes nothing.
pub trait Hooks {
    /// Whether the class or function `module.name` may appear, as an [`Object`] that only records
    /// its arguments and state.
    fn allow(&mut self, _module: &str, _name: &str) -> bool {
        false
    }

    /// Turns a finished object of an allowed class into a value; by default it stays an object.
    /// The error text is reported with the byte offset.
    fn object(&mut self, object: Object) -> Result<Value, String> {
        Ok(Value::Object(object.into()))
    }

    /// The value for a persistent id (in PyTorch: the storage of a tensor).
    fn persistent(&mut self, _id: Value) -> Result<Value, String> {
        Err("it refers to data outside of the pickle (a persistent id)".into())
    }

    /// Called for every item stored in a dictionary, when its value is complete. A hook that takes
    /// what it needs, puts a small value (such as `Value::None`) in place and returns true can read
    /// a file larger than memory: what it took over is freed, and no longer counts against
    /// [`Limits::memory`], unless the pickle remembers a part of it for later (see [`Plan`]).
    /// `depth` is the number of values on the machine's stack up to and with this dictionary.
    fn dict_item(&mut self, _depth: usize, _key: &Value, _value: &mut Value) -> bool {
        false
    }
}

/// No extension: only the built-in list of names.
impl Hooks for () {}

/// Reads one pickle from a slice with the default limits.
///
/// # Errors
/// [`PickleError`] if it is damaged, asks for anything that is not plain data, or breaks a limit.
pub fn from_slice(bytes: &[u8]) -> Result<Value, PickleError> {
    from_reader(bytes, Limits::default(), &mut ())
}

/// Reads one pickle and leaves `source` directly after it.
///
/// # Errors
/// As [`from_slice`]; offsets are relative to the initial position of `source`.
pub fn from_reader(source: impl BufRead, limits: Limits, hooks: &mut dyn Hooks) -> Result<Value, PickleError> {
    Reader::new(source, limits, hooks).read()
}

/// Why a pickle could not be read. Offsets are bytes from its start.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The input ends before the pickle does.
    #[error("the pickle is cut off: it ends at byte {offset}, {wanted}; copy or download the file again")]
    Truncated {
        /// Where the input ends.
        offset: u64,
        /// What should have followed.
        wanted: String,
    },
    /// A class or function that is not on the list of data types.
    #[error(
        "the pickle asks for `{module}.{name}` at byte {offset}, which is not plain data; nothing of it was \
         executed, and a file that needs it cannot be read"
    )]
    Global {
        /// Python module.
        module: String,
        /// Class or function.
        name: String,
        /// Offset of the instruction.
        offset: u64,
    },
    /// An unknown or unsupported instruction.
    #[error("byte 0x{byte:02x} at offset {offset} is not a supported pickle instruction ({what})")]
    Instruction {
        /// The opcode.
        byte: u8,
        /// Offset of the instruction.
        offset: u64,
        /// Why it is refused.
        what: &'static str,
    },
    /// A supported instruction that is not valid at its position.
    #[error("the pickle is malformed at byte {offset}: {what}")]
    Malformed {
        /// Offset of the instruction.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A limit was exceeded.
    #[error("the pickle breaks a limit at byte {offset}: {what}")]
    Limit {
        /// Offset of the instruction.
        offset: u64,
        /// The limit, as a phrase.
        what: String,
    },
    /// The source could not be read.
    #[error("cannot read the pickle behind byte {offset}: {source}")]
    Io {
        /// Number of bytes read before.
        offset: u64,
        /// The cause.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
