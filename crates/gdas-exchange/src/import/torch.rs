//! PyTorch's files (`torch.save`), read as data: the pickle by [`gdas_data::pickle`], the storages beside it.
//!
//! Both formats are read: the zip archive of PyTorch 1.6 and later, and the older sequence of pickles. In either, a tensor
//! is a call with a storage, an offset, a shape and strides; the storages are outside of the pickle. Nothing is imported or
//! executed: only the names of these calls are allowed.

use std::collections::BTreeMap;
use std::io::{BufRead, Cursor, Read};
use std::path::Path;

use super::{Array, ImportError, StateDict};
use gdas_data::pickle::{self, Hooks, Limits, Object, Value};

/// First bytes of PyTorch's older files: the pickle of a magic number.
const LEGACY: &[u8] = &[0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// Maximum number of values in a file (1 GiB).
const MAX_VALUES: usize = 1 << 28;
/// Usual keys of the state dictionary within a checkpoint.
const STATE_KEYS: [&str; 6] = ["state_dict", "model_state_dict", "network", "base-model", "model", "net"];

/// Whether these are the first bytes of a file of `torch.save`.
pub(super) fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(LEGACY)
}

/// Reads the state dictionary of a file's bytes.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<StateDict, ImportError> {
    let format = |reason: String| ImportError::Format { path: path.to_path_buf(), reason };
    let (root, storages) =
        if bytes.starts_with(b"PK") { zipped(bytes).map_err(format)? } else { legacy(bytes).map_err(format)? };
    let state = state_of(&root).ok_or_else(|| {
        let keys: Vec<&str> = root.entries().unwrap_or_default().iter().filter_map(|(key, _)| key.as_str()).collect();
        format(format!(
            "it contains no state dictionary (names with tensors), only {} with {}; save one with \
             torch.save(network.state_dict(), ...)",
            root.kind(),
            if keys.is_empty() { "no names".to_owned() } else { keys.join(", ") }
        ))
    })?;
    let mut arrays = BTreeMap::new();
    let mut numbers = 0;
    for (name, value) in state.entries().unwrap_or_default() {
        let (Some(name), Some(tensor)) = (name.as_str(), tensor(value)) else { continue };
        let array = materialise(tensor, &storages).map_err(|reason| format(format!("array `{name}`: {reason}")))?;
        numbers += array.values.len();
        if numbers > MAX_VALUES {
            return Err(format(format!("it contains more than {MAX_VALUES} values")));
        }
        arrays.insert(name.to_owned(), array);
    }
    Ok(StateDict { arrays, metadata: BTreeMap::new() })
}

/// The dictionary of tensors: the root, or the value of a usual key of checkpoints.
fn state_of(root: &Value) -> Option<&Value> {
    let has_tensors = |value: &Value| value.entries().is_some_and(|all| all.iter().any(|(_, v)| tensor(v).is_some()));
    std::iter::once(root).chain(STATE_KEYS.iter().filter_map(|key| root.get(key))).find(|value| has_tensors(value))
}

/// Pickle hooks that allow tensors, and settings that checkpoints may contain.
struct Tensors;

impl Hooks for Tensors {
    fn allow(&mut self, module: &str, name: &str) -> bool {
        match module {
            "torch._utils" => matches!(name, "_rebuild_tensor_v2" | "_rebuild_tensor" | "_rebuild_parameter"),
            "torch" => name.ends_with("Storage") || name == "Size" || name == "device",
            "torch.storage" => name == "UntypedStorage",
            "argparse" => name == "Namespace",
            "pathlib" => matches!(name, "PosixPath" | "WindowsPath"),
            _ => false,
        }
    }

    fn persistent(&mut self, id: Value) -> Result<Value, String> {
        Ok(id)
    }
}

/// The call that constructs a tensor; for a parameter, that of the tensor inside.
fn tensor(value: &Value) -> Option<&Object> {
    let object = value.as_object()?;
    match object.class.name.as_str() {
        "_rebuild_tensor_v2" | "_rebuild_tensor" => Some(object),
        "_rebuild_parameter" => tensor(object.args.first()?),
        _ => None,
    }
}

/// Bytes of each storage by its key.
type Storages = BTreeMap<String, Vec<u8>>;

fn zipped(bytes: &[u8]) -> Result<(Value, Storages), String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let names: Vec<String> = archive.file_names().filter_map(|name| Some(name.ok()?.into_owned())).collect();
    let data = names.iter().find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"));
    let data = data.ok_or("the archive has no data.pkl, so torch.save did not write it")?.clone();
    let folder = data.strip_suffix("data.pkl").unwrap_or_default();
    let mut entry = |name: &str| -> Result<Vec<u8>, String> {
        let entry = archive.by_name(name).map_err(|error| format!("{name}: {error}"))?;
        // Uncompressed entries cannot be larger than the file.
        if entry.compression() != zip::CompressionMethod::Stored || entry.size() > bytes.len() as u64 {
            return Err(format!("{name} is compressed, which torch.save never does"));
        }
        let mut content = Vec::new();
        entry.take(bytes.len() as u64).read_to_end(&mut content).map_err(|error| format!("{name}: {error}"))?;
        Ok(content)
    };
    let byte_order = format!("{folder}byteorder");
    if names.contains(&byte_order) && entry(&byte_order)? != b"little" {
        return Err("its values are big-endian; save it on another machine".into());
    }
    let pickle = entry(&data)?;
    let root = pickle::from_reader(pickle.as_slice(), Limits::default(), &mut Tensors).map_err(|e| e.to_string())?;
    let mut storages = Storages::new();
    for name in &names {
        if let Some(key) = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix("data/")) {
            storages.insert(key.to_owned(), entry(name)?);
        }
    }
    Ok((root, storages))
}

