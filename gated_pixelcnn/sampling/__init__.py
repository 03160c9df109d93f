"""Drawing images value by value, or all pixels at once where they are independent."""

from gated_pixelcnn.sampling.independent import draw_value, sample_independently
from gated_pixelcnn.sampling.loop import CachedDecoder, sample, sample_naively
from gated_pixelcnn.sampling.options import UNCHANGED, SamplingOptions
from gated_pixelcnn.sampling.parts import compiled_num
from gated_pixelcnn.sampling.random import gaussian_noise, noise, uniform_noise

__all__ = [
    "UNCHANGED",
    "CachedDecoder",
    "SamplingOptions",
    "compiled_num",
    "draw_value",
    "gaussian_noise",
    "noise",
    "sample",
    "sample_independently",
    "sample_naively",
    "uniform_noise",
]
