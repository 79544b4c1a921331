//! Running statistics of many normalisations; see [`crate::running`]. One launch updates as many as the device can bind.

use burn::backend::{Cube, TensorMetadata};
use burn::tensor::Tensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::kernels;
use super::place::{Place, bytes, filled, owned, record};
use crate::running::RunningUpdate;

/// See [`crate::running::update`].
pub(crate) fn update_running(momentum: f64, all: Vec<RunningUpdate>) -> Vec<Tensor<2>> {
    let own =
        |tensor: Tensor<2>| tensor.inner().try_into_primitive::<Cube>().expect("all statistics are on one device");
    let unbiased: Vec<f32> = all.iter().map(|update| update.unbiased() as f32).collect();
    let (running, batch): (Vec<_>, Vec<_>) =
        all.into_iter().map(|update| (owned(own(update.running)), into_contiguous(own(update.batch)))).unzip();
    let length = |tensor: &CubeTensor| tensor.shape().num_elements();
    let place = Place::of(&running[0]);
    let most = place.per_launch(2);
    for ((running, batch), unbiased) in running.chunks(most).zip(batch.chunks(most)).zip(unbiased.chunks(most)) {
        record(3 * running.iter().map(bytes).sum::<usize>());
        let (count, dim) = place.grid(running.iter().map(length).max().unwrap_or(1));
        kernels::update_running::launch(
            &place.client,
            count,
            dim,
            place.arguments(&running.iter().collect::<Vec<_>>()),
            place.arguments(&batch.iter().collect::<Vec<_>>()),
            filled(running.iter().map(length)),
            filled(unbiased.iter().copied()),
            (1.0 - momentum) as f32,
            momentum as f32,
        );
    }
    running.into_iter().map(Tensor::from_primitive::<Cube>).collect()
}
