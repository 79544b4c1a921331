//! Makes tensors on a device, launches kernels, and counts the launches.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Cube, TensorMetadata};
use burn::tensor::{DType, Device, Shape as Dims, Tensor, TensorData};
use burn_cubecl::CubeDevice;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::client::Client;
use cubecl::features::TypeUsage;
use cubecl::ir::{ElemType, FloatKind};
use cubecl::prelude::{CubeCount, CubeDim, LaunchArg, OwnedTensor, SequenceArg, TensorArg};

use super::kernels::{COLUMNS, CUBE, fold_many, is_short};
use crate::Precision;

static LAUNCHES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static READS: AtomicU64 = AtomicU64::new(0);

/// Work that this engine has given to devices since the program began. Burn's own operations are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels launched.
    pub launches: u64,
    /// Total size of the tensors that they read and write: the bytes that they move if every element is touched once.
    pub bytes: u64,
    /// Transfers to the host ([`crate::read`]), each of any number of tensors.
    pub reads: u64,
}

/// The current counters. The difference of two is the work between them.
pub fn counters() -> Counters {
    Counters { launches: LAUNCHES.load(Relaxed), bytes: BYTES.load(Relaxed), reads: READS.load(Relaxed) }
}

/// Bytes of a float32.
pub(super) const SINGLE: usize = 4;

/// Counts one launch of a kernel whose tensors have `bytes` bytes in total.
pub(super) fn record(bytes: usize) {
    LAUNCHES.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
}

/// Counts one transfer to the host.
pub(crate) fn record_read() {
    READS.fetch_add(1, Relaxed);
}

/// Size of a tensor.
pub(super) fn bytes(tensor: &CubeTensor) -> usize {
    tensor.shape().num_elements() * tensor.dtype.size()
}

/// The storage type of a precision.
pub(super) fn storage(precision: Precision) -> DType {
    match precision {
        Precision::Float32 => DType::F32,
        Precision::Float16 => DType::F16,
        Precision::BFloat16 => DType::BF16,
    }
}

/// The name of a storage type for kernels that are compiled for several.
pub(super) fn element(dtype: DType) -> ElemType {
    ElemType::Float(match dtype {
        DType::F16 => FloatKind::F16,
        DType::BF16 => FloatKind::BF16,
        _ => FloatKind::F32,
    })
}

/// The client that launches kernels on a device; `None` if it is no graphics device of this engine.
fn client(device: &Device) -> Option<Client> {
    Some(Tensor::<1>::zeros([1], device).try_into_primitive::<Cube>().ok()?.client)
}

/// Memory of a graphics device in bytes, if its driver reports it.
pub fn memory(device: &Device) -> Option<u64> {
    client(device)?.properties().memory.max_memory()
}

/// Whether a graphics device can store and convert values of a precision. It need not compute with the type.
pub(crate) fn stores(device: &Device, precision: Precision) -> bool {
    let Some(client) = client(device) else { return false };
    let usage = client.properties().type_usage(element(storage(precision)));
    usage.contains(TypeUsage::Buffer) && usage.contains(TypeUsage::Conversion)
}

/// Launches a kernel: `launch!(place, kernel, threads, [tensors], scalars and constants...)`.
macro_rules! launch {
    ($place:expr, $kernel:ident, $threads:expr, [$($tensor:expr),*] $(, $argument:expr)* $(,)?) => {{
        let threads: usize = $threads;
        if threads > 0 {
            let (count, dim) = $place.grid(threads);
            $crate::gpu::place::record(0 $(+ $crate::gpu::place::bytes(&$tensor))*);
            $crate::gpu::kernels::$kernel::launch(
                &$place.client,
                count,
                dim,
                $($tensor.clone().into_tensor_arg(),)*
                $($argument),*
            );
        }
    }};
}
pub(super) use launch;

