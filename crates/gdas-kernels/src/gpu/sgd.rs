//! Stochastic gradient descent on many arrays; see [`crate::sgd`]. A launch takes as many arrays as the device can bind.

use burn::backend::{Cube, TensorMetadata};
use burn::tensor::Tensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::kernels::{self, CUBE};
use super::place::{Place, SINGLE, owned, record};
use super::plan::WORTH_A_THREAD;
use crate::sgd::{Clipped, Parameter, Rule};

/// Threads per launch; each takes several elements of every array.
const THREADS: usize = 1 << 15;
/// Most cubes per launch of the sum of squares; each makes a part of it.
const CUBES: usize = 256;

/// A parameter and its optimizer state on the device.
struct DeviceParameter {
    weight: CubeTensor,
    gradient: Option<CubeTensor>,
    momentum: Option<CubeTensor>,
}

/// See [`crate::sgd::clipped_step`].
pub(crate) fn clipped_step(rule: &Rule, max_norm: f64, arrays: Vec<Parameter>) -> Clipped {
    let (place, arrays) = on_device(rule, arrays);
    let gradients: Vec<_> = arrays.iter().filter_map(|array| array.gradient.as_ref()).collect();
    let norm = norm(&place, &gradients);
    descend(&place, rule, max_norm, &norm, &arrays);
    Clipped { updated: into_tensors(arrays), norm: Tensor::from_primitive::<Cube>(norm) }
}

/// See [`crate::sgd::step`].
pub(crate) fn step(rule: &Rule, arrays: Vec<Parameter>) -> Vec<(Tensor<1>, Option<Tensor<1>>)> {
    let (place, arrays) = on_device(rule, arrays);
    // Without a limit, any finite norm will do.
    descend(&place, rule, 0.0, &place.zeros([1]), &arrays);
    into_tensors(arrays)
}

/// The parameters as tensors of the device, weight and momentum each the only handle to its elements.
fn on_device(rule: &Rule, arrays: Vec<Parameter>) -> (Place, Vec<DeviceParameter>) {
    let own =
        |tensor: Tensor<1>| tensor.try_into_primitive::<Cube>().expect("all of an array's tensors are on one device");
    let keeps = rule.momentum != 0.0;
    let mut place = None;
    let arrays = arrays.into_iter().map(|Parameter { weight, gradient, momentum }| {
        let weight = owned(own(weight));
        let place = place.get_or_insert_with(|| Place::of(&weight));
        let momentum = keeps.then(|| {
            momentum.map_or_else(|| place.zeros([weight.shape().num_elements()]), |momentum| owned(own(momentum)))
        });
        DeviceParameter { weight, gradient: gradient.map(|gradient| into_contiguous(own(gradient))), momentum }
    });
    let arrays = arrays.collect();
    (place.expect("there are arrays"), arrays)
}

fn into_tensors(arrays: Vec<DeviceParameter>) -> Vec<(Tensor<1>, Option<Tensor<1>>)> {
    let tensor = Tensor::from_primitive::<Cube>;
    arrays.into_iter().map(|array| (tensor(array.weight), array.momentum.map(tensor))).collect()
}

fn elements(arrays: &[&CubeTensor]) -> usize {
    arrays.iter().map(|array| array.shape().num_elements()).sum()
}

/// The global norm of all gradients, `[1]`.
pub(super) fn norm(place: &Place, gradients: &[&CubeTensor]) -> CubeTensor {
    let chunks: Vec<_> = gradients.chunks(place.per_launch(1)).collect();
    if chunks.is_empty() {
        return place.zeros([1]);
    }
    let norm = place.empty([1]);
    let cubes: Vec<_> =
        chunks.iter().map(|chunk| (elements(chunk) / (CUBE * WORTH_A_THREAD)).clamp(1, CUBES)).collect();
    let parts = cubes.iter().sum();
    let partial = place.empty([parts]);
    let mut first = 0;
    for (chunk, cubes) in chunks.iter().zip(cubes) {
        record(SINGLE * (elements(chunk) + cubes));
        let (count, dim) = place.cubes(cubes);
        let (list, partial) = (place.arguments(chunk), partial.clone().into_tensor_arg());
        kernels::squares::launch(&place.client, count, dim, list, partial, chunk.len(), first, cubes);
        first += cubes;
    }
    record(SINGLE * (parts + 1));
    let (one, dim) = place.cubes(1);
    kernels::norm_finish::launch(&place.client, one, dim, partial.into_tensor_arg(), norm.clone().into_tensor_arg());
    norm
}

/// Updates every array once, its gradient clipped to `max_norm` (0: no clipping) given the global `norm`. Where that is not
/// finite, nothing is updated.
fn descend(place: &Place, rule: &Rule, max_norm: f64, norm: &CubeTensor, arrays: &[DeviceParameter]) {
    let keeps = rule.momentum != 0.0;
    for has_gradient in [true, false] {
        let group: Vec<&DeviceParameter> =
            arrays.iter().filter(|array| array.gradient.is_some() == has_gradient).collect();
        for chunk in group.chunks(place.per_launch(1 + usize::from(has_gradient) + usize::from(keeps))) {
            let weights: Vec<_> = chunk.iter().map(|array| &array.weight).collect();
            let gradients: Vec<_> = chunk.iter().filter_map(|array| array.gradient.as_ref()).collect();
            let momenta: Vec<_> = chunk.iter().filter_map(|array| array.momentum.as_ref()).collect();
            record(SINGLE * (elements(&weights) + elements(&gradients) + elements(&momenta) + 1));
            let longest = weights.iter().map(|weight| weight.shape().num_elements()).max().unwrap_or(1);
            let threads = longest.clamp(1, THREADS);
            let (count, dim) = place.grid(threads);
            kernels::descend::launch(
                &place.client,
                count,
                dim,
                place.arguments(&weights),
                place.arguments(&gradients),
                place.arguments(&momenta),
                norm.clone().into_tensor_arg(),
                chunk.len(),
                max_norm as f32,
                rule.scale.min(1.0) as f32,
                rule.rate as f32,
                rule.momentum as f32,
                rule.weight_decay as f32,
                threads,
                has_gradient,
                keeps,
                rule.nesterov,
            );
        }
    }
}
