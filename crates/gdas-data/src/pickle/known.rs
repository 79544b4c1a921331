//! Classes and functions that are read as data: NumPy arrays and some Python containers.

use std::sync::Arc;

use super::value::{Array, Dtype, Global, Nested, Object, Value};

const NAMES: &[(&[&str], &[&str])] = &[
    (&["numpy"], &["ndarray", "dtype"]),
    (&["numpy.core.multiarray", "numpy._core.multiarray"], &["_reconstruct", "scalar"]),
    (&["numpy.core.numeric", "numpy._core.numeric"], &["_frombuffer"]),
    (&["_codecs"], &["encode"]),
    (&["collections"], &["OrderedDict", "defaultdict"]),
    (
        &["builtins", "__builtin__"],
        &[
            "set",
            "frozenset",
            "bytes",
            "bytearray",
            "list",
            "dict",
            "tuple",
            "int",
            "long",
            "float",
            "str",
            "unicode",
            "object",
        ],
    ),
    (&["copyreg", "copy_reg"], &["_reconstructor"]),
];

pub(super) fn is_known(module: &str, name: &str) -> bool {
    NAMES.iter().any(|(modules, names)| modules.contains(&module) && names.contains(&name))
}

pub(super) fn is_reconstructor(class: &Global) -> bool {
    class.name == "_reconstructor" && is_known(&class.module, &class.name)
}

/// The value of an object of a known class; `None` for a class allowed by the caller's hooks.
pub(super) fn construct(object: &Object) -> Option<Result<Value, String>> {
    let Global { module, name } = &*object.class;
    if !is_known(module, name) {
        return None;
    }
    Some(match name.as_str() {
        "_reconstruct" | "ndarray" => array(object),
        "dtype" => dtype(object).map(Value::Dtype),
        "scalar" => scalar(object),
        "_frombuffer" => from_buffer(object),
        "encode" => encode(object),
        "OrderedDict" | "defaultdict" | "dict" => dict(object),
        "set" | "frozenset" => sequence(object, Value::Set),
        "list" => sequence(object, Value::List),
        "tuple" => sequence(object, Value::Tuple),
        "bytes" | "bytearray" => bytes(object),
        _ => Err(format!("`{module}.{name}` is called with unsupported arguments")),
    })
}

/// Upper bound of the bytes copied by [`construct`].
pub(super) fn cost(object: &Object) -> u64 {
    let of = |value: &Value| match value {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Dict(entries) => 2 * size_of::<Value>() * entries.len(),
        _ => size_of::<Value>() * value.items().map_or(0, <[_]>::len),
    };
    let state = object.state.iter().flat_map(|state| state.items().unwrap_or_default());
    let values = object.items.len() + 2 * object.entries.len();
    object.args.iter().chain(state).map(|value| of(value) as u64).sum::<u64>() + (values * size_of::<Value>()) as u64
}

/// `numpy.dtype('f8', ...)`, with state `(version, byte order, ...)`.
fn dtype(object: &Object) -> Result<Dtype, String> {
    let text = object.args.first().and_then(Value::as_str).unwrap_or_default();
    let mut dtype =
        Dtype::parse(text).ok_or_else(|| format!("element type `{}` is not a numeric type", text.escape_default()))?;
    let order = object.state.as_ref().and_then(Value::items).and_then(|state| state.get(1)).and_then(Value::as_str);
    if order == Some(">") {
        dtype.big_endian = true;
    }
    Ok(dtype)
}

/// `_reconstruct(ndarray, (0,), b'b')`, with state `(version, shape, dtype, fortran, bytes)`.
fn array(object: &Object) -> Result<Value, String> {
    let state = object.state.as_ref().and_then(Value::items).unwrap_or_default();
    let [_, shape, Value::Dtype(dtype), fortran, data] = state else {
        return Err("an array whose state is not (version, shape, element type, order, bytes)".into());
    };
    let Value::Bytes(data) = data else {
        return Err(format!("an array whose elements are {}, not bytes", data.kind()));
    };
    let fortran = fortran.as_i64().unwrap_or(0) != 0;
    Array::new(to_shape(shape)?, *dtype, fortran, data.clone()).map(|array| Value::Array(array.into()))
}

