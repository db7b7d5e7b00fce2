"""Quantization: converts a trained network to the integers of a program.

Every scale is chosen per channel. Each hidden activation may have a different scale, because the
next layer's weights absorb it. Each row of weights has the scale that its largest weight needs. The
requantizer converts between the two with a multiplier and a shift. If the multiplier cannot express
the ratio exactly, the scale that is cheaper to widen absorbs the difference.

    z = sum_k W_k x_k + b            a neuron of the trained network, x_k = scale_k (a_k + d_k)
      = s sum_k w_k (a_k + d_k) + b  with integers w_k = W_k scale_k / s; d_k is the midpoint of a
                                     feature, 1/2 - 2**(N-1), and 0 for a hidden activation
    y = z / u                        the result in units of its scale u
      = (sum_k w_k a_k) M / 2**S + (s sum_k w_k d_k + b) / u,   M / 2**S = s / u
"""

from .assembly import assemble
from .float_network import FloatNetwork
from .layers import quantize
from .scales import Scales
from .stages import STAGES, staged_outputs

__all__ = ["STAGES", "FloatNetwork", "Scales", "assemble", "quantize", "staged_outputs"]
