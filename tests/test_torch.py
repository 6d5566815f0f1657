"""PyTorch tensors in, PyTorch tensors out: dtypes, no copies, layouts, no_grad."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import dense, gauss, pixels
from machine import peak_of

torch = pytest.importorskip("torch")

K = torch.from_numpy(dense(3, 4).copy())


def tensor(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(len(shape))
    if dtype.is_floating_point or dtype.is_complex:
        wide = torch.complex64 if dtype.is_complex else torch.float32
        return torch.randn(*shape, generator=generator, dtype=wide).to(dtype)
    return torch.randint(0, 2 if dtype == torch.bool else 100, shape, generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_integers_become_torchs_default_dtype(dtype):
    """Integer and bool tensors give torch's default dtype: float32, or what the user has set."""
    image = tensor(9, 10, dtype=dtype)
    result = corr2d.corr2d(image, K)
    assert result.dtype == torch.float32
    assert np.allclose(result.numpy(), oracle.exact(image.numpy(), K.numpy()).astype("float32"), atol=1e-3)
    torch.set_default_dtype(torch.float64)
    try:
        wide = corr2d.corr2d(image, K)
        assert wide.dtype == torch.float64
        assert np.abs(wide.numpy() - oracle.exact(image.numpy(), K.numpy())).max() < 1e-11
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("dtype", "result"), [
    (torch.float16, torch.float32), (torch.bfloat16, torch.float32), (torch.float32, torch.float32),
    (torch.float64, torch.float64), (torch.complex64, torch.complex64), (torch.complex128, torch.complex128),
])  # fmt: skip
def test_floats_follow_the_image(dtype, result):
    """half and bfloat16 give float32; the others keep theirs, whatever the kernel's dtype."""
    image = tensor(9, 10, dtype=dtype)
    wide = image.to(torch.complex128 if dtype.is_complex else torch.float64).numpy()
    for kernel in (K, K.float(), K.half().double(), K.numpy(), K.tolist()):
        got = corr2d.corr2d(image, kernel)
        assert got.dtype == result
        room = (
            32
            * 2.0 ** (-53 if result in (torch.float64, torch.complex128) else -24)
            * oracle.magnitude(wide, K.numpy())
        )
        taps = np.asarray(kernel, dtype="float64")
        assert np.abs(got.numpy() - oracle.exact(wide, taps)).max() <= float(room)


def test_complex_kernels_make_complex_tensors():
    """A complex kernel on a real tensor: complex64, conjugated by corr2d and not by convolve2d."""
    image = tensor(9, 10)
    kernel = K.to(torch.complex64) * (1 + 2j)
    ours = corr2d.corr2d(image, kernel)
    assert ours.dtype == torch.complex64
    oracle.check(ours.numpy(), image.numpy(), kernel.numpy())
    oracle.check(corr2d.convolve2d(image, kernel).numpy(), image.numpy(), kernel.numpy(), convolve=True)


def test_the_result_is_a_tensor_of_its_own():
    """A plain CPU tensor without history that shares memory with nothing, also for a kernel of one tap."""
    image = tensor(9, 10)
    for kernel in (K, torch.ones(1, 1), [[1.0]]):
        result = corr2d.corr2d(image, kernel)
        assert type(result) is torch.Tensor
        assert result.device.type == "cpu"
        assert not result.requires_grad
        assert result.data_ptr() != image.data_ptr()
        result += 1
    assert torch.equal(image, tensor(9, 10))


def test_a_numpy_image_stays_numpy():
    """The result has the image's type: a tensor as kernel does not make it a tensor."""
    assert type(corr2d.corr2d(pixels(9, 10), K)) is np.ndarray


@pytest.mark.parametrize("view", [
    lambda t: t.t(), lambda t: t[::2, ::3], lambda t: t[2:-2, 3:-3], lambda t: t[:1].expand(30, 31), lambda t: t[:, :1].expand(30, 31),
    lambda t: t.flip(0), lambda t: torch.as_strided(t, (10, 8), (2, 60)),
])  # fmt: skip
def test_layouts(view):
    """Transposed, stepped, interior, expanded and overlapping views are read where they lie."""
    image = view(tensor(30, 31))
    oracle.check(corr2d.corr2d(image, K).numpy(), image.numpy().copy(), K.numpy())


def test_lazily_conjugated_and_negated_tensors():
    """Torch's conj() and imag are views with a flag that NumPy does not know: resolved, not ignored."""
    image = tensor(9, 10, dtype=torch.complex64)
    for lazy in (image.conj(), image.conj().imag):
        eager = lazy.resolve_conj().resolve_neg().numpy()
        oracle.check(corr2d.corr2d(lazy, K).numpy(), eager, K.numpy())
    kernel = K.to(torch.complex64) * 1j
    oracle.check(corr2d.corr2d(image, kernel.conj()).numpy(), image.numpy(), kernel.conj().resolve_conj().numpy())