/// As [`launch!`], for kernels that read vectors of the given sizes, without a check of their indices.
///
/// # Safety
/// Every index that the kernel computes for these threads and arguments must lie in its tensor.
macro_rules! launch_unchecked {
    ($place:expr, $kernel:ident, [$($size:expr),*], $threads:expr, [$($tensor:expr),*] $(, $argument:expr)* $(,)?) => {{
        let threads: usize = $threads;
        if threads > 0 {
            let (count, dim) = $place.grid(threads);
            $crate::gpu::place::record(0 $(+ $crate::gpu::place::bytes(&$tensor))*);
            $crate::gpu::kernels::$kernel::launch_unchecked(
                &$place.client,
                count,
                dim,
                $($size,)*
                $($tensor.clone().into_tensor_arg(),)*
                $($argument),*
            );
        }
    }};
}
pub(super) use launch_unchecked;

/// Tensors as one argument.
pub(super) fn tensors<'a, T: LaunchArg<RuntimeArg = TensorArg>>(
    list: impl Iterator<Item = &'a CubeTensor>,
) -> SequenceArg<T> {
    list.map(|tensor| tensor.clone().into_tensor_arg()).collect()
}

/// Numbers as one argument.
pub(super) fn numbers(list: impl Iterator<Item = usize>) -> SequenceArg<usize> {
    list.collect()
}

/// Flags as bits of a number.
pub(super) fn bits(flags: impl Iterator<Item = bool>) -> u32 {
    flags.enumerate().map(|(i, flag)| u32::from(flag) << i).sum()
}

/// Takes from `rest` the items of one launch: at most `most`, and no two with the same key, which would write the same array.
pub(super) fn take_distinct<T>(rest: &mut Vec<T>, most: usize, key: impl Fn(&T) -> usize) -> Vec<T> {
    let mut own = Vec::<T>::new();
    for one in std::mem::take(rest) {
        let fits = own.len() < most && own.iter().all(|other| key(other) != key(&one));
        if fits { own.push(one) } else { rest.push(one) }
    }
    own
}

/// Number of array arguments of a launch with `arrays` arrays: the next power of two, so that few kernels are compiled; 0 for 0.
fn filled_up(arrays: usize) -> usize {
    if arrays == 0 { 0 } else { arrays.next_power_of_two() }
}

/// Numbers of arrays as one argument, [filled up](filled_up) by zeros.
pub(super) fn filled<T: LaunchArg<RuntimeArg = T> + Default>(list: impl Iterator<Item = T>) -> SequenceArg<T> {
    let mut all: Vec<T> = list.collect();
    all.resize_with(filled_up(all.len()), T::default);
    all.into_iter().collect()
}

/// The tensor itself if it is contiguous and the only handle to its elements, otherwise a copy.
pub(super) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// A pending sum over parts: elements `to..to + length` of `out` are the sums over the `parts` rows of `partial` of the elements
/// from `start` on.
pub(super) struct Fold {
    pub(super) partial: CubeTensor,
    pub(super) out: CubeTensor,
    pub(super) parts: usize,
    /// Elements from one part to the next.
    pub(super) stride: usize,
    pub(super) start: usize,
    pub(super) to: usize,
    pub(super) length: usize,
}

impl Fold {
    /// A sum that fills all of `out`.
    pub(super) fn whole(partial: CubeTensor, out: CubeTensor, parts: usize, stride: usize, start: usize) -> Self {
        let length = out.shape().num_elements();
        Self { partial, out, parts, stride, start, to: 0, length }
    }
}

/// A device, and how to make tensors on it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) client: Client,
    pub(super) device: CubeDevice,
    /// Passed for arguments that a kernel does not read; as long as the widest vector.
    pub(super) none: CubeTensor,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?})", self.device)
    }
}

impl Place {
    /// The device of a tensor.
    pub(super) fn of(tensor: &CubeTensor) -> Self {
        let (client, device) = (tensor.client.clone(), tensor.device.clone());
        let none = empty_device_contiguous_dtype(client.clone(), device.clone(), Dims::new([4]), DType::F32);
        Self { client, device, none }
    }

