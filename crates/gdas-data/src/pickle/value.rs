//! Values read from a pickle.

use std::ops::Deref;
use std::sync::Arc;

/// One value. Cloning is cheap: containers are shared and immutable.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// Any other integer: two's complement, little-endian.
    BigInt(Arc<[u8]>),
    /// A float.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Bytes; also a string of Python 2, which does not distinguish text from bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(Arc<Nested<Vec<Value>>>),
    /// A tuple.
    Tuple(Arc<Nested<Vec<Value>>>),
    /// A set or frozen set, in the order of the file.
    Set(Arc<Nested<Vec<Value>>>),
    /// A dictionary (plain, `OrderedDict` or `defaultdict`) in the order of the file. A key stored twice is listed twice;
    /// the last entry is valid.
    Dict(Arc<Nested<Vec<(Value, Value)>>>),
    /// A NumPy array.
    Array(Arc<Array>),
    /// A NumPy element type.
    Dtype(Dtype),
    /// The name of an allowed class or function.
    Global(Arc<Global>),
    /// An instance of a class (or result of a function) allowed by [`super::Hooks::allow`].
    Object(Arc<Object>),
}

/// A container with its nesting depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Nested<T> {
    inner: T,
    pub(super) depth: u32,
}

impl<T> Nested<T> {
    pub(super) fn new(inner: T, depth: u32) -> Arc<Self> {
        Arc::new(Self { inner, depth })
    }
}

impl<T> Deref for Nested<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

/// The name of a Python class or function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Global {
    /// Module, such as `collections`.
    pub module: String,
    /// Name in the module, such as `OrderedDict`.
    pub name: String,
}

/// An instance or call result as data: arguments, state and contents.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// The class or function.
    pub class: Arc<Global>,
    /// Its arguments.
    pub args: Vec<Value>,
    /// Keyword arguments or state dictionary given by `BUILD`, if any.
    pub state: Option<Value>,
    /// Items appended (a subclass of `list`).
    pub items: Vec<Value>,
    /// Entries stored (a subclass of `dict`).
    pub entries: Vec<(Value, Value)>,
    pub(super) depth: u32,
}

impl Object {
    pub(super) fn new(class: Arc<Global>, args: Vec<Value>) -> Self {
        let depth = 1 + args.iter().map(Value::depth).max().unwrap_or(0);
        Self { class, args, state: None, items: Vec::new(), entries: Vec::new(), depth }
    }

    /// An attribute of the state dictionary.
    pub fn attribute(&self, name: &str) -> Option<&Value> {
        self.state.as_ref()?.get(name)
    }
}

