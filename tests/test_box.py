"""Kernels of one weight: every width, every place of a row among the cache lines, and few roundings."""

import numpy as np
import pytest

import corr2d
from cases import pixels
from corr2d import _native, _plan
from corr2d.engines.native import Box

WIDTHS = [*range(1, 140), 255, 256, 257, 319, 511, 512, 600]


@pytest.fixture(params=_native.available_isas())
def isa(request):
    """Each build of the sums."""
    before = _native.isa()
    _native.use_isa(request.param)
    _native.forget()
    _plan._kept.clear()
    yield request.param
    _native.use_isa(before)
    _native.forget()
    _plan._kept.clear()


def windows(image, kh, kw, dilation=(1, 1)):
    """Sums of whole numbers, exactly: differences of running sums."""
    for axis, taps, step in ((0, kh, dilation[0]), (1, kw, dilation[1])):
        n, reach = image.shape[axis], taps * step
        run = np.zeros([reach + size if a == axis else size for a, size in enumerate(image.shape)], np.int64)
        run = np.moveaxis(run, axis, 0)
        for i, row in enumerate(np.moveaxis(image, axis, 0)):
            run[reach + i] = run[reach + i - step] + row
        image = np.moveaxis((run[reach:] - run[:n])[reach - step :], 0, axis)
    return image


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_every_width_is_exact_on_whole_numbers(isa, dtype, dilation):
    """Widths of one to three and of many levels of runs, down and along, against sums of integers."""
    whole = np.random.default_rng(1).integers(-9, 10, (1900, 90))
    for taps in WIDTHS:
        rows = (taps + 8) * dilation[0]
        for image, shape in ((whole[:rows], (taps, 2)), (whole.T[:20, : (taps + 30) * dilation[1]], (3, taps))):
            ours = corr2d.corr2d(image.astype(dtype), np.ones(shape), dilation=dilation, method="box")
            assert np.array_equal(ours, windows(image, *shape, dilation)), (taps, shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_place_of_rows(dtype):
    """Rows and results that begin anywhere in a cache line: the strips of columns follow, the bits stay."""
    image, kernel = pixels(60, 1100, dtype=dtype), np.full((19, 31), 0.1)
    first = corr2d.corr2d(image, kernel, method="box")
    for at in range(0, 17, 3):
        room = np.zeros(image.size + 64, dtype)[at : at + image.size].reshape(image.shape)
        room[...] = image
        out = np.zeros(first.size + 64, dtype)[16 - at : 16 - at + first.size].reshape(first.shape)
        assert np.array_equal(corr2d.corr2d(room, kernel, method="box", out=out), first)


@pytest.mark.parametrize("shape", [(31, 31), (63, 127), (511, 300), (1, 1023)])
def test_roundings_are_those_that_are_counted(shape):
    """No output is off by more than the additions on its way, each relative to the sum of magnitudes."""
    image = pixels(shape[0] + 40, shape[1] + 90)
    roundings = sum(map(Box.depth, shape)) + 2
    ours = corr2d.corr2d(image, np.full(shape, 0.1), method="box")
    exact = corr2d.corr2d(image.astype(float), np.full(shape, 0.1), method="box")
    magnitudes = corr2d.corr2d(np.abs(image).astype(float), np.full(shape, 0.1), method="box")
    assert (np.abs(ours - exact) <= roundings * 2.0**-24 * magnitudes).all()


@pytest.mark.parametrize(("taps", "depth"), [(1, 0), (2, 1), (3, 2), (7, 3), (8, 3), (31, 5), (33, 6), (4095, 12)])
def test_depth_of_a_sum(taps, depth):
    """The longest way from a sample to the sum of so many."""
    assert Box.depth(taps) == depth
