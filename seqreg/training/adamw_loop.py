"""The loop of the optimizer, compiled by Numba."""

import numpy as np

from seqreg.networks.window_loops import Floats, loop


@loop
def step_adamw(weights: Floats, gradient: Floats, mean: Floats, square: Floats, scalars: Floats) -> None:
    """A step of AdamW in place. scalars: what is left of weights by their decay, the share of the gradient in `mean`,
    that of the past in `square`, the size of the step, the root of the bias of `square`, and epsilon.
    """
    left, first, second, size, root, epsilon = scalars
    rest = weights.dtype.type(1) - second
    for i in range(len(weights)):
        g = gradient[i]
        mean[i] += first * (g - mean[i])
        square[i] = second * square[i] + rest * g * g
        weights[i] = left * weights[i] - size * mean[i] / (np.sqrt(square[i]) / root + epsilon)