fn legacy(bytes: &[u8]) -> Result<(Value, Storages), String> {
    let mut source = bytes;
    let next =
        |source: &mut &[u8]| pickle::from_reader(source, Limits::default(), &mut Tensors).map_err(|e| e.to_string());
    for _ in ["magic number", "version of the format", "system"] {
        next(&mut source)?;
    }
    let root = next(&mut source)?;
    let keys = next(&mut source)?;
    let mut sizes = BTreeMap::new();
    element_sizes(&root, &mut sizes);
    let mut storages = Storages::new();
    for key in keys.items().ok_or("the list of storages is missing")? {
        let key = key.as_str().ok_or("a storage without a name")?;
        let size = *sizes.get(key).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        let mut count = [0; 8];
        source.read_exact(&mut count).map_err(|_| format!("it is cut off before storage {key}"))?;
        let length = usize::try_from(u64::from_le_bytes(count)).ok().and_then(|n| n.checked_mul(size));
        let content = length.filter(|&n| n <= source.len()).map(|n| source[..n].to_vec());
        let content = content.ok_or_else(|| format!("it is cut off in storage {key}"))?;
        source.consume(content.len());
        storages.insert(key.to_owned(), content);
    }
    Ok((root, storages))
}

/// Bytes per element of every storage in a value.
fn element_sizes(value: &Value, sizes: &mut BTreeMap<String, usize>) {
    if let Some(tensor) = value.as_object() {
        if let Ok((key, kind)) = storage(tensor) {
            sizes.insert(key.to_owned(), kind.size);
        }
        tensor.args.iter().for_each(|value| element_sizes(value, sizes));
    }
    value.items().unwrap_or_default().iter().for_each(|value| element_sizes(value, sizes));
    value.entries().unwrap_or_default().iter().for_each(|(_, value)| element_sizes(value, sizes));
}

/// Element type of a storage.
struct Kind {
    size: usize,
    read: fn(&[u8]) -> f32,
}

impl Kind {
    fn of(class: &str) -> Option<Self> {
        let kind = |size, read| Some(Self { size, read });
        match class {
            "FloatStorage" => kind(4, |b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            "DoubleStorage" => kind(8, |b| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
            "HalfStorage" => kind(2, |b| half(u16::from_le_bytes([b[0], b[1]]))),
            "BFloat16Storage" => kind(2, |b| f32::from_bits(u32::from(u16::from_le_bytes([b[0], b[1]])) << 16)),
            // Counters such as `num_batches_tracked`.
            "LongStorage" => kind(8, |b| i64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32),
            "IntStorage" => kind(4, |b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32),
            "ByteStorage" | "BoolStorage" => kind(1, |b| f32::from(b[0])),
            _ => None,
        }
    }
}

/// IEEE 754 binary16.
pub(super) fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (fraction + 1024.0) * 2f32.powi(exponent - 25),
    }
}

/// Key and element type of a tensor's storage, from `('storage', class, key, device, length)`.
fn storage(tensor: &Object) -> Result<(&str, Kind), String> {
    let id = tensor.args.first().and_then(Value::items).unwrap_or_default();
    let [_, Value::Global(class), key, ..] = id else { return Err("it names no storage".into()) };
    let key = key.as_str().ok_or("it names no storage")?;
    let kind = Kind::of(&class.name).ok_or_else(|| format!("elements of type {} cannot be read", class.name))?;
    Ok((key, kind))
}

/// The tensor's values, gathered from its storage.
fn materialise(tensor: &Object, storages: &Storages) -> Result<Array, String> {
    let (key, kind) = storage(tensor)?;
    let bytes = storages.get(key).ok_or_else(|| format!("the file has no storage {key}"))?;
    let numbers =
        |index: usize| -> Option<Vec<usize>> { tensor.args.get(index)?.items()?.iter().map(Value::as_usize).collect() };
    let offset = tensor.args.get(1).and_then(Value::as_usize).ok_or("it has no offset")?;
    let shape = numbers(2).ok_or("it has no shape")?;
    let strides =
        numbers(3).filter(|strides| strides.len() == shape.len()).ok_or("its strides do not fit its shape")?;
    let available = bytes.len() / kind.size;
    let count = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
    let count = count.filter(|&n| n <= available).ok_or("it is larger than its storage")?;
    let reach = shape
        .iter()
        .zip(&strides)
        .try_fold(offset, |sum, (&n, &stride)| sum.checked_add(n.saturating_sub(1).checked_mul(stride)?));
    if count > 0 && reach.is_none_or(|last| last >= available) {
        return Err("it reaches beyond its storage".into());
    }
    let mut index = vec![0; shape.len()];
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let at = offset + index.iter().zip(&strides).map(|(i, stride)| i * stride).sum::<usize>();
        values.push((kind.read)(&bytes[at * kind.size..(at + 1) * kind.size]));
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(Array { shape, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_numbers() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x3555, 0.333_251_95)]
        {
            assert_eq!(half(bits), value);
        }
        assert_eq!(half(0x7c00), f32::INFINITY);
        assert!(half(0x7e00).is_nan());
    }
}
