//! Where an engine's tensors are made, how its kernels are launched, and how much of both was done.

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

/// Work that was handed to the device by this engine since the program began. Burn's own operations (loss, optimiser)
/// are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Kernels launched.
    pub launches: u64,
    /// Size of all tensors that they were given, read or written: what they move if every element is touched once.
    pub bytes: u64,
    /// Times that the host waited for numbers, whatever their number ([`crate::read`]).
    pub reads: u64,
}

/// The counters now; subtract two to measure what lies between.
pub fn counters() -> Counters {
    Counters { launches: LAUNCHES.load(Relaxed), bytes: BYTES.load(Relaxed), reads: READS.load(Relaxed) }
}

/// Bytes of a float32.
pub(super) const SINGLE: usize = 4;

/// Counts one launch of a kernel with tensors of so many bytes.
pub(super) fn record(bytes: usize) {
    LAUNCHES.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
}

/// Counts one read-back.
pub(crate) fn record_read() {
    READS.fetch_add(1, Relaxed);
}

/// Size of a tensor.
pub(super) fn bytes(tensor: &CubeTensor) -> usize {
    tensor.shape().num_elements() * tensor.dtype.size()
}

/// How a precision is stored.
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

/// What runs the kernels of a device; `None` if that is no graphics device of this engine.
fn client(device: &Device) -> Option<Client> {
    Some(Tensor::<1>::zeros([1], device).try_into_primitive::<Cube>().ok()?.client)
}

/// Memory of a graphics device in bytes, where its driver tells.
pub fn memory(device: &Device) -> Option<u64> {
    client(device)?.properties().memory.max_memory()
}

/// Whether a graphics device can store values so. It need not compute with the type.
pub(crate) fn stores(device: &Device, precision: Precision) -> bool {
    let Some(client) = client(device) else { return false };
    let usage = client.properties().type_usage(element(storage(precision)));
    usage.contains(TypeUsage::Buffer) && usage.contains(TypeUsage::Conversion)
}

/// Hands a kernel to the device: `launch!(place, kernel, threads, [tensors], scalars and constants...)`.
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

/// As [`launch!`], without a check of every index, for kernels that read vectors of these sizes; they know all indices to exist.
macro_rules! launch_unchecked {
    ($place:expr, $kernel:ident, [$($size:expr),*], $threads:expr, [$($tensor:expr),*] $(, $argument:expr)* $(,)?) => {{
        let threads: usize = $threads;
        if threads > 0 {
            let (count, dim) = $place.grid(threads);
            $crate::gpu::place::record(0 $(+ $crate::gpu::place::bytes(&$tensor))*);
            // SAFETY: threads beyond the result end at once; those of the result read pixels that `under` or `over` say exist,
            // and the parameters of their channels. Vectors divide the channels, so none crosses the end of an array.
            unsafe {
                $crate::gpu::kernels::$kernel::launch_unchecked(
                    &$place.client,
                    count,
                    dim,
                    $($size,)*
                    $($tensor.clone().into_tensor_arg(),)*
                    $($argument),*
                );
            }
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

/// Takes from `rest` what one launch can do: so many at most, and no two with the same key, which would write one place.
pub(super) fn take_distinct<T>(rest: &mut Vec<T>, most: usize, key: impl Fn(&T) -> usize) -> Vec<T> {
    let mut own = Vec::<T>::new();
    for one in std::mem::take(rest) {
        let fits = own.len() < most && own.iter().all(|other| key(other) != key(&one));
        if fits { own.push(one) } else { rest.push(one) }
    }
    own
}

/// The places of a launch that holds so many arrays: a power of two, so that few kernels have to be compiled; none for none.
fn filled_up(arrays: usize) -> usize {
    if arrays == 0 { 0 } else { arrays.next_power_of_two() }
}

/// Numbers of arrays as one argument, [filled up](filled_up) by zeros.
pub(super) fn filled<T: LaunchArg<RuntimeArg = T> + Default>(list: impl Iterator<Item = T>) -> SequenceArg<T> {
    let mut all: Vec<T> = list.collect();
    all.resize_with(filled_up(all.len()), T::default);
    all.into_iter().collect()
}

/// The tensor itself if its elements are in order and nobody else refers to them, otherwise a copy.
pub(super) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// A sum over parts that is yet to be made: elements `to..` of `out` from elements `start..` of each row of `partial`.
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
    /// Of all of `out`.
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
    /// Stands in for arguments that a kernel does not look at; as long as the widest vector.
    pub(super) none: CubeTensor,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({:?})", self.device)
    }
}

impl Place {
    /// Where a tensor is.
    pub(super) fn of(tensor: &CubeTensor) -> Self {
        let (client, device) = (tensor.client.clone(), tensor.device.clone());
        let none = empty_device_contiguous_dtype(client.clone(), device.clone(), Dims::new([4]), DType::F32);
        Self { client, device, none }
    }

    /// A float32 tensor whose elements are yet to be written.
    pub(super) fn empty<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        self.of_type(shape, DType::F32)
    }

    /// A tensor whose elements are yet to be written.
    pub(super) fn of_type<const D: usize>(&self, shape: [usize; D], dtype: DType) -> CubeTensor {
        empty_device_contiguous_dtype(self.client.clone(), self.device.clone(), Dims::new(shape), dtype)
    }

    /// A vector of numbers of the host.
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

    /// Enough threads, in cubes.
    pub(super) fn grid(&self, threads: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new(&self.client, threads);
        (cubecl::calculate_cube_count_elemwise(&self.client, threads, dim), dim)
    }

    /// So many cubes (or more) of the size in which threads add up together.
    pub(super) fn cubes(&self, cubes: usize) -> (CubeCount, CubeDim) {
        let dim = CubeDim::new_1d(CUBE as u32);
        (cubecl::calculate_cube_count_elemwise(&self.client, cubes * CUBE, dim), dim)
    }

    /// A vector of whole numbers of the host; one element if there are none.
    pub(super) fn words(&self, values: &[u32]) -> CubeTensor {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        let handle = self.client.create_from_slice(if bytes.is_empty() { &[0; 4] } else { &bytes });
        let shape = Dims::new([values.len().max(1)]);
        CubeTensor::new_contiguous(self.client.clone(), self.device.clone(), shape, handle, DType::U32)
    }

    /// Arrays per launch where each needs so many bindings: a power of two, so that few kernels have to be compiled.
    pub(super) fn per_launch(&self, bindings: usize) -> usize {
        // Some are left for what all arrays share.
        let free = (self.client.properties().hardware.max_bindings as usize).saturating_sub(4);
        1 << (free / bindings).clamp(1, 32).ilog2()
    }

    /// Arrays as arguments, [filled up](filled_up) by tensors that nobody reads.
    pub(super) fn arguments(&self, arrays: &[&CubeTensor]) -> SequenceArg<OwnedTensor<f32>> {
        let at = |i: usize| arrays.get(i).map_or(&self.none, |array| *array).clone().into_tensor_arg();
        (0..filled_up(arrays.len())).map(at).collect()
    }

    /// Sums many arrays over their parts, each in their order, and takes the sums times a factor: few launches for all.
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
