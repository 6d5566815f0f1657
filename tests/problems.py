"""Random problems of every kind, each a *record*: a few words and numbers that fit on a line of JSON.

A record says everything but the pixels and the weights, which come from its seed, so a failure found
by ``make fuzz`` is kept in ``corpus/`` and replayed for ever. `random_record` draws one from any
source of choices: a generator of random numbers (fuzz.py) or hypothesis (test_fuzz.py), which
shrinks what fails; so each list of choices begins with the plainest.

`Problem` is a record made into arrays, with the exact answer; `Problem.judge` holds a result to it.
"""

from functools import cached_property

import numpy as np

import corr2d
import oracle
from cases import BOUNDARIES, REALS, misaligned

PIXELS = ("normal", "whole", "ones", "largest", "spread", "huge", "tiny", "sparse")
KERNELS = ("dense", "whole", "separable", "box", "sparse", "lowrank", "lowrank", "lowrank", "symmetric", "antisymmetric", "delta", "zeros",
           "binary", "large", "spread", "nearly-separable", "nearly-box", "gaussian", "whole-separable")  # fmt: skip
LAYOUTS = ("plain", "fortran", "reversed", "stepped", "interior", "transposed", "broadcast", "foreign", "misaligned", "read-only")
OUTS = ("none", "plain", "fortran", "stepped", "reversed", "image", "overlap")


# -------------------------------------------------------------------------------------------------
# records