/// `_frombuffer(bytes, dtype, shape, order)`: protocol 5.
fn from_buffer(object: &Object) -> Result<Value, String> {
    let [Value::Bytes(data), Value::Dtype(dtype), shape, order] = object.args.as_slice() else {
        return Err("an array that is not made from (bytes, element type, shape, order)".into());
    };
    let fortran = order.as_str() == Some("F");
    Array::new(to_shape(shape)?, *dtype, fortran, data.clone()).map(|array| Value::Array(array.into()))
}

fn to_shape(value: &Value) -> Result<Vec<usize>, String> {
    let axes = value.items().filter(|axes| axes.len() <= 32);
    let axes = axes.and_then(|axes| axes.iter().map(Value::as_usize).collect());
    axes.ok_or_else(|| "an array whose shape is not up to 32 lengths".into())
}

/// `scalar(dtype, bytes)`.
fn scalar(object: &Object) -> Result<Value, String> {
    let [Value::Dtype(dtype), Value::Bytes(data)] = object.args.as_slice() else {
        return Err("a number that is not made from (element type, bytes)".into());
    };
    let array = Array::new(Vec::new(), *dtype, false, data.clone())?;
    let value = match dtype.kind {
        'f' => array.to_f64s().and_then(|v| v.first().copied()).map(Value::Float),
        'b' => array.to_i64s().and_then(|v| v.first().copied()).map(|v| Value::Bool(v != 0)),
        _ => array.to_i64s().and_then(|v| v.first().copied()).map(Value::Int),
    };
    value.ok_or_else(|| format!("a number of type {}{}, which cannot be read", dtype.kind, dtype.size))
}

/// `_codecs.encode(text, 'latin1')`: how protocols 0 to 2 write the bytes of Python 3.
fn encode(object: &Object) -> Result<Value, String> {
    let [text, encoding] = object.args.as_slice() else {
        return Err("bytes that are not made from (text, encoding)".into());
    };
    match (text, encoding.as_str()) {
        (Value::Str(text), Some("latin1" | "latin-1")) => latin1(text),
        _ => Err("bytes in an encoding other than latin1".into()),
    }
}

fn latin1(text: &str) -> Result<Value, String> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.map(|bytes| Value::Bytes(bytes.into())).ok_or_else(|| "text that is not latin1, in place of bytes".into())
}

/// `bytes()`, `bytearray(b'..')`, `bytearray('..', 'latin-1')`.
fn bytes(object: &Object) -> Result<Value, String> {
    match object.args.as_slice() {
        [] => Ok(Value::Bytes(Arc::new([]))),
        [Value::Bytes(data)] => Ok(Value::Bytes(data.clone())),
        [Value::Str(text), encoding] if matches!(encoding.as_str(), Some("latin1" | "latin-1")) => latin1(text),
        _ => Err("bytes made from something that is not bytes".into()),
    }
}

fn dict(object: &Object) -> Result<Value, String> {
    let mut entries = Vec::new();
    // OrderedDict([(key, value), ...]) as Python 2 writes it; the argument of defaultdict is its factory.
    if object.class.name != "defaultdict"
        && let Some(argument) = object.args.first()
    {
        if let Some(given) = argument.entries() {
            entries.extend(given.iter().cloned());
        } else {
            for pair in argument.items().ok_or("a dictionary made from something that has no entries")? {
                let [key, value] = pair.items().unwrap_or_default() else {
                    return Err("a dictionary made from items that are no pairs".into());
                };
                entries.push((key.clone(), value.clone()));
            }
        }
    }
    entries.extend(object.entries.iter().cloned());
    Ok(Value::Dict(Nested::new(entries, object.depth)))
}

fn sequence(object: &Object, make: fn(Arc<Nested<Vec<Value>>>) -> Value) -> Result<Value, String> {
    let mut items = match object.args.as_slice() {
        [] => Vec::new(),
        [argument] => argument.items().ok_or("a container made from something that has no items")?.to_vec(),
        _ => return Err("a container made from more than one argument".into()),
    };
    items.extend(object.items.iter().cloned());
    Ok(make(Nested::new(items, object.depth)))
}
