//! Stochastic gradient descent on many arrays in one call.
//!
//! A network has hundreds of small arrays. Burn's operations, one array at a time, cost several allocations and passes each.
//! [`step`] and [`squared_sums`] hand all arrays to the device's engine at once. Where there is no engine, and with
//! `GDAS_ENGINE=reference`, a step uses plain Burn operations. These define the result: the engine does the same operations on
//! `f32` in the same order, so the bits are the same.

mod rule;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensorKind, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

pub use self::rule::Rule;
use crate::cpu::sgd as kernels;
use crate::extension::{Engine, TensorList, slice, tensor};
use crate::reference_forced;

/// One parameter array and its optimizer state, `[n]` each.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The values. Updated in place if this is the only handle to the tensor.
    pub weight: Tensor<1>,
    /// The gradient; `None` stands for zeros, so that only weight decay and momentum act.
    pub gradient: Option<Tensor<1>>,
    /// The momentum buffer; `None` before the first step. Updated in place likewise.
    pub momentum: Option<Tensor<1>>,
}

/// Updates every array once. Returns the new weight and momentum of each, in order; without momentum (`rule.momentum` of 0) the
/// second is `None`.
///
/// # Panics
/// If the tensors of an array differ in length.
pub fn step(rule: &Rule, arrays: Vec<Parameter>) -> Vec<(Tensor<1>, Option<Tensor<1>>)> {
    if arrays.is_empty() {
        return vec![];
    }
    #[cfg(feature = "gpu")]
    if arrays.iter().all(|array| crate::on_graphics_device(&array.weight)) {
        return crate::gpu::step(rule, arrays);
    }
    let all = arrays.iter().flat_map(|array| [Some(&array.weight), array.gradient.as_ref(), array.momentum.as_ref()]);
    if !has_engine(all.flatten()) {
        return arrays.into_iter().map(|array| step_by_operations(rule, array)).collect();
    }
    let list = |tensors: Vec<Tensor<1>>| TensorList(tensors.into_iter().map(Tensor::into_dispatch).collect());
    let (mut weights, mut gradients, mut momenta) = (vec![], vec![], vec![]);
    let mut parts = vec![];
    for Parameter { weight, gradient, momentum } in arrays {
        let momentum = momentum.filter(|_| rule.momentum != 0.0);
        parts.push(Parts { gradient: gradient.is_some(), momentum: momentum.is_some() });
        weights.push(weight);
        gradients.extend(gradient);
        momenta.extend(momentum);
    }
    let (weights, momenta) =
        Dispatch::sgd_step(list(weights), list(gradients), list(momenta), Call { rule: *rule, parts });
    let mut momenta = momenta.0.into_iter().map(Tensor::from_dispatch);
    weights.0.into_iter().map(|weight| (Tensor::from_dispatch(weight), momenta.next())).collect()
}

/// The sum of squares of each tensor, added in `f64` and rounded to `f32`. The order of summation does not depend on the number
/// of threads.
pub fn squared_sums(tensors: Vec<Tensor<1>>) -> Vec<f64> {
    if tensors.is_empty() {
        return vec![];
    }
    if has_engine(tensors.iter()) {
        let tensors = tensors.into_iter().map(Tensor::into_dispatch).collect();
        let sums = Tensor::<1>::from_dispatch(Dispatch::squared_sums(TensorList(tensors)));
        return sums.into_data().iter::<f32>().map(f64::from).collect();
    }
    let host = |tensor: Tensor<1>| tensor.into_data().iter::<f32>().collect::<Vec<_>>();
    tensors.into_iter().map(|tensor| f64::from(squared_sum(&host(tensor)))).collect()
}

/// Result of [`clipped_step`].
#[derive(Debug)]
pub struct Clipped {
    /// New weights and momenta, as from [`step`].
    pub updated: Vec<(Tensor<1>, Option<Tensor<1>>)>,
    /// The global norm of all gradients before clipping, `[1]`, on the device. Where it is not finite, nothing was updated.
    pub norm: Tensor<1>,
}

/// As [`step`], with gradients clipped to a global norm of `max_norm` (0: no clipping). The norm stays on the device, so that the
/// host does not wait for it before the next pass. Only for graphics devices: elsewhere the arrays come back unchanged as the
/// error.
#[cfg_attr(not(feature = "gpu"), allow(clippy::missing_errors_doc, unused_variables))]
pub fn clipped_step(rule: &Rule, max_norm: f64, arrays: Vec<Parameter>) -> Result<Clipped, Vec<Parameter>> {
    #[cfg(feature = "gpu")]
    if !arrays.is_empty() && arrays.iter().all(|array| crate::on_graphics_device(&array.weight)) {
        return Ok(crate::gpu::clipped_step(rule, max_norm, arrays));
    }
    Err(arrays)
}

