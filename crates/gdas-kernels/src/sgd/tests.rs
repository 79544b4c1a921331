use burn::tensor::{Device, TensorData};

use super::*;

/// Lengths around those that the kernels work in.
const LENGTHS: [usize; 8] = [1, 7, 16, 100, 129, 1000, 32_768, 100_003];

fn values(length: usize, seed: u64) -> Tensor<1> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut value = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..length).map(|_| value()).collect();
    Tensor::from_data(TensorData::new(values, [length]), &Device::flex())
}

fn bits(tensor: &Tensor<1>) -> Vec<u32> {
    tensor.to_data().iter::<f32>().map(f32::to_bits).collect()
}

fn in_pool<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool").install(f)
}

/// Every kind of array under every kind of rule.
fn cases() -> Vec<(Rule, Vec<Parameter>)> {
    let mut cases = vec![];
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        for scale in [1.0, 0.37] {
            let rule = Rule { rate: 0.025, scale, momentum, nesterov, weight_decay: 3e-4 };
            let mut arrays = vec![];
            for (i, &length) in LENGTHS.iter().enumerate() {
                for kind in 0..4u64 {
                    let seed = 100 * i as u64 + 10 * kind;
                    arrays.push(Parameter {
                        weight: values(length, seed + 1),
                        gradient: (kind % 2 == 0).then(|| values(length, seed + 2)),
                        momentum: (kind / 2 == 0).then(|| values(length, seed + 3)),
                    });
                }
            }
            cases.push((rule, arrays));
        }
    }
    cases
}

#[test]
fn the_engine_gives_the_bits_of_the_operations_with_any_number_of_threads() {
    for (rule, arrays) in cases() {
        let expected: Vec<_> = arrays.clone().into_iter().map(|array| step_by_operations(&rule, array)).collect();
        for threads in [1, 3] {
            let found = in_pool(threads, || step(&rule, arrays.clone()));
            assert_eq!(found.len(), expected.len());
            for ((weight, momentum), (weight_, momentum_)) in found.iter().zip(&expected) {
                assert_eq!(bits(weight), bits(weight_), "{rule:?}");
                assert_eq!(momentum.as_ref().map(bits), momentum_.as_ref().map(bits), "{rule:?}");
            }
        }
    }
}

#[test]
fn what_others_refer_to_stays_as_it_was() {
    for (rule, arrays) in cases() {
        let before: Vec<_> = arrays.iter().map(|a| (bits(&a.weight), a.momentum.as_ref().map(bits))).collect();
        step(&rule, arrays.clone());
        let after: Vec<_> = arrays.iter().map(|a| (bits(&a.weight), a.momentum.as_ref().map(bits))).collect();
        assert!(before == after);
    }
}

#[test]
fn no_arrays_are_no_work() {
    let rule = Rule { rate: 0.1, scale: 1.0, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    assert!(step(&rule, vec![]).is_empty());
}

fn flex(values: Vec<f32>) -> FlexTensor {
    let length = values.len();
    tensor(values, [length])
}

#[test]
fn what_nobody_else_refers_to_is_moved_in_place() {
    let rule = Rule { rate: 0.1, scale: 1.0, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    let [weight, gradient, momentum] = [1.0, 2.0, 3.0].map(|value| flex(vec![value; 50]));
    let places = [slice(&weight).as_ptr(), slice(&momentum).as_ptr()];
    let list = |tensor| TensorList::<Flex>(vec![tensor]);
    let call = Call { rule, parts: vec![Parts { gradient: true, momentum: true }] };
    let (weights, momenta) = Flex::sgd_step(list(weight), list(gradient), list(momentum), call);
    assert_eq!(places, [slice(&weights.0[0]).as_ptr(), slice(&momenta.0[0]).as_ptr()]);
    assert!((slice(&momenta.0[0])[7] - 4.71).abs() < 1e-6);
}

/// Three steps of `torch.optim.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)` on `w = [1, -2]`
/// with gradients `[0.5, 1]`, `[-1, 0.25]` and `[2, -0.5]`; the numbers are PyTorch's.
#[test]
fn a_step_is_pytorchs() {
    let rule = Rule { rate: 0.1, scale: 1.0, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    let tensor = |values| Tensor::<1>::from_floats(values, &Device::flex());
    let (mut weight, mut momentum) = (tensor([1.0, -2.0]), None);
    for gradient in [[0.5f32, 1.0], [-1.0, 0.25], [2.0, -0.5]] {
        let array = Parameter { weight, gradient: Some(tensor(gradient)), momentum };
        (weight, momentum) = step(&rule, vec![array]).remove(0);
    }
    let weight: Vec<f32> = weight.into_data().iter::<f32>().collect();
    assert!((weight[0] - 0.7112).abs() < 1e-4 && (weight[1] + 2.2995).abs() < 1e-4, "{weight:?}");
}

#[test]
fn squared_sums_are_exact_to_the_last_bits_with_any_number_of_threads() {
    let mut tensors: Vec<_> = LENGTHS.iter().map(|&length| values(length, length as u64)).collect();
    tensors.push(values(5_000_000, 5));
    let [one, three] = [1, 3].map(|threads| in_pool(threads, || squared_sums(tensors.clone())));
    assert_eq!(one, three);
    for (tensor, sum) in tensors.iter().zip(one) {
        let exact: f64 = tensor.to_data().iter::<f32>().map(|v| f64::from(v) * f64::from(v)).sum();
        assert!((sum / exact - 1.0).abs() < 1e-7, "{sum} {exact}");
    }
    assert!(squared_sums(vec![]).is_empty());
}

#[test]
fn squared_sums_hide_no_nan_and_no_infinity() {
    for value in [f32::NAN, f32::INFINITY] {
        for length in [1, 129, 1000] {
            let mut values = vec![1.0; length];
            values[length - 1] = value;
            let tensor = Tensor::from_data(TensorData::new(values, [length]), &Device::flex());
            assert!(!squared_sums(vec![tensor])[0].is_finite());
        }
    }
}