impl Value {
    /// Nesting depth, the value itself included; 0 for a scalar.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::List(v) | Self::Tuple(v) | Self::Set(v) => v.depth,
            Self::Dict(v) => v.depth,
            Self::Object(v) => v.depth,
            _ => 0,
        }
    }

    /// The type's name, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Str(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Set(_) => "a set",
            Self::Dict(_) => "a dictionary",
            Self::Array(_) => "an array",
            Self::Dtype(_) => "an element type",
            Self::Global(_) => "a name",
            Self::Object(_) => "an object",
        }
    }

    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// The integer (or boolean), if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(*v),
            Self::Bool(v) => Some(i64::from(*v)),
            _ => None,
        }
    }

    /// The integer as a count or index.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_i64().and_then(|v| usize::try_from(v).ok())
    }

    /// The number as a float; integers are converted.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(v) => Some(*v),
            _ => self.as_i64().map(|v| v as f64),
        }
    }

    /// The text; bytes too where they are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(v) => Some(v),
            Self::Bytes(v) => std::str::from_utf8(v).ok(),
            _ => None,
        }
    }

    /// The bytes; those of the UTF-8 form for text.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(v) => Some(v.as_bytes()),
            Self::Bytes(v) => Some(v),
            _ => None,
        }
    }

    /// The elements of a list, tuple or set.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Self::List(v) | Self::Tuple(v) | Self::Set(v) => Some(v),
            _ => None,
        }
    }

    /// The entries of a dictionary, in the order of the file.
    pub fn entries(&self) -> Option<&[(Value, Value)]> {
        match self {
            Self::Dict(v) => Some(v),
            _ => None,
        }
    }

    /// The array.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(v) => Some(v),
            _ => None,
        }
    }

    /// The object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(v) => Some(v),
            _ => None,
        }
    }

    /// The dictionary's value under a text key (Python 2 strings count as text); a linear search.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries()?.iter().rev().find(|(k, _)| k.as_bytes() == Some(key.as_bytes())).map(|(_, v)| v)
    }

    /// The dictionary's value under an integer key; a linear search.
    pub fn get_index(&self, key: i64) -> Option<&Value> {
        self.entries()?.iter().rev().find(|(k, _)| k.as_i64() == Some(key)).map(|(_, v)| v)
    }

    /// The elements of a list, tuple or integer array as integers; `None` unless all are.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        match self {
            Self::Array(array) => array.to_i64s(),
            _ => self.items()?.iter().map(Self::as_i64).collect(),
        }
    }

    /// The elements of a list, tuple or numeric array as floats; `None` unless all are numbers.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        match self {
            Self::Array(array) => array.to_f64s(),
            _ => self.items()?.iter().map(Self::as_f64).collect(),
        }
    }
}

/// A NumPy element type, such as `<f4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtype {
    /// NumPy's type character: `b` boolean, `i` signed, `u` unsigned, `f` float; others are kept but not converted.
    pub kind: char,
    /// Bytes per element.
    pub size: usize,
    /// Whether the elements are big-endian.
    pub big_endian: bool,
}

impl Dtype {
    /// Reads NumPy's notation: an optional byte order (`<`, `>`, `|`, `=`), a letter and a size.
    /// `None` for records, objects and any type that is not a number or byte string.
    pub fn parse(text: &str) -> Option<Self> {
        let (big_endian, rest) = match text.strip_prefix(['<', '|', '=']) {
            Some(rest) => (false, rest),
            None => text.strip_prefix('>').map_or((false, text), |rest| (true, rest)),
        };
        let kind = rest.chars().next()?;
        if !"biufcSUV?".contains(kind) {
            return None;
        }
        if rest == "?" {
            return Some(Self { kind: 'b', size: 1, big_endian: false });
        }
        let mut size = rest[1..].parse::<usize>().ok().filter(|&size| size > 0 && size <= 1 << 20)?;
        if kind == 'U' {
            size *= 4;
        }
        Some(Self { kind, size, big_endian })
    }
}

/// A NumPy array: `data` holds the elements in C order (last axis fastest).
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: Dtype,
    /// The elements' bytes.
    pub data: Arc<[u8]>,
}

impl Array {
    /// An array of this shape and type; the elements of a Fortran-ordered one are rearranged to C order.
    ///
    /// # Errors
    /// A message if the number of bytes does not match the shape.
    pub fn new(shape: Vec<usize>, dtype: Dtype, fortran: bool, data: Arc<[u8]>) -> Result<Self, String> {
        let expected = shape.iter().try_fold(dtype.size, |product, &n| product.checked_mul(n));
        if expected != Some(data.len()) {
            return Err(format!(
                "an array of shape {shape:?} with {} bytes per element has {} bytes of data",
                dtype.size,
                data.len()
            ));
        }
        let data = if fortran && shape.len() > 1 { to_c_order(&shape, dtype.size, &data) } else { data };
        Ok(Self { shape, dtype, data })
    }

    /// The bytes, if the elements are unsigned (or boolean) bytes.
    pub fn as_u8(&self) -> Option<&[u8]> {
        (self.dtype.size == 1 && matches!(self.dtype.kind, 'u' | 'b')).then_some(&*self.data)
    }