def random_record(source):
    """A record; ``source`` has ``pick(options)``, ``integer(low, high)`` and ``once_in(n)``."""
    pick, integer, once_in = source.pick, source.integer, source.once_in
    complex_image = once_in(12)
    dtype = pick(("complex64", "complex128")) if complex_image else pick(("float32", "float64", "uint8", "float32", *REALS))
    kind = pick(KERNELS)
    mixing = once_in(9)
    size = pick(("small", "small", "small", "small", "small", "small", "small", "medium", "medium", "wide"))
    kernel = [integer(1, 6), integer(1, 6)] if size == "small" else [integer(1, 20), integer(1, 20)]
    if size == "small":
        shape = [integer(1, 12), integer(1, 18)]
    else:
        shape = [integer(1, 60), integer(1, 150)] if size == "medium" else [integer(1, 9), integer(1000, 1300)]
        if kernel[0] * kernel[1] > 150:
            shape = [min(shape[0], 30), min(shape[1], 100)]
    if once_in(10):
        kernel[integer(0, 1)] = 1
    if once_in(40):  # sums so long that float32 must not take them
        kernel, shape = [1, integer(200, 1200)], [shape[0] % 4 + 1, integer(1, 1300)]
    channels = None
    lead = [] if not once_in(4) else [integer(1, 3) for _ in range(integer(1, 2))]
    if mixing and max(kernel) < 100:
        channels = [integer(1, 4), integer(1, 4)]
        kernel = [min(n, 7) for n in kernel]
        shape = [channels[1], min(shape[0], 20), min(shape[1], 200)]
        lead = lead[:1]
    shape = lead + shape
    convolve, options = once_in(5), {}
    padding = pick(("valid", "same", "same", "full", "number", "pair", "four"))
    if padding in ("number", "pair", "four"):
        widest = pick((2, 7, 25)) if size == "small" else 3
        n = [integer(0, widest) for _ in range(4)]
        padding = {"number": n[0], "pair": n[:2], "four": [n[:2], n[2:]]}[padding]
    if padding != "valid":
        options["padding"] = padding
        options["boundary"] = pick(BOUNDARIES)
        if once_in(3):
            options["fill"] = pick((1.0, -3.5, 7.0, 1e3, 1 / 3, 100.0))
            if once_in(12):
                options["fill"] = pick((float("nan"), float("inf"), 1e30, 1e-30))
        if padding == "same" and once_in(3):
            options["anchor"] = [integer(0, n - 1) for n in kernel]
    for name, most in (("stride", 4), ("dilation", 3)):
        if once_in(4):
            options[name] = integer(1, most) if once_in(2) else [integer(1, most), integer(1, most)]
        elif once_in(30):
            options[name] = [integer(1, 30), integer(1, 12)]
    complex_kernel = once_in(12)
    if channels is None and len(shape) > 2 and once_in(2):
        options["channel_axis"] = integer(-len(shape), len(shape) - 1)
    if once_in(4):
        wide = complex_image or complex_kernel
        options["dtype"] = pick(("complex64", "complex128")) if wide else pick(("float64", "float32", *REALS[1:]))
    rival = "" if not once_in(5) else pick(("scipy", "opencv", "torch"))
    if rival:  # what these can answer, too
        convolve, complex_kernel, dtype = False, False, "float64" if rival == "scipy" else pick(("float32", "float64"))
        keep = {k: v for k, v in options.items() if k in ("boundary", "fill", "stride", "dilation")}
        if rival == "torch":
            options = {k: v for k, v in keep.items() if k not in ("boundary", "fill")} | dict(padding=integer(0, 5))
        elif not channels:
            keep = {k: v for k, v in keep.items() if k not in ("stride", "dilation")}
            options = keep | dict(padding="same", anchor=[n // 2 for n in kernel])
            shape = shape[-2:]
    return dict(
        seed=integer(0, 2**31), dtype=dtype, shape=shape, pixels=pick(("normal", "whole", *PIXELS)), layout=pick(LAYOUTS),
        bad=0 if not once_in(10) else integer(1, 3), kernel=kind, size=(channels or []) + kernel, complex_kernel=complex_kernel,
        exponent=0 if not once_in(8) else pick((-40, 40, -130, 130, -300, 300, -960, 900)),
        weights=pick(("float64", "float64", "float32", "list", "Kernel")), bias=0.0 if not once_in(6) else pick((1.0, -0.5, 1 / 3)),
        options=options, convolve=convolve, out=pick(("none", "none", *OUTS)), threads=pick((1, 2, 3)),
        isa=pick(("best", "best", "sse2", "avx2")),
    )  # fmt: skip


class Random:
    """Choices from NumPy's random numbers, the same for the same seed."""

    def __init__(self, *seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, options):
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low, high):
        return int(self.rng.integers(low, high, endpoint=True))

    def once_in(self, n):
        return self.integer(1, n) == n


# -------------------------------------------------------------------------------------------------
# arrays


def make_pixels(rng, shape, dtype, how):
    """Pixels of one kind in a plain array."""
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        return (make_pixels(rng, shape, part, how) + 1j * make_pixels(rng, shape, part, how)).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < dict(sparse=0.02, ones=2, largest=2).get(how, 0.5)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = (max(info.min, -100), min(info.max, 100)) if how in ("normal", "tiny") else (info.min, info.max)
        image = rng.integers(low, high, shape, dtype, endpoint=True)
        image[rng.random(shape) > dict(sparse=0.02).get(how, 1)] = 0
        return np.full(shape, dict(ones=1, largest=info.max)[how], dtype) if how in ("ones", "largest") else image
    largest = float(np.finfo(dtype).max)
    decades = 4 if dtype == "float16" else 30
    image = rng.standard_normal(shape)
    if how == "whole":
        image = np.rint(image * 100)
    elif how == "ones":
        image = np.ones(shape)
    elif how == "largest":
        image = np.full(shape, largest) * rng.choice([0.25, 0.3], shape)
    elif how == "spread":
        image = image * 10.0 ** rng.integers(-decades, decades, shape)
    elif how == "huge":
        image = np.clip(image, -3, 3) * (largest / 100)
    elif how == "tiny":
        image = image * float(np.finfo(dtype).smallest_normal)
    elif how == "sparse":
        image = image * (rng.random(shape) < 0.02)
    return np.clip(image, -largest, largest).astype(dtype)


def make_weights(rng, size, how):
    """A float64 kernel of one structure; those that a stack of them cannot have are for one alone."""
    if len(size) == 4:
        return np.array([[make_weights(rng, size[2:], how) for _ in range(size[1])] for _ in range(size[0])])
    kh, kw = size
    k = rng.standard_normal(size)
    outer = np.outer(rng.standard_normal(kh), rng.standard_normal(kw))
    at = int(rng.integers(kh)), int(rng.integers(kw))
    if how == "whole":
        return rng.integers(-5, 5, size, endpoint=True).astype(float)
    if how == "whole-separable":
        return np.outer(rng.integers(-4, 9, kh), rng.integers(-4, 9, kw)).astype(float)
    if how == "separable":
        return outer
    if how == "box":
        return np.full(size, rng.choice([1.0, 1 / (kh * kw), -0.2, 3.0]))
    if how == "sparse":
        return k * (rng.random(size) < 0.15)
    if how == "lowrank":
        return outer + np.outer(rng.standard_normal(kh), rng.standard_normal(kw))
    if how == "symmetric":
        return k + k[::-1, ::-1]
    if how == "antisymmetric":
        return k - k[::-1, ::-1]
    if how == "delta":
        k[:] = 0
        k[at] = rng.choice([1.0, -2.5])
        return k
    if how == "zeros":
        return np.zeros(size)
    if how == "binary":
        return rng.integers(-64, 64, size) / 2.0 ** rng.integers(1, 9)
    if how == "large":
        return np.rint(k * 2.0 ** rng.integers(15, 45))
    if how == "spread":
        return k * 10.0 ** rng.integers(-25, 25, size)
    if how in ("nearly-separable", "nearly-box"):
        k = outer if how == "nearly-separable" else np.full(size, 0.1)
        k[at] *= 1 + 10.0 ** -rng.integers(2, 16)
        return k
    if how == "gaussian":
        y, x = (np.exp(-0.5 * ((np.arange(n) - n // 2) / (0.5 + n / 5)) ** 2) for n in size)
        return np.outer(y, x) / (y.sum() * x.sum())
    return k


def arranged(image, how, rng):
    """The same pixels as an array of another memory layout; "broadcast" repeats some of them."""
    if how == "fortran":
        return np.asfortranarray(image)
    if how == "reversed":
        return image[..., ::-1, ::-1].copy()[..., ::-1, ::-1]
    if how == "stepped":
        large = np.zeros((*image.shape[:-2], 2 * image.shape[-2] + 1, 3 * image.shape[-1] + 2), image.dtype)
        large[..., 1::2, 2::3] = image
        return large[..., 1::2, 2::3]
    if how == "interior":
        return np.pad(image, 2)[(slice(2, -2),) * image.ndim]
    if how == "transposed":
        order = rng.permutation(image.ndim)
        return np.ascontiguousarray(image.transpose(order)).transpose(np.argsort(order))
    if how == "broadcast":
        axis = int(rng.integers(image.ndim))
        return np.broadcast_to(image.take([0], axis), image.shape)
    if how == "foreign":
        return image.astype(image.dtype.newbyteorder(">"))
    if how == "misaligned":
        return misaligned(image)
    if how == "read-only":
        image.flags.writeable = False
    return image


class Problem:
    """A record made into arrays."""

    def __init__(self, record):
        self.record = record
        rng = np.random.default_rng(record["seed"])
        image = make_pixels(rng, tuple(record["shape"]), record["dtype"], record["pixels"])
        weights = make_weights(rng, tuple(record["size"]), record["kernel"])
        if record["complex_kernel"]:
            weights = weights + 1j * make_weights(rng, tuple(record["size"]), record["kernel"])
        scale = 2.0 ** record["exponent"]
        weights = (weights.real * scale + 1j * (weights.imag * scale)) if record["complex_kernel"] else weights * scale
        if record["bad"] and image.dtype.kind in "fc":
            for _ in range(record["bad"]):
                image[tuple(int(rng.integers(n)) for n in image.shape)] = rng.choice([np.nan, np.inf, -np.inf])
        self.image = arranged(image, record["layout"], rng)
        self.rng = rng
        single = record["weights"] == "float32" and np.abs(weights).max() < 1e38
        self.weights = weights.astype("complex64" if record["complex_kernel"] else "float32") if single else weights
        options = dict(record["options"])
        self.options = {n: tuple(map(tuple, v)) if n == "padding" and np.ndim(v) == 2 else tuple(v) if isinstance(v, list) else v
                        for n, v in options.items()}  # fmt: skip
        self.bias = record["bias"] if record["weights"] == "Kernel" else 0.0
        self.function = corr2d.convolve2d if record["convolve"] else corr2d.corr2d

    @property
    def kernel(self):
        """The weights as the caller writes them."""
        how = self.record["weights"]
        return corr2d.Kernel(self.weights, bias=self.bias) if how == "Kernel" else self.weights.tolist() if how == "list" else self.weights

    @cached_property
    def geometry(self):
        """The oracle's axes, from which the size of the result is known."""
        keep = ("padding", "anchor", "stride", "dilation")
        shape = self.image.shape
        if "channel_axis" in self.options:
            shape = np.moveaxis(self.image, self.options["channel_axis"], -3).shape
        return oracle.geometry(shape, self.weights.shape, convolve=self.record["convolve"], **{k: self.options[k] for k in keep if k in self.options})

    @property
    def fits(self):
        """Whether the kernel fits into the padded image."""
        return min(axis[-1] for axis in self.geometry) >= 1

    @property
    def multiplications(self):
        """Of the definition."""
        planes = self.image.size // (self.geometry[0][0] * self.geometry[1][0])
        return planes * self.weights.size * self.geometry[0][-1] * self.geometry[1][-1]

    @cached_property
    def truth(self):
        """(exact result of the finite pixels, bias excluded; which outputs see others, or None)."""
        spoilt = ~np.isfinite(self.image)
        options = {k: v for k, v in self.options.items() if k != "dtype"}
        fill = options.get("fill", 0.0)
        truth = oracle.exact(self.clean, self.weights, convolve=self.record["convolve"], **(options | dict(fill=self.finite_fill)))
        if not spoilt.any() and np.isfinite(fill):
            return truth, None
        ones = np.ones(self.weights.shape, int)
        options["fill"] = int(not np.isfinite(fill))
        return truth, oracle.exact(spoilt.astype(int), ones, convolve=self.record["convolve"], **options) > 0

    @property
    def finite_fill(self):
        fill = self.options.get("fill", 0.0)
        return fill if np.isfinite(fill) else 0.0

    @cached_property
    def clean(self):
        """The image with zeros for what is not finite."""
        if np.isfinite(self.image).all():
            return np.array(self.image)
        return np.where(np.isfinite(self.image), self.image, 0).astype(self.image.dtype)

    def judge(self, result):
        """The error as a share of the bound; AssertionError where the contract is broken."""
        truth, seen = self.truth
        options = {k: v for k, v in self.options.items() if k != "fill"}
        if seen is not None:
            if result.dtype.kind in "fc":
                hidden = seen & np.isfinite(result)
                assert not hidden.any(), f"{hidden.sum()} outputs hide a non-finite pixel, the first at {np.argwhere(hidden)[0]}"
            result = result.copy()
            finite = oracle.with_bias(truth[seen], self.bias)
            if result.dtype.kind in "iu":
                limits = np.iinfo(result.dtype)
                finite = [min(max(int(np.rint(np.longdouble(np.real(v)))), limits.min), limits.max) for v in finite]
                finite = np.array(finite, result.dtype)
            with np.errstate(over="ignore"):
                result[seen] = finite.astype(result.dtype)
        return oracle.check(result, self.clean, self.weights, truth=truth, bias=self.bias, fill=self.finite_fill,
                            convolve=self.record["convolve"], **options)  # fmt: skip

    def run(self, method):
        """The result of one method, into a fresh `out` where the record asks for one."""
        image, out = self._image_and_out() if self.fits else (self.image, None)
        before = image.tobytes() if out is None else b""
        result = self.function(image, self.kernel, **self.options, method=method, out=out, threads=self.record["threads"])
        if out is None:
            assert image.tobytes() == before, "the image was written"
            assert not np.shares_memory(result, image), "the result shares the image's memory"
        else:
            assert result is out
        return result

    def _image_and_out(self):
        how = self.record["out"]
        if how == "none":
            return self.image, None
        truth = self.truth[0]
        dtype = oracle.result_dtype(self.image.dtype, self.weights, self.options.get("fill", 0.0), self.options.get("dtype"))
        if how == "image" and truth.shape == self.image.shape and dtype == self.image.dtype:
            image = np.array(self.image)
            return image, image
        if how in ("image", "overlap"):
            plain = np.array(self.image, order="C")
            shift = 16 * int(np.random.default_rng(self.record["seed"]).integers(0, 1 + plain.nbytes // 16))
            memory = np.zeros(max(plain.nbytes, shift + truth.size * dtype.itemsize) + 64, np.uint8)
            image = np.ndarray(plain.shape, plain.dtype, memory)
            image[...] = plain
            return image, np.ndarray(truth.shape, dtype, memory, shift)
        return self.image, arranged(np.zeros(truth.shape, dtype), how, self.rng)
