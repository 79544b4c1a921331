//! Arrays in which the state of weights and optimisers is saved.

/// The values of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Bytes.
    U8(Vec<u8>),
    /// 64-bit unsigned integers.
    U64(Vec<u64>),
}

/// An array of values with a shape; saved bit for bit, NaN and infinity included.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values in C order (last axis fastest).
    pub data: Data,
}

impl Array {
    fn new(shape: &[usize], data: Data) -> Self {
        Self { shape: shape.to_vec(), data }
    }

    /// An array of 32-bit floats.
    pub fn f32(shape: &[usize], data: Vec<f32>) -> Self {
        Self::new(shape, Data::F32(data))
    }

    /// An array of 64-bit floats.
    pub fn f64(shape: &[usize], data: Vec<f64>) -> Self {
        Self::new(shape, Data::F64(data))
    }

    /// An array of bytes.
    pub fn u8(shape: &[usize], data: Vec<u8>) -> Self {
        Self::new(shape, Data::U8(data))
    }

    /// An array of 64-bit unsigned integers.
    pub fn u64(shape: &[usize], data: Vec<u64>) -> Self {
        Self::new(shape, Data::U64(data))
    }
}