def test_four_axes_as_in_torch():
    """(N, I, H, W) with (O, I, kh, kw) is torch.conv2d."""
    image, kernel = tensor(2, 3, 12, 13), tensor(4, 3, 3, 3)
    ours = corr2d.corr2d(image, kernel, padding=1, stride=2)
    torch.testing.assert_close(ours, torch.conv2d(image, kernel, padding=1, stride=2), rtol=1e-5, atol=1e-5)


def test_channels_last_is_read_in_place():
    """torch's channels_last memory format, which is NumPy's interleaved layout."""
    image = tensor(2, 3, 12, 13).to(memory_format=torch.channels_last)
    ours = corr2d.corr2d(image, K)
    oracle.check(ours.numpy(), image.numpy(), K.numpy())


@pytest.mark.parametrize("method", ["auto", "direct", "separable", "fft"])
def test_out_is_a_tensor(method):
    """out= takes a tensor, fills it and returns it; views and the image itself included."""
    image, kernel = tensor(40, 50), gauss(5, 1.0)
    wanted = corr2d.corr2d(image, kernel, method=method, padding="same")
    for out in (torch.empty(40, 50), torch.empty(50, 40).t(), torch.empty(40, 100)[:, ::2], image.clone()):
        source = out if out.shape == image.shape and torch.equal(out, image) else image
        assert corr2d.corr2d(source, kernel, method=method, padding="same", out=out) is out
        assert torch.equal(out, wanted)


def test_outs_that_do_not_fit():
    """A tensor of the wrong shape or dtype, or NumPy's array for a tensor's result, says so."""
    image = tensor(9, 10)
    for out, error in [(torch.empty(9, 10), ValueError), (torch.empty(7, 7, dtype=torch.float64), TypeError),
                       (torch.empty(7, 7, requires_grad=True), (TypeError, ValueError))]:  # fmt: skip
        with pytest.raises(error, match="out"):
            corr2d.corr2d(image, K, out=out)


@pytest.mark.parametrize(("asked", "wanted"), [
    (torch.float64, torch.float64), ("float64", torch.float64), (torch.uint8, torch.uint8), (np.float64, torch.float64),
    (torch.float16, torch.float16), (torch.complex64, torch.complex64), ("int16", torch.int16),
])  # fmt: skip
def test_dtype_is_torchs_or_numpys(asked, wanted):
    """dtype= takes torch's dtypes as well as NumPy's and strings, and the result is the tensor's."""
    image = tensor(9, 10)
    result = corr2d.corr2d(image, K, dtype=asked)
    assert result.dtype == wanted
    oracle.check(result.numpy(), image.numpy(), K.numpy(), dtype=str(wanted).removeprefix("torch."))


def test_bfloat16_targets():
    """A bfloat16 result, where it is given, is rounded once from float32."""
    image = tensor(9, 10)
    try:
        result = corr2d.corr2d(image, K, dtype=torch.bfloat16)
    except TypeError as error:
        assert "bfloat16" in str(error)
    else:
        assert torch.equal(result, corr2d.corr2d(image, K).to(torch.bfloat16))


def test_tensors_that_require_grad():
    """A history while gradients flow, none under no_grad and inference_mode (test_gradients.py has the gradients)."""
    image, kernel = tensor(9, 10).requires_grad_(), tensor(3, 3).requires_grad_()
    for pair in [(image, K), (tensor(9, 10), kernel), (image, kernel)]:
        assert corr2d.corr2d(*pair).requires_grad
        for context in (torch.no_grad(), torch.inference_mode()):
            with context:
                result = corr2d.corr2d(*pair)
            assert not result.requires_grad
    torch.testing.assert_close(corr2d.corr2d(image.detach(), kernel.detach()), result)


def test_images_are_not_copied():
    """A large tensor goes in and out in place: the only pages that the call touches are few."""
    grown = peak_of("""
        import numpy as np, torch, corr2d
        image, out = torch.zeros(6000, 4000), torch.ones(6000, 4000)
        small = torch.zeros(50, 50)
        call = lambda image, out=None: corr2d.corr2d(image, [[1.0, 2.0, 1.0]] * 3, padding="same", out=out)
        call(small)
        """, "call(image, out)")  # fmt: skip
    assert grown < 64


def test_plan_takes_a_tensor():
    """plan(tensor, ...) plans for it, and the plan runs on tensors."""
    image = tensor(40, 50)
    plan = corr2d.plan(image, K)
    assert torch.equal(plan(image), corr2d.corr2d(image, K, method=plan.method))
    assert type(plan(image)) is torch.Tensor


def test_no_channels_and_empty_batches():
    """An empty batch of tensors is an empty tensor."""
    assert corr2d.corr2d(torch.empty(0, 9, 10), K).shape == (0, 7, 7)