    /// A float32 tensor, not initialised.
    pub(super) fn empty<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        self.of_type(shape, DType::F32)
    }

    /// A tensor, not initialised.
    pub(super) fn of_type<const D: usize>(&self, shape: [usize; D], dtype: DType) -> CubeTensor {
        empty_device_contiguous_dtype(self.client.clone(), self.device.clone(), Dims::new(shape), dtype)
    }

    /// A vector of numbers from the host.
    pub(super) fn floats(&self, values: Vec<f32>) -> CubeTensor {
        let length = values.len();
        Cube::float_from_data(TensorData::new(values, [length]), &self.device)
    }

    /// Zeros.
    pub(super) fn zeros<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        let zeros = self.empty(shape);
        launch!(self, fill_zero, shape.iter().product(), [zeros]);
        zeros
    }

    /// A launch of at least `threads` threads.
    pub(super) fn grid(&self, threads: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new(&self.client, threads);
        (cubecl::calculate_cube_count_elemwise(&self.client, threads, dim), dim)
    }

    /// A launch of at least `cubes` cubes of [`CUBE`] threads, which add up together.
    pub(super) fn cubes(&self, cubes: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new_1d(CUBE as u32);
        (cubecl::calculate_cube_count_elemwise(&self.client, cubes * CUBE, dim), dim)
    }

    /// A vector of integers from the host; of one element if `values` is empty.
    pub(super) fn words(&self, values: &[u32]) -> CubeTensor {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let handle = self.client.create_from_slice(if bytes.is_empty() { &[0; 4] } else { &bytes });
        let shape = Dims::new([values.len().max(1)]);
        CubeTensor::new_contiguous(self.client.clone(), self.device.clone(), shape, handle, DType::U32)
    }

    /// Arrays per launch if each needs `bindings` bindings: a power of two, so that few kernels are compiled.
    pub(super) fn per_launch(&self, bindings: usize) -> usize {
        // Some are left for what all arrays share.
        let free = (self.client.properties().hardware.max_bindings as usize).saturating_sub(4);
        1 << (free / bindings).clamp(1, 32).ilog2()
    }

    /// Arrays as arguments, [filled up](filled_up) by tensors that the kernel does not read.
    pub(super) fn arguments(&self, arrays: &[&CubeTensor]) -> SequenceArg<OwnedTensor<f32>> {
        let at = |i: usize| arrays.get(i).map_or(&self.none, |array| *array).clone().into_tensor_arg();
        (0..filled_up(arrays.len())).map(at).collect()
    }

    /// Makes many sums over parts, in a fixed order, times a factor, in a few launches.
    pub(super) fn fold_many(&self, folds: &[Fold], factor: f32) {
        for chunk in folds.chunks(self.per_launch(2)) {
            let tensors = |of: fn(&Fold) -> &CubeTensor| self.arguments(&chunk.iter().map(of).collect::<Vec<_>>());
            let numbers = |of: fn(&Fold) -> usize| filled(chunk.iter().map(of));
            let (partials, outs) = (tensors(|fold| &fold.partial), tensors(|fold| &fold.out));
            record(chunk.iter().map(|fold| SINGLE * (fold.parts + 1) * fold.length).sum());
            let ends: Vec<_> = chunk
                .iter()
                .scan(0, |cubes, fold| {
                    *cubes += fold.length.div_ceil(if is_short(fold.parts) { CUBE } else { COLUMNS });
                    Some(*cubes)
                })
                .collect();
            let (count, dim) = self.cubes(ends.last().copied().unwrap_or(0));
            fold_many::launch(
                &self.client,
                count,
                dim,
                partials,
                outs,
                numbers(|fold| fold.parts),
                numbers(|fold| fold.stride),
                numbers(|fold| fold.start),
                numbers(|fold| fold.to),
                numbers(|fold| fold.length),
                filled(std::iter::once(0).chain(ends.iter().copied()).take(chunk.len())),
                filled(ends.iter().copied()),
                factor,
            );
        }
    }
}
