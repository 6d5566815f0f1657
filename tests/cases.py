"""THE case table: every problem that tests and benchmarks agree to care about.

``CASES`` are small enough for the exact oracle; ``SPEED`` are the sizes of the
design's table, only built when a benchmark asks. A case is a name, a function
that builds its image, a kernel, and the options of the call. The part of the
name before the first dash is its group.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from zlib import crc32

import numpy as np

import oracle

BOUNDARIES = oracle.BOUNDARIES
REALS = "bool int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split()
DTYPES = (*REALS, "complex64", "complex128")


@dataclass(frozen=True, eq=False)
class Case:
    """One problem: ``corr2d(case.image(), case.kernel, **case.options)``."""

    name: str
    build: Callable[[], np.ndarray]
    kernel: np.ndarray
    options: Mapping = field(default_factory=dict)
    convolve: bool = False

    def image(self):
        """A fresh image, the same pixels each time."""
        return self.build()

    @property
    def group(self):
        """What the case is about."""
        return self.name.partition("-")[0]

    @property
    def work(self):
        """Multiplications of the definition."""
        image, options = self.image(), dict(self.options)
        channel = options.get("channel_axis")
        keep = ("padding", "anchor", "stride", "dilation")
        if channel is not None:
            image = np.moveaxis(image, channel, -3)
        axes = oracle.geometry(image.shape, self.kernel.shape, **{k: options[k] for k in keep if k in options})
        planes = int(np.prod(image.shape[:-2], dtype=int))
        if self.kernel.ndim == 4:
            planes //= image.shape[-3]
        return planes * axes[0][-1] * axes[1][-1] * self.kernel.size

    def __repr__(self):
        return self.name


# -------------------------------------------------------------------------------------------------
# images and kernels


def seeded(*name):
    """A generator that depends on the name alone."""
    return np.random.default_rng(crc32(repr(name).encode()))


def pixels(*shape, dtype="float32", limit=None):
    """Random pixels: floats around 0, integers over their whole range or up to ``limit``."""
    rng, dtype = seeded("pixels", shape, dtype, limit), np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if limit is None else (max(info.min, -limit), min(info.max, limit))
        return rng.integers(low, high, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def full(*shape, value, dtype="float32"):
    """One value everywhere: the worst case of a long sum, every rounding in the same direction."""
    return np.full(shape, value, dtype)


def dense(*shape, dtype="float64"):
    """A random kernel of no structure."""
    rng = seeded("dense", shape)
    kernel = rng.standard_normal(shape)
    return (kernel + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else kernel).astype(dtype)


def whole(*shape, limit=5):
    """A random kernel of small integers."""
    return seeded("whole", shape).integers(-limit, limit, shape, endpoint=True)


def gauss(n, sigma):
    """A Gaussian of n by n taps that add up to one."""
    row = np.exp(-0.5 * ((np.arange(n) - n // 2) / sigma) ** 2)
    return np.outer(row, row) / row.sum() ** 2


def delta(kh, kw, y, x, value=1.0):
    """One tap."""
    kernel = np.zeros((kh, kw))
    kernel[y, x] = value
    return kernel


def nearly_separable(epsilon):
    """Rank one but for one tap: separable only if the accuracy bound says so."""
    kernel = np.outer(dense(1, 5), dense(1, 7))
    kernel[1, 2] *= 1 + epsilon
    return kernel


def low_rank(kh, kw, rank):
    """So many products of a column and a row, added up."""
    return dense(kh, rank) @ dense(rank, kw)


def mirrored(kh, kw, sign=1):
    """A random kernel that is its own mirror image left to right, or the negative of it."""
    kernel = dense(kh, kw)
    return kernel + sign * kernel[:, ::-1]


def mexican(n, sigma):
    """A Laplacian of Gaussian: of rank 2, its sums cancel."""
    y, x = np.indices((n, n)) - n // 2
    return ((y * y + x * x) / sigma**2 - 2) * np.exp(-0.5 * (y * y + x * x) / sigma**2)


SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
GCD = np.array([[6, 10, 14], [9, 15, 21]])  # (2, 3) x (3, 5, 7): its pivot's factors are no integers


def misaligned(image, offset=1):
    """The same pixels at an address that no load instruction likes."""
    buffer = bytearray(image.nbytes + offset)
    copy = np.ndarray(image.shape, image.dtype, buffer, offset)
    copy[...] = image
    return copy


def read_only(image):
    """The same array, closed for writing."""
    image.flags.writeable = False
    return image


def layout(how, *args, **options):
    """``how`` applied to random pixels."""
    return how(pixels(*args, **options))


# -------------------------------------------------------------------------------------------------
# the table, group by group


def _tiny():
    for (h, w), k in [((1, 1), (1, 1)), ((1, 17), (1, 3)), ((17, 1), (3, 1)), ((2, 2), (2, 2)), ((5, 7), (5, 7))]:
        yield f"{h}x{w}-valid-{k[0]}x{k[1]}", pixels(h, w), dense(*k), {}
    for h, w in [(1, 1), (1, 9), (9, 1), (2, 3)]:
        for boundary in BOUNDARIES:
            yield f"{h}x{w}-same-3x3-{boundary}", pixels(h, w), dense(3, 3), dict(padding="same", boundary=boundary)


def _larger():
    for boundary in BOUNDARIES:
        for name, padding in dict(ten=10, same="same", full="full").items():
            options = dict(padding=padding, boundary=boundary)
            yield f"3x4-{name}-7x9-{boundary}", pixels(3, 4), dense(7, 9), options


def _even():
    for k in [(2, 2), (1, 2), (2, 1), (4, 3), (3, 4), (6, 6)]:
        for padding, boundary in [("valid", "edge"), ("same", "reflect"), ("same", "constant"), ("full", "symmetric")]:
            options = dict(padding=padding, boundary=boundary)
            yield f"{k[0]}x{k[1]}-{padding}-{boundary}", pixels(8, 11), dense(*k), options


def _boundary():
    wide = ((13, 11), (17, 19))
    for boundary in BOUNDARIES:
        for h, w in [(4, 5), (2, 3), (1, 4), (4, 1), (1, 1), (12, 40)]:
            options = dict(padding=wide, boundary=boundary, fill=0.75)
            yield f"{boundary}-{h}x{w}-wide", pixels(h, w), dense(2, 3), options
        for name, kernel in dict(rank2=mexican(7, 1.2), box=np.full((4, 5), 0.3)).items():
            yield f"{boundary}-{name}", pixels(12, 40), kernel, dict(padding=wide, boundary=boundary, fill=0.75)
        options = dict(padding=((40, 0), (0, 55)), boundary=boundary, stride=(2, 3), dilation=(3, 2))
        yield f"{boundary}-wide-stride-dilation", pixels(5, 6), dense(3, 4), options


def _padding():
    for name, padding in dict(
        zero=0, one=1, seven=7, pair=(2, 5), pair0=(0, 3), four=((1, 2), (3, 4)), lopsided=((0, 3), (4, 0))
    ).items():
        for boundary in ("constant", "reflect", "wrap"):
            yield f"{name}-{boundary}", pixels(9, 10), dense(3, 3), dict(padding=padding, boundary=boundary)


def _fill():
    padding = dict(padding=((3, 2), (4, 5)))
    for fill in (-1.5, 1000.0, 1 / 3):
        yield f"float-{fill:.3g}", pixels(9, 12), dense(3, 4), dict(padding, fill=fill)
        yield f"separable-{fill:.3g}", pixels(9, 12), gauss(5, 1.0), dict(padding, fill=fill)
        yield f"box-{fill:.3g}", pixels(9, 12), np.full((5, 4), 0.05), dict(padding, fill=fill)
        yield f"rank2-{fill:.3g}", pixels(9, 12), low_rank(5, 4, 2), dict(padding, fill=fill)
    for dtype in ("uint8", "int64"):
        yield f"{dtype}", pixels(9, 12, dtype=dtype, limit=100), whole(3, 3), dict(padding, fill=7)
    yield "int-fraction", pixels(9, 12, dtype="uint8"), whole(3, 3), dict(padding, fill=0.5)
    yield "ignored-by-edge", pixels(9, 12), dense(3, 3), dict(padding, boundary="edge", fill=1e9)
    yield "complex", pixels(9, 12, dtype="complex64"), dense(3, 3), dict(padding, fill=1 - 2j)


def _anchor():
    for k, anchors in {(3, 4): [(0, 0), (0, 3), (2, 0), (2, 3), (1, 2)], (2, 2): [(0, 1), (1, 0), (1, 1)]}.items():
        for a in anchors:
            same = dict(padding="same", anchor=a)
            name = f"{k[0]}x{k[1]}-{a[0]}{a[1]}"
            yield name, pixels(9, 10), dense(*k), dict(same, boundary="reflect")
            yield f"{name}-stride-dilation", pixels(9, 10), dense(*k), dict(same, stride=(2, 3), dilation=(3, 2))


def _stride():
    for s in [2, (1, 2), (3, 2), (5, 1), 20]:
        for padding in ("valid", "same", "full", ((2, 1), (0, 4))):
            name = f"{s}-{padding}".replace(" ", "")
            yield name, pixels(13, 14), dense(3, 4), dict(stride=s, padding=padding, boundary="symmetric")
    yield "separable", pixels(33, 44), gauss(7, 1.5), dict(stride=(3, 2), padding="same", boundary="edge")
    yield "rank2", pixels(33, 44), mexican(7, 1.3), dict(stride=(3, 2), padding="same", boundary="edge")
    yield "rank2-down", pixels(33, 44), mexican(6, 1.3), dict(stride=(2, 1), padding="full")
    yield "uint8", pixels(33, 44, dtype="uint8"), SOBEL, dict(stride=2, padding="same")
    yield "wide", pixels(40, 300), dense(5, 5), dict(stride=(2, 4), padding="same", boundary="wrap")


def _dilation():
    for d in [2, (3, 1), (1, 4), 7]:
        for k in [(3, 3), (2, 4), (1, 2)]:
            for padding in ("same", "full") if d == 7 else ("valid", "same", "full"):
                name = f"{d}-{k[0]}x{k[1]}-{padding}".replace(" ", "")
                yield name, pixels(14, 15), dense(*k), dict(dilation=d, padding=padding, boundary="reflect")
    yield "separable", pixels(40, 50), gauss(5, 1.0), dict(dilation=(3, 4), padding="same", boundary="wrap")
    yield "rank2", pixels(40, 50), mexican(5, 1.0), dict(dilation=(3, 4), padding="same", boundary="wrap")
    yield "rank3-rgb", pixels(40, 50, 3), low_rank(7, 6, 3), dict(dilation=2, padding="same", channel_axis=-1)
    for d in (2, (3, 1), (1, 4), (7, 30)):
        yield f"box-{d}".replace(" ", ""), pixels(40, 50), np.full((4, 7), 0.1), dict(dilation=d, padding="same", boundary="edge")
    yield "and-stride", pixels(40, 50), dense(4, 4), dict(dilation=3, stride=(2, 3), padding="same")
    yield "box", pixels(40, 50), np.ones((4, 6)), dict(dilation=2, stride=2, padding=3, boundary="edge")


def _batch():
    for shape in [(3, 9, 11), (2, 3, 8, 9), (1, 1, 5, 5), (2, 1, 3, 6, 7)]:
        name = "x".join(map(str, shape))
        yield f"{name}-dense", pixels(*shape), dense(3, 2), dict(padding="same", boundary="reflect")
        yield f"{name}-separable", pixels(*shape), gauss(3, 1.0), dict(padding="full", stride=2)
        yield f"{name}-rank2", pixels(*shape), low_rank(4, 5, 2), dict(padding="full")
        yield f"{name}-box", pixels(*shape), np.full((4, 3), 0.1), dict(padding="same", boundary="wrap")


def _channels():
    for c in (1, 3, 4, 5):
        for axis, shape in {-1: (9, 12, c), 0: (c, 9, 12), 1: (9, c, 12)}.items():
            options = dict(channel_axis=axis, padding="same", boundary="reflect")
            yield f"{c}-axis{axis}", pixels(*shape), dense(3, 4), options
            yield f"{c}-axis{axis}-separable", pixels(*shape, dtype="uint8"), BINOMIAL, options
            yield f"{c}-axis{axis}-box", pixels(*shape, dtype="uint8"), np.full((3, 6), 1 / 18), dict(options, dtype="uint8")
            yield f"{c}-axis{axis}-rank2", pixels(*shape), low_rank(5, 4, 2), options
    options = dict(channel_axis=-1, padding=2, boundary="wrap", stride=(2, 3), dilation=(2, 1))
    yield "stride-dilation", pixels(2, 13, 15, 3), dense(3, 3), options
    yield "batch-axis1", pixels(2, 3, 9, 10), dense(3, 3), dict(channel_axis=1)
    yield "batch-axis0", pixels(3, 2, 9, 10), dense(3, 3), dict(channel_axis=0, padding="same")
    yield "rgb-wide", pixels(64, 70, 3), dense(5, 5), dict(channel_axis=-1, padding="same", boundary="edge")
    yield "rgb-uint8", pixels(31, 67, 3, dtype="uint8"), whole(3, 3), dict(channel_axis=-1, dtype="uint8")


def _mixing():
    for o, i in [(2, 3), (1, 1), (5, 4)]:
        options = dict(padding="same", boundary="reflect")
        kernel = dense(o, i, 3, 2)
        yield f"{o}from{i}", pixels(i, 8, 9), kernel, options
        yield f"{o}from{i}-batch", pixels(2, i, 8, 9), kernel, dict(stride=(2, 1), padding=1)
        for axis, shape in {-1: (8, 9, i), 0: (i, 8, 9), 1: (8, i, 9)}.items():
            yield f"{o}from{i}-axis{axis}", pixels(*shape), kernel, dict(options, channel_axis=axis)
    yield "uint8", pixels(3, 16, 17, dtype="uint8"), whole(2, 3, 3, 3), dict(dilation=2)
    yield "complex", pixels(3, 8, 9, dtype="complex64"), dense(2, 3, 2, 2, dtype="complex128"), {}
    yield "one-by-one", pixels(10, 11, 4), dense(3, 4, 1, 1), dict(channel_axis=-1)


def _dtype():
    same = dict(padding="same", boundary="reflect")
    for dtype in DTYPES:
        limit = 2**40 if dtype in ("int64", "uint64") else None
        yield f"{dtype}-dense", pixels(19, 37, dtype=dtype), dense(3, 3), same
        yield f"{dtype}-whole", pixels(19, 37, dtype=dtype, limit=limit), whole(3, 3), same
        yield f"{dtype}-separable", pixels(19, 37, dtype=dtype, limit=limit), GCD, same
        yield f"{dtype}-box", pixels(19, 37, dtype=dtype, limit=limit), np.full((5, 6), 3), same
        yield f"{dtype}-rank2", pixels(19, 37, dtype=dtype), mexican(7, 1.1), same
    for dtype in ("float32", "uint8", "float64", "int32", "complex64", "complex128"):
        yield f"{dtype}-complex-kernel", pixels(19, 37, dtype=dtype), dense(3, 4, dtype="complex128"), same
    for kernel in ("float32", "float16", "int8", "uint8", "bool", "complex64"):
        taps = np.abs(whole(3, 3)).astype(kernel)
        yield f"kernel-{kernel}", pixels(19, 37, dtype="uint16"), taps, {}
    outer = np.outer(dense(1, 3, dtype="complex128"), dense(1, 5, dtype="complex128"))
    yield "separable-complex", pixels(19, 37), outer, same


def _target():
    half = dense(3, 3) / 2
    for image in ("uint8", "float32", "float64", "int32"):
        for target in REALS[1:]:
            pixels_ = pixels(11, 23, dtype=image, limit=70000)
            yield f"{image}-to-{target}", pixels_, half, dict(dtype=target, padding="same")
    for image in ("uint32", "int64", "uint64"):
        for target in REALS[1:]:
            pixels_ = pixels(11, 23, dtype=image, limit=None if target.startswith("float") else 70000)
            yield f"{image}-whole-to-{target}", pixels_, whole(3, 3), dict(dtype=target, padding="same")
    for target in ("uint8", "int16", "float16", "float64"):
        yield f"box-to-{target}", pixels(23, 90, dtype="uint8"), np.full((7, 5), 1 / 35), dict(dtype=target, padding="same")
        yield f"rank2-to-{target}", pixels(23, 90, dtype="uint8"), mexican(7, 1.1), dict(dtype=target, padding="same")
    for target in ("int8", "uint8", "uint16", "int32", "int64", "uint64"):
        yield f"saturates-{target}", pixels(11, 23, dtype="float64"), dense(3, 3) * 1e30, dict(dtype=target)
    yield "uint8-whole", pixels(11, 23, dtype="uint8"), SOBEL, dict(dtype="uint8")
    yield "int16-separable", pixels(11, 23, dtype="uint8"), BINOMIAL / 256, dict(dtype="int16")
    yield "float64-from-float32", pixels(30, 40), gauss(9, 2.0), dict(dtype="float64")
    yield "complex-from-real", pixels(11, 23), half, dict(dtype="complex128")


def _layout():
    step = np.s_[::-2, ::3]
    layouts = {
        "fortran": partial(layout, np.asfortranarray, 12, 31),
        "transposed": partial(layout, np.transpose, 31, 12),
        "reversed": partial(layout, lambda a: a[::-1, ::-1], 12, 31),
        "stepped": partial(layout, lambda a: a[step], 24, 93),
        "interior": partial(layout, lambda a: a[3:-3, 5:-5], 18, 41),
        "broadcast-rows": partial(layout, lambda a: np.broadcast_to(a, (12, 31)), 1, 31),
        "broadcast-columns": partial(layout, lambda a: np.broadcast_to(a, (12, 31)), 12, 1),
        "broadcast-batch": partial(layout, lambda a: np.broadcast_to(a, (3, 12, 31)), 12, 31),
        "read-only": partial(layout, read_only, 12, 31),
        "planes-of-rgb": partial(layout, lambda a: np.moveaxis(a, -1, 0), 12, 31, 3),
    }
    for dtype in (">f4", ">f8", ">u2", ">i4", ">c8", ">f2"):
        name = np.dtype(dtype).name
        layouts[f"big-endian-{name}"] = partial(layout, lambda a, t=dtype: a.astype(t), 12, 31, dtype=name)
    for dtype, offset in {"float32": 1, "float64": 3, "uint16": 1, "complex64": 2}.items():
        layouts[f"misaligned-{dtype}"] = partial(layout, partial(misaligned, offset=offset), 12, 31, dtype=dtype)
    for name, build in layouts.items():
        yield f"{name}-dense", build, dense(3, 4), dict(padding="same", boundary="reflect")
        yield f"{name}-separable", build, gauss(5, 1.0), dict(padding="full", boundary="wrap")
        yield f"{name}-box", build, np.full((3, 5), 1 / 15), dict(padding="same")
        yield f"{name}-rank2", build, mexican(5, 1.0), dict(padding="same")
    rgb = partial(layout, lambda a: a[:, ::-1, ::-1], 12, 31, 4)
    yield "rgba-reversed", rgb, dense(3, 3), dict(channel_axis=-1, padding="same")


def _structure():
    image, same = partial(pixels, 40, 70), dict(padding="same", boundary="symmetric")
    kernels = {
        "random-outer": np.outer(dense(1, 5), dense(1, 7)), "gauss13": gauss(13, 2.0), "box5": np.ones((5, 5)),
        "sobel": SOBEL, "row9": dense(1, 9), "column9": dense(9, 1), "zero-factor": np.outer([0, 1, 0, 2], [3, 0, 1]),
        "delta-corner": delta(5, 4, 4, 0), "delta-first": delta(3, 3, 0, 0, 2.5), "zeros": np.zeros((3, 4)),
        "four-of-81": delta(9, 9, 0, 8) + delta(9, 9, 4, 4, -2.0) + delta(9, 9, 8, 1, 1 / 3) + delta(9, 9, 7, 7),
        "negative-zeros": np.array([[-0.0, 1.0], [-0.0, -0.0]]), "checker": np.indices((6, 6)).sum(0) % 2,
        "rank2": np.outer(dense(1, 7), dense(1, 7)) + np.outer(dense(1, 7), dense(7, 1)[::-1]),
    }  # fmt: skip
    for name, kernel in kernels.items():
        yield name, image, kernel, same
    for e in (1e-2, 1e-4, 1e-6, 1e-8, 1e-11, 1e-14):  # two products, and a third of size e: left out only if nobody can tell
        for dtype in ("float32", "float64"):
            kernel = low_rank(9, 8, 2) + e * np.outer(dense(1, 9), dense(1, 8))
            yield f"nearly-rank2-{e:g}-{dtype}", partial(pixels, 40, 70, dtype=dtype), kernel, same
            flat = np.full((6, 7), 0.1) * (1 + e * delta(6, 7, 2, 3))
            yield f"nearly-box-{e:g}-{dtype}", partial(pixels, 40, 70, dtype=dtype), flat, same
    for e in (1, 1e-3, 1e-5, 1e-7):  # products that cancel all but a share of e
        a, b = np.outer(dense(1, 9), dense(1, 8)), dense(9, 8)[:, :1] @ dense(8, 9)[:1, :8]
        for dtype in ("float32", "float64"):
            yield f"cancelling-{e:g}-{dtype}", partial(pixels, 40, 70, dtype=dtype), (a + e * b) - a, same
    for rank in (2, 3, 4, 6):
        yield f"rank-{rank}", image, low_rank(13, 15, rank), same
        yield f"rank-{rank}-float32-weights", image, low_rank(13, 15, rank).astype("float32"), same
        yield f"rank-{rank}-float64", partial(pixels, 40, 70, dtype="float64"), low_rank(13, 15, rank), same
    for kh, kw in ((3, 3), (3, 4), (4, 3), (3, 15), (5, 5), (6, 7), (7, 6), (7, 7), (9, 2), (9, 9), (15, 5), (11, 25), (16, 5)):
        for sign in (1, -1):
            yield f"mirrored-{kh}x{kw}-{sign}", image, mirrored(kh, kw, sign), same
    for dtype in ("float64", "uint8", "int16", "complex64", "float16"):
        for sign in (1, -1):
            yield f"mirrored-{dtype}-{sign}", partial(pixels, 40, 70, dtype=dtype), mirrored(7, 5, sign), same
    for dtype in ("uint8", "int8", "uint16", "bool", "int32", "float32"):
        for sign in (1, -1):
            kernel = whole(5, 5, limit=3)
            yield f"mirrored-whole-{dtype}-{sign}", partial(pixels, 40, 130, dtype=dtype), kernel + sign * kernel[:, ::-1], same
    for name, options in dict(stride=dict(stride=(2, 1)), dilated=dict(dilation=(2, 3)), narrow=dict(dtype="uint8")).items():
        yield f"mirrored-{name}", partial(pixels, 40, 70, dtype="uint8"), mirrored(5, 7) / 20, dict(same, **options)
    yield "mirrored-rgb", partial(pixels, 40, 70, 3), mirrored(5, 7, -1), dict(same, channel_axis=-1)
    for e, dtype in ((1e-2, "float32"), (1e-9, "float64")):
        yield f"nearly-mirrored-{dtype}", partial(pixels, 40, 70, dtype=dtype), mirrored(7, 7) + delta(7, 7, 2, 6, e), same
    yield "disk", image, (np.hypot(*(np.indices((15, 15)) - 7)) < 7.3) / 171, same
    for n in range(1, 18):
        yield f"box-1x{n}", image, np.full((1, n), 1.0), same
        yield f"box-{n}-by-{18 - n}", image, np.full((n, 18 - n), -0.2), same
    for e in (1e-2, 1e-4, 1e-6, 1e-8, 1e-11, 1e-14):
        for dtype in ("float32", "float64"):
            yield f"nearly-separable-{e:g}-{dtype}", partial(pixels, 40, 70, dtype=dtype), nearly_separable(e), same
    for name, kernel in dict(binomial=BINOMIAL, gcd=GCD, laplace=LAPLACE, box=np.ones((7, 7), int)).items():
        for dtype in ("uint8", "uint16", "int32", "bool"):
            limit = 2**30 if dtype == "int32" else None
            yield f"{name}-{dtype}", partial(pixels, 40, 70, dtype=dtype, limit=limit), kernel, same


def _scale():
    for e in (-300, -150, 150, 300):
        for other in (0, -e, -e // 2):
            yield f"float64-1e{e}x1e{other}", scaled(other, "float64"), dense(3, 3) * 10.0**e, {}
    for e, other in [(-40, 30), (-44, 37), (-60, 30), (40, -35), (300, -35), (-300, 30), (-25, -20), (38, 0), (36, 1)]:
        yield f"float32-1e{e}x1e{other}", scaled(other, "float32"), dense(3, 3) * 10.0**e, {}
        yield f"separable-1e{e}x1e{other}", scaled(other, "float32"), gauss(5, 1.0) * 10.0**e, {}
        yield f"rank2-1e{e}x1e{other}", scaled(other, "float32"), mexican(5, 1.0) * 10.0**e, {}
        yield f"box-1e{e}x1e{other}", scaled(other, "float32"), np.full((3, 4), 10.0**e), {}
    yield "box-tiny-beside-huge", partial(spread, 60, 90), np.full((9, 9), 1 / 81), {}
    yield "rank2-tiny-beside-huge", partial(spread, 60, 90), mexican(9, 1.5), {}
    for sign in (1, -1):  # pixels that are added before the weights come, and leave their type's range
        yield f"mirrored-float32-3e38-{sign}", scaled(38, "float32", 2), mirrored(5, 5, sign) / 40, {}
        yield f"mirrored-float64-1e308-{sign}", scaled(308, "float64", 1.2), mirrored(5, 5, sign) / 40, {}
        yield f"mirrored-tiny-{sign}", scaled(-38, "float32"), mirrored(5, 5, sign), {}
    yield "mixed-taps", partial(pixels, 20, 30), dense(3, 3) * np.logspace(-30, 30, 9).reshape(3, 3), {}
    yield "uneven-factors", scaled(0, "float64"), np.outer([1e-200, 1e-190], [1e180, 1e200]), {}
    yield "tiny-beside-one", partial(full, 9, 9, value=1), np.array([[1e-17, 0, 3e-17]]), {}
    yield "float16-large", partial(full, 9, 9, value=60000, dtype="float16"), np.ones((5, 5)), {}


def spread(*shape):
    """Pixels of all sizes: what a running sum would lose of the small ones, it never gets back."""
    return (pixels(*shape, dtype="float64") * 10.0 ** seeded("spread", shape).integers(-30, 30, shape)).astype("float32")


def scaled(exponent, dtype, limit=None):
    """Random pixels times a power of ten, cut off at `limit`."""

    def build():
        image = pixels(12, 21, dtype="float64")
        return ((image if limit is None else np.clip(image, -limit, limit)) * 10.0**exponent).astype(dtype)

    return build


def _width():
    for w in (*range(1, 71, 3), 63, 65, 127, 128, 129, 1023, 1025):
        yield f"{w}-3x3", pixels(7, w), dense(3, 3), dict(padding="same", boundary="reflect")
    for w in (5, 8, 15, 16, 17, 31, 33, 47, 64, 66, 259):
        yield f"{w}-5x5-uint8", pixels(9, w, dtype="uint8"), whole(5, 5), {}
        yield f"{w}-gauss-float64", pixels(9, w, dtype="float64"), gauss(5, 1.2), dict(padding="same")
        yield f"{w}-box", pixels(9, w), np.full((4, 5), 0.05), dict(padding="same", boundary="reflect")
        yield f"{w}-rank2", pixels(9, w), mexican(5, 1.0), dict(padding="same", boundary="reflect")
        yield f"{w}-mirrored", pixels(9, w), mirrored(5, 5), dict(padding="same", boundary="reflect")
    for h in (*range(1, 26, 2), 64, 67, 130):
        yield f"tall{h}-3x3", pixels(h, 18), dense(3, 3), dict(padding="same", boundary="edge")
        yield f"tall{h}-gauss", pixels(h, 18), gauss(5, 1.0), dict(padding="same", boundary="symmetric")
    for h, w, k in [(130, 1030, 5), (257, 513, 7), (600, 40, 3), (33, 2049, 11)]:
        yield f"tiles-{h}x{w}-{k}x{k}", pixels(h, w), dense(k, k), dict(padding="same", boundary="reflect")
        yield f"tiles-{h}x{w}-gauss{k}", pixels(h, w), gauss(k, k / 5), dict(padding="same", boundary="wrap")
        yield f"tiles-{h}x{w}-box{k}", pixels(h, w), np.full((k, k), 1 / k**2), dict(padding="same", boundary="wrap")
        yield f"tiles-{h}x{w}-mirrored{k}", pixels(h, w), mirrored(k, k, -1), dict(padding="same", boundary="wrap")
        yield f"tiles-{h}x{w}-rank2-{k}", pixels(h, w), mexican(k + 2, k / 5), dict(padding="same", boundary="wrap")


def _narrow():
    """Results of one and two bytes, of narrow strips and of whole blocks; sums that 16 bits hold, or just not."""
    same = dict(padding="same", boundary="reflect")
    for w in (15, 33, 64, 70, 129, 260):
        for target in ("uint8", "int8", "uint16", "int16", "float32"):
            options = dict(same, dtype=target)
            yield f"{w}-dense-float32-{target}", scaled_up(9, w, 60), dense(3, 3), options
            yield f"{w}-dense-uint8-{target}", pixels(9, w, dtype="uint8"), dense(3, 3) / 3, options
            yield f"{w}-sobel-uint8-{target}", pixels(9, w, dtype="uint8"), SOBEL, options
            yield f"{w}-binomial-uint8-{target}", pixels(9, w, dtype="uint8"), BINOMIAL / 256, options
    for target in ("uint8", "int16", "uint16", "float32", "float64", "float16", "int32"):
        options = dict(same, dtype=target)
        yield f"halves-{target}", pixels(14, 140, dtype="uint8", limit=7), np.array([[0.5, 0.25, 0.5], [-1, 0.75, 1]]), options
        yield f"int8-{target}", pixels(14, 140, dtype="int8"), SOBEL, options
        yield f"bool-{target}", pixels(14, 140, dtype="bool"), whole(7, 9, limit=90), options
        yield f"rgb-{target}", pixels(14, 90, 3, dtype="uint8"), LAPLACE, dict(options, channel_axis=-1)
        for excess in (0, 1):  # 257 * 255 = 65535
            edge = np.array([[100, -57, 100 + excess]])
            yield f"edge{excess}-{target}", partial(extremes, 7, 140), edge, dict(dtype=target)
    for fill in (0, 255, 7, -3, 300, 0.5):
        yield f"fill{fill}", pixels(9, 100, dtype="uint8"), SOBEL, dict(padding="same", fill=fill)
    yield "tiny-weights", pixels(9, 100, dtype="uint8"), SOBEL * 2.0**-31, same
    yield "strided", pixels(19, 200, dtype="uint8"), SOBEL, dict(stride=(2, 3), padding="same")
    yield "dilated", pixels(29, 200, dtype="uint8"), SOBEL, dict(dilation=(3, 2), padding="same", dtype="int16")
    yield "overflow", partial(full, 20, 200, value=3e38), np.array([[1.0, 1.0], [-0.5, -1.0]]), {}
    yield "overflow-to-uint8", partial(full, 20, 200, value=3e38), np.array([[1.0, 1.0], [-1.0, -1.0]]), dict(dtype="uint8")


def scaled_up(height, width, factor):
    """Pixels whose results leave a byte, and some that leave two."""
    image = pixels(height, width) * np.float32(factor)
    image[:, ::7] *= 1000
    return image


def extremes(height, width):
    """Pixels of 0 and 255 only: sums as large and as small as they come."""
    return pixels(height, width, dtype="bool").astype("uint8") * np.uint8(255)


def _running_bytes():
    """Boxes over bytes, at the limits of their running sums: 257 rows, four samples between taps (native/box_bytes.hpp)."""
    same = dict(padding="same", boundary="reflect")
    for rows in (1, 256, 257, 258):
        yield f"{rows}-rows", extremes(300, 70), np.ones((rows, 3)), same
    for lanes in (1, 2, 3, 4, 5):
        image = extremes(40, 170 * lanes).reshape(40, 170, lanes)
        for dilation in (1, 2, 4, 5):
            options = dict(same, channel_axis=-1, dilation=dilation)
            yield f"{lanes}-samples-{dilation}-apart", image, np.full((9, 13), -1 / 117), options
    for fill in (0, 255, 256, 0.5, -1):
        yield f"fill-{fill}", extremes(30, 90), np.full((8, 11), 0.01), dict(padding="full", fill=fill)
    for dtype in ("bool", "int8"):
        yield dtype, pixels(30, 90, dtype=dtype), np.full((8, 11), 3), same
    yield "narrow", extremes(50, 3), np.full((8, 2), 1 / 16), dict(same, dilation=(1, 4))


def _large():
    for k in (15, 31, 63):
        yield f"{k}-valid", pixels(200, 300), dense(k, k), {}
        yield f"{k}-uint8-whole", pixels(200, 300, dtype="uint8"), whole(k, k), {}
    yield "63-same-reflect", pixels(200, 300), dense(63, 63), dict(padding="same", boundary="reflect")
    yield "31-float64", pixels(200, 300, dtype="float64"), dense(31, 31), dict(padding="full", fill=2.0)
    yield "31-complex", pixels(100, 130, dtype="complex64"), dense(31, 31, dtype="complex128"), {}
    yield "31-gauss", pixels(200, 300), gauss(31, 5.0), dict(padding="same", boundary="wrap")
    yield "31-rank2", pixels(200, 300), mexican(31, 4.0), dict(padding="same", boundary="wrap")
    yield "31-box-uint8", pixels(200, 300, dtype="uint8"), np.full((31, 31), 1 / 961), dict(dtype="uint8", padding="same")
    yield "45-box-rgb", pixels(90, 400, 3, dtype="uint8"), np.ones((44, 45)), dict(channel_axis=-1, padding="same")
    yield "31-delta", pixels(200, 300), delta(31, 31, 3, 29), dict(padding="same", boundary="edge")
    yield "31-uint16-gauss", pixels(200, 300, dtype="uint16"), gauss(31, 5.0), dict(dtype="uint16")
    yield "40-rgb", pixels(90, 100, 3), dense(40, 33), dict(channel_axis=-1, padding="same")
    yield "dilated-15", pixels(150, 160), dense(15, 15), dict(dilation=4, padding="same", boundary="reflect")
    for value in (0.1, 1 / 3, 0.7, 1 + 2**-23):
        for dtype in ("float32", "float64"):
            flat = partial(full, dtype=dtype, value=value)
            name = f"flat-{value:.3g}-{dtype}"
            yield f"{name}-27", partial(flat, 60, 61), np.ones((27, 27)), {}
            yield f"{name}-63-tenth", partial(flat, 70, 90), np.full((63, 63), 0.1), {}
            yield f"{name}-row1000", partial(flat, 3, 1040), np.full((1, 1000), 0.1), {}
            yield f"{name}-column1000", partial(flat, 1040, 3), np.full((1000, 1), 1.0), {}
            yield f"{name}-row256", partial(flat, 4, 300), np.full((1, 256), 0.7), {}
            yield f"{name}-127", partial(flat, 130, 140), np.full((127, 127), 1 / 3), {}
            yield f"{name}-row3000", partial(flat, 2, 3010), np.full((1, 3000), 1.0), {}
    yield "flat-700-complex", partial(full, 4, 720, value=0.1 + 0.7j, dtype="complex128"), np.full((3, 700), 0.1), {}
    yield (
        "flat-700-to-float64",
        partial(full, 4, 720, value=77, dtype="uint8"),
        np.full((3, 700), 0.1),
        dict(dtype="float64"),
    )
    yield "flat-to-float64", partial(full, 60, 61, value=0.1), np.ones((27, 27)), dict(dtype="float64")
    yield "flat-301-separable", partial(full, 310, 320, value=0.3), np.ones((301, 301)), {}


def _convolution():
    for k in [(3, 3), (2, 3), (4, 4)]:
        for options in (dict(padding="same", boundary="reflect"), dict(padding="full"), dict(stride=2),
                        dict(padding="same", anchor=(0, k[1] - 1)), dict(padding="same", dilation=(2, 3))):  # fmt: skip
            name = "-".join(f"{v}" for v in options.values()).replace(" ", "")
            yield f"{k[0]}x{k[1]}-{name}", pixels(11, 12), dense(*k), options
    yield "complex", pixels(11, 12), dense(3, 4, dtype="complex128"), dict(padding="same")


def _table():
    groups = (_tiny, _larger, _even, _boundary, _padding, _fill, _anchor, _stride, _dilation, _batch, _channels,
              _mixing, _dtype, _target, _layout, _structure, _scale, _width, _narrow, _running_bytes, _large, _convolution)  # fmt: skip
    for group in groups:
        for name, image, kernel, options in group():
            build = image if callable(image) else image.copy
            kernel = read_only(np.array(kernel))
            yield Case(f"{group.__name__[1:]}-{name}", build, kernel, options, group is _convolution)


CASES = tuple(_table())
BY_NAME = {case.name: case for case in CASES}

PHOTO = (3072, 4096)


def _speed():
    photo, same = partial(pixels, *PHOTO), dict(padding="same", boundary="reflect")
    for k in (3, 5, 7, 11, 15, 31, 63):
        yield f"photo-{k}x{k}", photo, dense(k, k), same
    yield "photo-gauss13", photo, gauss(13, 2.0), same
    yield "photo-uint8-3x3", partial(pixels, *PHOTO, dtype="uint8"), dense(3, 3), same
    yield "photo-box31", photo, np.ones((31, 31)), same
    for n in (28, 64, 256, 1024):
        yield f"small-{n}-3x3", partial(pixels, n, n), dense(3, 3), same


SPEED = tuple(Case(name, build, kernel, options) for name, build, kernel, options in _speed())