/// Whether all tensors are `f32` on a backend that implements [`SgdOps`].
fn has_engine<'a>(mut tensors: impl Iterator<Item = &'a Tensor<1>>) -> bool {
    let fits = |tensor: &Tensor<1>| {
        tensor.dtype() == DType::F32 && matches!(tensor.clone().into_dispatch().kind, DispatchTensorKind::Flex(_))
    };
    !reference_forced() && tensors.all(fits)
}

/// Defines [`step`], for one array.
fn step_by_operations(rule: &Rule, array: Parameter) -> (Tensor<1>, Option<Tensor<1>>) {
    let Rule { rate, scale, momentum, nesterov, weight_decay } = *rule;
    let Parameter { weight, gradient, momentum: buffer } = array;
    let decay = weight.clone() * weight_decay;
    let gradient = match gradient {
        Some(gradient) if scale < 1.0 => gradient * scale + decay,
        Some(gradient) => gradient + decay,
        None => decay,
    };
    if momentum == 0.0 {
        return (weight - gradient * rate, None);
    }
    let buffer = match buffer {
        Some(buffer) => buffer * momentum + gradient.clone(),
        None => gradient.clone(),
    };
    let direction = if nesterov { gradient + buffer.clone() * momentum } else { buffer.clone() };
    (weight - direction * rate, Some(buffer))
}

/// Arguments of a step other than its tensors.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) rule: Rule,
    /// One entry per weight.
    pub(crate) parts: Vec<Parts>,
}

/// Which tensors an array comes with. The lists hold the tensors that exist, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) gradient: bool,
    pub(crate) momentum: bool,
}

/// Backend operations of this module.
#[backend_extension(Flex)]
pub(crate) trait SgdOps: Backend {
    /// See [`step`]. Returns a weight per weight, and a momentum per weight unless the rule keeps none.
    fn sgd_step(
        #[extension_type] weights: TensorList<Self>,
        #[extension_type] gradients: TensorList<Self>,
        #[extension_type] momenta: TensorList<Self>,
        call: Call,
    ) -> (TensorList<Self>, TensorList<Self>);

    /// See [`squared_sums`]: one number per tensor.
    fn squared_sums(#[extension_type] tensors: TensorList<Self>) -> FloatTensor<Self>;
}

impl SgdOps for Flex {
    fn sgd_step(
        weights: TensorList<Self>,
        gradients: TensorList<Self>,
        momenta: TensorList<Self>,
        call: Call,
    ) -> (TensorList<Self>, TensorList<Self>) {
        let Call { rule, parts } = call;
        let keeps = rule.momentum != 0.0;
        let mut gradients = gradients.0.into_iter().map(Self::contiguous);
        let mut momenta = momenta.0.into_iter();
        let arrays = weights.0.into_iter().zip(parts).map(|(weight, parts)| {
            let gradient = parts.gradient.then(|| gradients.next().expect("a gradient per array that has one"));
            let momentum = parts.momentum.then(|| momenta.next().expect("a momentum per array that has one"));
            (weight, gradient, momentum)
        });
        let arrays: Vec<_> = arrays.collect();
        let moved = arrays.into_par_iter().map(|(weight, gradient, momentum)| {
            let mut weight = owned(weight);
            let fresh = momentum.is_none();
            let mut momentum = match momentum {
                Some(momentum) => Some(owned(momentum)),
                None => keeps.then(|| FlexTensor::zeros(weight.shape(), DType::F32)),
            };
            kernels::step(
                &rule,
                slice_mut(&mut weight),
                gradient.as_ref().map(slice),
                momentum.as_mut().map(slice_mut),
                fresh,
            );
            (weight, momentum)
        });
        let (weights, momenta): (Vec<_>, Vec<_>) = moved.unzip();
        (TensorList(weights), TensorList(momenta.into_iter().flatten().collect()))
    }

    fn squared_sums(tensors: TensorList<Self>) -> FlexTensor {
        let sum = |values: FlexTensor| squared_sum(slice(&Self::contiguous(values)));
        let sums: Vec<f32> = tensors.0.into_par_iter().map(sum).collect();
        let count = sums.len();
        tensor(sums, [count])
    }
}

/// In `f64` and in a fixed order, eight partial sums side by side.
fn squared_sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f64; 8];
    for values in values.chunks(8) {
        sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += f64::from(value) * f64::from(value));
    }
    sums.iter().sum::<f64>() as f32
}

/// The tensor itself if it is contiguous and the only handle to its elements, otherwise a copy.
fn owned(values: FlexTensor) -> FlexTensor {
    if values.is_unique() && values.is_contiguous() {
        return values;
    }
    let values = slice(&Flex::contiguous(values)).to_vec();
    let length = values.len();
    tensor(values, [length])
}

/// The elements of an [`owned`] tensor.
fn slice_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = tensor.layout().contiguous_offsets().expect("made contiguous");
    &mut tensor.storage_mut()[start..end]
}

#[cfg(test)]
mod tests;
