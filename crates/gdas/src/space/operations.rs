//! The built-in operations: those of the published spaces, some with a variable kernel size.

use std::sync::{Arc, LazyLock};

use super::{Body, Layer, Operation};

/// `none`: the edge contributes zeros.
pub fn none() -> Operation {
    Operation::with_body("none".to_owned(), Body::Zero)
}

/// `skip_connect`: the identity at stride 1, a factorized reduction at stride 2.
pub fn skip_connect() -> Operation {
    Operation::with_body("skip_connect".to_owned(), Body::Skip).label("skip")
}

/// `nor_conv_KxK`: ReLU, dense convolution, normalisation (NAS-Bench-201).
pub fn conv(kernel: usize) -> Operation {
    let size = size(kernel);
    Operation::new(format!("nor_conv_{size}"), [Layer::Relu, Layer::Conv { kernel }, Layer::Norm])
        .label(format!("conv {size}"))
}

/// `avg_pool_KxK`: average pool.
pub fn avg_pool(kernel: usize) -> Operation {
    let size = size(kernel);
    Operation::new(format!("avg_pool_{size}"), [Layer::AvgPool { kernel }]).label(format!("avg {size}"))
}

/// `max_pool_KxK`: max pool.
pub fn max_pool(kernel: usize) -> Operation {
    let size = size(kernel);
    Operation::new(format!("max_pool_{size}"), [Layer::MaxPool { kernel }]).label(format!("max {size}"))
}

/// `dua_sepc_KxK`: twice ReLU, depthwise and pointwise convolution, normalisation. The name is that of GDAS's supernet; in
/// networks trained from scratch it is `sep_conv`, with the same layers. Bias and affine normalisation depend on the network.
pub fn separable_conv(kernel: usize) -> Operation {
    let size = size(kernel);
    let half = [Layer::Relu, Layer::Depthwise { kernel, dilation: 1 }, Layer::Pointwise, Layer::Norm];
    Operation::new(format!("dua_sepc_{size}"), half.into_iter().chain(half))
        .alias(format!("sep_conv_{size}"))
        .label(format!("sep {size}"))
}

/// `dil_sepc_KxK` (or `dil_conv`): ReLU, depthwise convolution of dilation 2, pointwise convolution, normalisation.
pub fn dilated_conv(kernel: usize) -> Operation {
    let size = size(kernel);
    let layers = [Layer::Relu, Layer::Depthwise { kernel, dilation: 2 }, Layer::Pointwise, Layer::Norm];
    Operation::new(format!("dil_sepc_{size}"), layers).alias(format!("dil_conv_{size}")).label(format!("dil {size}"))
}

fn size(kernel: usize) -> String {
    format!("{kernel}x{kernel}")
}

/// The operations that TOML files and genotypes can use without a definition.
pub fn all() -> &'static [Arc<Operation>] {
    static ALL: LazyLock<Vec<Arc<Operation>>> = LazyLock::new(|| {
        let all = [
            none(),
            skip_connect(),
            conv(1),
            conv(3),
            avg_pool(3),
            max_pool(3),
            separable_conv(3),
            separable_conv(5),
            dilated_conv(3),
            dilated_conv(5),
        ];
        all.into_iter().map(Arc::new).collect()
    });
    &ALL
}

/// The built-in operation of this name or alias.
pub fn find(name: &str) -> Option<Arc<Operation>> {
    all().iter().find(|operation| operation.is_called(name)).cloned()
}
