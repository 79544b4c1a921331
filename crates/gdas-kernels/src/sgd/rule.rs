//! The update rule of stochastic gradient descent.

/// Hyperparameters of one update. With `d = scale * gradient + weight_decay * w` it is `v = momentum * v + d` and `w -= rate * v`,
/// or with Nesterov's momentum `w -= rate * (d + momentum * v)`. As PyTorch's `SGD`: the first momentum is `d` itself, and
/// without momentum `w -= rate * d`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Learning rate.
    pub rate: f64,
    /// Factor of the gradients that clips their norm; applied if it is less than one.
    pub scale: f64,
    /// Decay rate of the momentum; 0 keeps none.
    pub momentum: f64,
    /// Whether to use Nesterov's momentum.
    pub nesterov: bool,
    /// Added to the gradient, times the weight.
    pub weight_decay: f64,
}
