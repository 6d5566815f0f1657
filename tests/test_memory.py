"""Memory beside input and output: at most 64 MB, at any size, whatever the method, layout or dtype."""

import pytest

from machine import peak_of

SETUP = """
import numpy as np, corr2d
from functools import partial

rng = np.random.default_rng(1)
def gauss(n):
    row = np.exp(-0.5 * ((np.arange(n) - n // 2) / (n / 6)) ** 2)
    return np.outer(row, row)
dense = lambda *shape: rng.standard_normal(shape)

image, kernel, options = {problem}
in_place = options.pop("in_place", False)
options = dict(dict(padding="same", boundary="reflect"), **options)
small = image[tuple(slice(0, max(n // 20, min(n, 5))) for n in image.shape)]
first = corr2d.corr2d(small, kernel, **options)  # everything loaded, every pool started
channel = options.get("channel_axis")
out = np.ones(image.shape if kernel.ndim == 2 else (len(kernel), *image.shape[-2:]), first.dtype)
if in_place:
    out = image
image[...] = 1  # every page of both is there
"""

LARGE = "np.empty((6000, 5000), 'float32')"
PROBLEMS = {
    "auto-3x3": f"{LARGE}, dense(3, 3), {{}}",
    "auto-5x5-uint8": "np.empty((9000, 9000), 'uint8'), dense(5, 5), {'dtype': 'uint8'}",
    "direct-7x7": f"{LARGE}, dense(7, 7), {{'method': 'direct'}}",
    "direct-wrap": f"{LARGE}, dense(3, 3), {{'method': 'direct', 'boundary': 'wrap'}}",
    "separable-13": f"{LARGE}, gauss(13), {{'method': 'separable'}}",
    "box-31": f"{LARGE}, np.full((31, 31), 0.1), {{'method': 'box'}}",
    "box-tall": "np.empty((5000, 600), 'uint8'), np.full((3000, 50), 0.1), {'method': 'box'}",
    "fft-63x63": f"{LARGE}, dense(63, 63), {{'method': 'fft'}}",
    "fft-float64": "np.empty((5000, 4000)), dense(31, 31), {'method': 'fft'}",
    "auto-float16": "np.empty((9000, 6000), 'float16'), dense(3, 3), {}",
    "auto-int64": "np.empty((4000, 5000), 'int64'), dense(3, 3), {}",
    "auto-complex": "np.empty((4000, 4000), 'complex64'), dense(3, 3), {}",
    "big-endian": "np.empty((6000, 5000), '>f4'), dense(3, 3), {}",
    "f-order": "np.empty((5000, 6000), 'float32').T, dense(3, 3), {}",
    "rgb": "np.empty((4000, 3000, 3), 'float32'), dense(3, 3), {'channel_axis': -1}",
    "rgb-fft": "np.empty((4000, 3000, 3), 'float32'), dense(41, 41), {'channel_axis': -1, 'method': 'fft'}",
    "mixing": "np.empty((3, 4000, 3000), 'float32'), dense(3, 3, 3, 3), {}",
    "in-place": f"{LARGE}, dense(5, 5), {{'in_place': True}}",
    "in-place-fft": f"{LARGE}, dense(41, 41), {{'in_place': True, 'method': 'fft'}}",
    "in-place-separable": f"{LARGE}, gauss(13), {{'in_place': True, 'method': 'separable'}}",
    "in-place-rgb": "np.empty((4000, 3000, 3), 'float32'), gauss(9), {'in_place': True, 'channel_axis': -1}",
    "one-wide-row": "np.empty((3, 10_000_000), 'float32'), dense(3, 3), {}",
    "one-tall-column": "np.empty((10_000_000, 3), 'float32'), dense(3, 3), {}",
    "separable-wide-row": "np.empty((3, 10_000_000), 'float32'), gauss(9), {'method': 'separable'}",
    "large-kernel": "np.empty((3000, 4000), 'float32'), dense(1001, 1001), {'method': 'fft'}",
    "many-small": "np.empty((30000, 32, 32), 'float32'), dense(5, 5), {}",
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_memory_beside_input_and_output(problem):
    """100 MB images, given an out: the process grows by less than 64 MB during the call."""
    grown = peak_of(SETUP.format(problem=PROBLEMS[problem]), "corr2d.corr2d(image, kernel, out=out, **options)")
    assert grown < 64


def test_the_measurement_can_fail():
    """One copy of such an image would be noticed."""
    assert peak_of(SETUP.format(problem=PROBLEMS["auto-3x3"]), "image.copy()") > 100