    /// All elements as integers; `None` unless all are integers or booleans that fit.
    pub fn to_i64s(&self) -> Option<Vec<i64>> {
        let signed = match self.dtype.kind {
            'i' => true,
            'u' | 'b' => false,
            _ => return None,
        };
        if self.dtype.size > 8 {
            return None;
        }
        self.elements().map(|bytes| integer(bytes, self.dtype.size, signed)).collect()
    }

    /// All elements as floats; `None` unless they are numbers.
    pub fn to_f64s(&self) -> Option<Vec<f64>> {
        match (self.dtype.kind, self.dtype.size) {
            ('f', 4) => self.elements().map(|b| Some(f64::from(f32::from_le_bytes(b[..4].try_into().ok()?)))).collect(),
            ('f', 8) => self.elements().map(|b| Some(f64::from_le_bytes(b))).collect(),
            ('f', _) => None,
            _ => self.to_i64s().map(|v| v.into_iter().map(|x| x as f64).collect()),
        }
    }

    /// Iterator over the elements as floats; `None` unless they are numbers of at most 8 bytes.
    pub fn floats(&self) -> Option<impl Iterator<Item = f64>> {
        let Dtype { kind, size, .. } = self.dtype;
        let known = match kind {
            'f' => matches!(size, 2 | 4 | 8),
            'i' | 'u' | 'b' => size <= 8,
            _ => false,
        };
        let convert = move |b: [u8; 8]| match (kind, size) {
            ('f', 2) => half(u16::from_le_bytes([b[0], b[1]])),
            ('f', 4) => f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            ('f', _) => f64::from_le_bytes(b),
            ('i', _) => ((u64::from_le_bytes(b) << (64 - 8 * size)) as i64 >> (64 - 8 * size)) as f64,
            _ => u64::from_le_bytes(b) as f64,
        };
        known.then(|| self.elements().map(convert))
    }

    /// All elements as text, if they are text (`U`) or UTF-8 byte strings (`S`).
    pub fn strings(&self) -> Option<Vec<String>> {
        let Dtype { kind, size, big_endian } = self.dtype;
        let text = |chunk: &[u8]| match kind {
            'S' => String::from_utf8(chunk.to_vec()).ok(),
            _ => chunk
                .chunks_exact(4)
                .map(|b| {
                    let bytes = [b[0], b[1], b[2], b[3]];
                    char::from_u32(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
                })
                .collect(),
        };
        if !matches!(kind, 'S' | 'U') {
            return None;
        }
        let texts = self.data.chunks_exact(size).map(|chunk| Some(text(chunk)?.trim_end_matches('\0').to_owned()));
        texts.collect()
    }

    /// Each element as little-endian bytes, zero-padded. Only for elements of up to 8 bytes.
    fn elements(&self) -> impl Iterator<Item = [u8; 8]> {
        let Dtype { size, big_endian, .. } = self.dtype;
        self.data.chunks_exact(size).map(move |chunk| {
            let mut bytes = [0; 8];
            bytes[..size].copy_from_slice(chunk);
            if big_endian {
                bytes[..size].reverse();
            }
            bytes
        })
    }
}

/// Converts an IEEE 754 binary16 number.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// The integer in the lowest `size` bytes.
fn integer(bytes: [u8; 8], size: usize, signed: bool) -> Option<i64> {
    let unused = 64 - 8 * size as u32;
    let value = u64::from_le_bytes(bytes);
    if signed { Some((value << unused) as i64 >> unused) } else { i64::try_from(value).ok() }
}

fn to_c_order(shape: &[usize], size: usize, data: &[u8]) -> Arc<[u8]> {
    let mut strides = vec![size; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut index = vec![0; shape.len()];
    let mut out = Vec::with_capacity(data.len());
    while out.len() < data.len() {
        let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
        out.extend_from_slice(&data[at..at + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out.into()
}
