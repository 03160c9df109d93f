"""Initial weights: the signal neither fades nor grows, however many layers there are.

A feature y = Σ w·x of n weights of mean 0 and variance s² has, over all draws of the weights, the
second moment E[y²] = s²·n·q, where q is the mean of the x²: however the x depend on each other (He
et al., "Delving Deep into Rectifiers", 2015, section 2.2). So s² = 1/(n·q) gives every feature
E[y²] = 1. Two things make that differ from layer to layer:

- n counts the weights that the mask leaves, of each output by itself: in a 1×1 convolution of type
  B a feature of R has a third of the inputs that one of B has;
- q is the second moment of what is behind the layer before, of pre-activations a, b ~ N(0, v):

      tanh(a)·σ(b)                     E[tanh²]·E[σ²] = 0.394·0.293 = 0.116 (v = 1), 0.065 (v = 0.4)
      max(a, 0)                                                  v/2
      o ⊙ tanh(c), c = f⊙c + i⊙g      E[σ²]·E[tanh²(c)]       = 0.037 (v = 1), an LSTM's, far
                                      from its first state: E[c²] = E[σ²]·E[tanh²] / (1 − E[σ²])

Gradients of a stack of gates without residuals grow while the signal stays the same: per layer

      χ = v·(E[tanh'²]·E[σ²] + E[tanh²]·E[σ'²]) / (E[tanh²]·E[σ²]) = 1.33 (v = 1), 1.14 (v = 0.4)

(χ of Schoenholz et al., "Deep Information Propagation", 2017), over 40 layers √χ^40 = 300 and 14
times. So the vertical stack has v = 0.4, and so has each of the two terms of a horizontal
pre-activation, link and row. Skips of L layers have 1/L each. Of a residual stack the first layer
gives 1 and each of the L others about 1/L, so that E[x²] goes from 1 to 2 (to e, where what a layer
adds grows with its input), and gradients hardly grow.

Where an image ends, a kernel sees zeros, and the signal is less. Gates, which saturate less then,
bring it back; ReLU units do not, and the vertical stack of a deep model of these fades.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

IMAGE = 0.5  # values −1…1: 1/3 if they are uniform, 1 if they are black and white
PART = 0.4  # a term of a pre-activation: what comes from above, and what comes from the row
CONDITION = 0.5  # what a vector or a map of unit numbers adds; a label less
# Of the Gauss–Hermite quadrature; finding them takes longer than making a layer.
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(100)


def moment(function: Callable, variance: float = 1.0, power: int = 2) -> float:
    """E[f(a)^power] of a ~ N(0, variance), by Gauss–Hermite quadrature."""
    values = function(np.sqrt(variance) * _POINTS) ** power
    return float(_WEIGHTS @ values / _WEIGHTS.sum())


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


def gated(variance: float = 1.0) -> float:
    """E[y²] of y = tanh(a)·σ(b)."""
    return moment(np.tanh, variance) * moment(_sigmoid, variance)


def relu(variance: float = 1.0) -> float:
    """E[y²] of y = max(a, 0)."""
    return variance / 2


def lstm() -> float:
    """E[h²] of an LSTM."""
    cell = gated() / (1 - moment(_sigmoid))
    return moment(_sigmoid) * moment(np.tanh, cell)


class FanIn(keras.initializers.Initializer):
    """Normal, of the variance scale / n, n the number of weights of an output that a mask leaves.

    Without a mask that is `keras.initializers.VarianceScaling(scale, "fan_in")`.
    """

    def __init__(self, scale: float = 1.0, mask: np.ndarray | None = None) -> None:
        """Makes the initialiser.

        Args:
          scale: E[y²] of an output over the mean E[x²] of the inputs.
          mask: 0 and 1, of the kernel's shape [..., inputs, outputs], or None.
        """
        self.scale, self.mask = scale, mask

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A kernel of this shape; masked weights are drawn, too."""
        dtype = dtype or keras.config.floatx()
        left = math.prod(shape[:-1]) if self.mask is None else self._left()
        deviation = keras.ops.convert_to_tensor(np.sqrt(self.scale / left), dtype)
        return keras.initializers.RandomNormal(stddev=1.0)(shape, dtype) * deviation

    def _left(self):
        """Weights that the mask leaves of each output, at least 1."""
        return np.maximum(self.mask.reshape(-1, self.mask.shape[-1]).sum(axis=0), 1)

    def get_config(self) -> dict:
        """See `keras.initializers.Initializer.get_config`."""
        return {"scale": self.scale, "mask": self.mask}
