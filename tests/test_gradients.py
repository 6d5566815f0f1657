"""Gradients: against finite differences, the oracle's adjoint and PyTorch's own; and what PyTorch asks of an operator."""

import numpy as np
import pytest

import corr2d
import oracle
from cases import BOUNDARIES, dense, pixels

torch = pytest.importorskip("torch")

from corr2d import _torch_operators as operators  # noqa: E402
from corr2d.engines import torch as device_engine  # noqa: E402


def tensor(*shape, dtype=torch.float64, grad=True):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_(grad)


OPTIONS = [
    {}, dict(padding="same", boundary="reflect"), dict(padding="full", stride=2), dict(padding=((3, 0), (1, 5)), boundary="wrap", stride=(3, 2)),
    dict(padding=4, boundary="symmetric", dilation=2), dict(padding=((9, 2), (0, 7)), boundary="edge", stride=(2, 3), dilation=(3, 2)),
    dict(padding=2, fill=1.5, dilation=(1, 2), stride=2), dict(padding="same", anchor=(0, 1), stride=5),
]  # fmt: skip


@pytest.fixture(params=["lags", "onednn"])
def kernel_gradients(request, monkeypatch):
    """Both ways to the gradient of a kernel."""
    monkeypatch.setattr(device_engine, "sums_lags_faster", lambda problem: request.param == "onednn")


@pytest.mark.usefixtures("kernel_gradients")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("image", "kernel"), [((6, 7), (2, 3)), ((2, 3, 6, 7), (2, 3, 2, 3))], ids=["plane", "mixing"])
def test_first_and_second_derivatives(image, kernel, options):
    """gradcheck and gradgradcheck, for every kind of padding, boundary, stride and dilation."""

    def call(x, k):
        return corr2d.corr2d(x, k, **options)

    pair = tensor(*image), tensor(*kernel)
    assert torch.autograd.gradcheck(call, pair, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, pair, fast_mode=True)


@pytest.mark.parametrize("convolve", [False, True])
def test_complex_images_and_kernels(convolve):
    """Values are those of the path without gradients, the conjugate of corr2d included; derivatives follow."""
    verb = corr2d.convolve2d if convolve else corr2d.corr2d
    for image in (torch.float64, torch.complex128):
        for kernel in (torch.float64, torch.complex128):
            pair = tensor(4, 5, dtype=image), tensor(2, 2, dtype=kernel)
            plain = verb(*(t.detach() for t in pair), padding="same", boundary="wrap")
            torch.testing.assert_close(verb(*pair, padding="same", boundary="wrap").detach(), plain)
            assert torch.autograd.gradcheck(lambda x, k: verb(x, k, padding="same", boundary="wrap"), pair)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_image_gradient_is_the_oracles_adjoint(boundary):
    """In float32, at sizes that bands and blocks see, within the accuracy bound."""
    image, kernel = torch.from_numpy(pixels(40, 50)).requires_grad_(), dense(5, 4)
    options = dict(padding=((3, 8), (2, 1)), boundary=boundary, stride=(2, 1), dilation=(1, 3))
    result = corr2d.corr2d(image, kernel, **options)
    g = pixels(*result.shape)
    result.backward(torch.from_numpy(g))
    truth = oracle.adjoint(g, kernel, image.shape, **options)
    room = 4 * 32 * 2.0**-24 * np.abs(kernel).sum() * np.abs(g).max()  # four pixels at most lie on one
    assert np.abs(image.grad.numpy() - truth).max() < room


@pytest.mark.usefixtures("kernel_gradients")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_float_dtype(dtype):
    """Gradients have the dtype of what they belong to; half precision is summed in float32."""
    image, kernel = tensor(3, 40, 41, dtype=dtype), tensor(5, 5, dtype=torch.float64)
    result = corr2d.corr2d(image, kernel, padding="same", boundary="reflect")
    g = torch.randn(result.shape, dtype=result.dtype, generator=torch.Generator().manual_seed(1))
    result.backward(g)
    assert (image.grad.dtype, kernel.grad.dtype) == (dtype, torch.float64)
    x, k = image.detach().double().requires_grad_(), kernel.detach().requires_grad_()
    corr2d.corr2d(x, k, padding="same", boundary="reflect").backward(g.double())
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(image.grad.double(), x.grad, rtol=2 * step, atol=20 * min(step, 1e-5))
    torch.testing.assert_close(kernel.grad, k.grad, rtol=1e-5, atol=1e-3 if dtype != torch.float64 else 1e-10)


def test_who_gets_a_gradient():
    """Images, kernels, both; integer images under a kernel that learns; constants of any kind."""
    x, k = tensor(6, 7), tensor(2, 3)
    corr2d.corr2d(x, k.detach()).sum().backward()
    assert x.grad is not None
    corr2d.corr2d(x.detach(), k).sum().backward()
    assert k.grad is not None
    k.grad = None
    whole = torch.arange(42).reshape(6, 7)
    assert corr2d.corr2d(whole, k).dtype == torch.float32
    corr2d.corr2d(whole, k, dtype="float64").sum().backward()
    assert k.grad[0, 0] == whole[:5, :5].sum()
    for kernel in ([[1, -1]], np.array([[1.0, -1.0]]), corr2d.Kernel([[1.0, -1.0]], bias=3.0)):
        x.grad = None
        result = corr2d.corr2d(x, kernel)
        torch.testing.assert_close(result.detach(), corr2d.corr2d(x.detach(), kernel))
        result.sum().backward()
        assert x.grad[:, 0].eq(1).all()


def test_channel_axis_views_and_convolution():
    """Interleaved channels, strided views and turned kernels, against the same on plain memory."""
    x, k = tensor(8, 9, 3), tensor(4, 3, 3, 2)
    ours = corr2d.convolve2d(x, k, channel_axis=-1, padding="same")
    plain = corr2d.corr2d(x.movedim(-1, 0).contiguous(), k.flip(-1, -2), padding=((1, 1), (1, 0)))
    torch.testing.assert_close(ours, plain.movedim(0, -1))
    g = torch.randn_like(ours)
    first = torch.autograd.grad(ours, (x, k), g)
    for a, b in zip(first, torch.autograd.grad(plain, (x, k), g.movedim(-1, 0)), strict=True):
        torch.testing.assert_close(a, b)
    view = tensor(20, 30)
    assert torch.autograd.gradcheck(lambda t: corr2d.corr2d(t[::3, 2::4].t(), k[0, 0].detach()), (view,))


def test_no_grad_and_the_fast_path():
    """Without a history the result has none, and is the plan's, bit by bit."""
    x, k = tensor(30, 31, dtype=torch.float32), tensor(3, 3, dtype=torch.float32)
    with torch.no_grad():
        plain = corr2d.corr2d(x, k)
    assert not plain.requires_grad
    assert torch.equal(plain, corr2d.corr2d(x.detach(), k.detach()))
    assert corr2d.corr2d(x, k).requires_grad


ARGUMENTS = [
    lambda: (tensor(2, 1, 7, 8, dtype=torch.float32), tensor(1, 1, 3, 3, dtype=torch.float32), None, [1, 1, 1, 1, 1, 1, 1, 1, 2, 1]),
    lambda: (tensor(2, 4, 7, 8), tensor(8, 1, 3, 2), tensor(8), [0, 2, 3, 0, 2, 1, 1, 2, 0, 4]),
    lambda: (tensor(2, 3, 7, 8).to(memory_format=torch.channels_last).detach().requires_grad_(), tensor(4, 3, 3, 3), tensor(4), [1, 1, 1, 1, 1, 1, 1, 1, 4, 1]),
    lambda: (tensor(7, 8, dtype=torch.float32), tensor(2, 2), tensor(1), [0, 0, 0, 0, 1, 1, 1, 1, 0, 1]),
]  # fmt: skip


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_opcheck(arguments):
    """Schema, autograd registration, fake kernels (strides included) and dynamic shapes of all three operators."""
    image, weight, bias, geometry = arguments()
    rest = (geometry, 0.5, 0.0, image.dtype, "auto", 0, True, True)
    torch.library.opcheck(operators.correlate_op, (image, weight, bias, *rest))
    g = torch.randn_like(operators.correlate_op(image, weight, bias, *rest)).requires_grad_()
    torch.library.opcheck(operators.image_gradient_op, (g, weight, list(image.shape), geometry, image.dtype, 0, True, True))
    torch.library.opcheck(operators.kernel_gradient_op, (g, image, list(weight.shape), geometry, 0.5, weight.dtype, 0))


@pytest.mark.filterwarnings("ignore")
def test_compile_without_a_break():
    """One graph, forward and backward, the same numbers; other sizes too."""

    def call(x, k):
        return corr2d.corr2d(x.sin(), k, padding="same", boundary="reflect").cos()

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager", dynamic=True)
    for size in (9, 12):
        x, k = tensor(2, size, 11), tensor(3, 3)
        ours, theirs = compiled(x, k), call(x, k)
        torch.testing.assert_close(ours, theirs)
        for a, b in zip(torch.autograd.grad(ours.sum(), (x, k)), torch.autograd.grad(theirs.sum(), (x, k)), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore")
def test_export_with_a_dynamic_batch():
    """torch.export of a model that calls it; the batch stays free."""

    class Model(torch.nn.Module):
        def forward(self, x):
            return corr2d.corr2d(x, [[1.0, 2.0], [3.0, 4.0]], padding=1)

    program = torch.export.export(Model(), (tensor(2, 5, 6, grad=False),), dynamic_shapes={"x": {0: torch.export.Dim("n", min=2)}})
    other = tensor(7, 5, 6, grad=False)
    torch.testing.assert_close(program.module()(other), corr2d.corr2d(other, [[1.0, 2.0], [3.0, 4.0]], padding=1))


def test_vmap_and_per_sample_gradients():
    """Over the images, over the kernels, over both, and through torch.func.grad."""
    x, k = tensor(4, 6, 7, grad=False), tensor(4, 2, 3, grad=False)
    one = k[0]
    torch.testing.assert_close(torch.vmap(lambda t: corr2d.corr2d(t, one))(x), corr2d.corr2d(x, one))
    torch.testing.assert_close(torch.vmap(lambda t: corr2d.corr2d(t, one), in_dims=2, out_dims=2)(x.movedim(0, 2)), corr2d.corr2d(x, one).movedim(0, 2))
    each = torch.stack([corr2d.corr2d(a, b) for a, b in zip(x, k, strict=True)])
    torch.testing.assert_close(torch.vmap(corr2d.corr2d)(x, k), each)
    per_sample = torch.vmap(torch.func.grad(lambda w, t: corr2d.corr2d(t, w).square().sum()), in_dims=(None, 0))(one, x)
    of_images = torch.vmap(torch.func.grad(lambda t: corr2d.corr2d(t, one, padding=2).pow(3).sum()))(x)
    image = x.clone().requires_grad_()
    torch.testing.assert_close(of_images, torch.autograd.grad(corr2d.corr2d(image, one, padding=2).pow(3).sum(), image)[0])
    for i in range(4):
        w = one.clone().requires_grad_()
        (wanted,) = torch.autograd.grad(corr2d.corr2d(x[i], w).square().sum(), w)
        torch.testing.assert_close(per_sample[i], wanted)


def padded_conv2d(x, k):
    """PyTorch's own composition, whose forward mode is its own: padding 2 with 1.5, stride 2."""
    return torch.conv2d(torch.nn.functional.pad(x, (2, 2, 2, 2), value=1.5)[None, None], k[None, None], stride=2)[0, 0]


def padded_corr2d(x, k):
    return corr2d.corr2d(x, k, padding=2, fill=1.5, stride=2)


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, at the first call of its jvp
def test_forward_mode():
    """Tangents of the image, the kernel and both, by torch.func and by dual numbers; derivatives of derivatives."""
    x, k, dx, dk = (tensor(*shape, grad=False) for shape in ((6, 7), (2, 3), (7, 6), (3, 2)))
    dx, dk = dx.t(), dk.t()
    for ours, theirs in zip(torch.func.jvp(padded_corr2d, (x, k), (dx, dk)), torch.func.jvp(padded_conv2d, (x, k), (dx, dk)), strict=True):
        torch.testing.assert_close(ours, theirs)
    dual = torch.autograd.forward_ad
    for tangents in ((dx, None), (None, dk), (dx, dk)):
        with dual.dual_level():
            pair = [t if d is None else dual.make_dual(t, d) for t, d in zip((x, k), tangents, strict=True)]
            ours, theirs = (dual.unpack_dual(call(*pair)) for call in (padded_corr2d, padded_conv2d))
            torch.testing.assert_close(ours.tangent, theirs.tangent)
    for argument in (0, 1):
        torch.testing.assert_close(torch.func.jacfwd(padded_corr2d, argument)(x, k), torch.func.jacrev(padded_conv2d, argument)(x, k))
        ours, theirs = (torch.func.hessian(lambda x, k, call=call: call(x, k).pow(3).sum(), argument)(x, k) for call in (padded_corr2d, padded_conv2d))
        torch.testing.assert_close(ours, theirs)
    pair = x.requires_grad_(), k.requires_grad_()
    assert torch.autograd.gradcheck(padded_corr2d, pair, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(padded_corr2d, pair, check_fwd_over_rev=True)


@pytest.mark.filterwarnings("ignore")
def test_a_layers_forward_mode():
    """Parameters, the bias among them, and images; layers of one channel, a few, and in groups."""
    for arguments, options in (((1, 1, 3), {}), ((2, 3, 3), dict(padding=1)), ((4, 4, 5), dict(groups=4, padding="same"))):
        ours, theirs = corr2d.nn.Conv2D(*arguments, **options).double(), torch.nn.Conv2d(*arguments, **options).double()
        theirs.load_state_dict(ours.state_dict())
        x, dx = tensor(2, arguments[0], 9, 8, grad=False), tensor(8, arguments[0], 9, 2, grad=False).movedim(0, -1).movedim(-2, 0)
        parameters = {name: p.detach() for name, p in ours.named_parameters()}
        tangents = {name: torch.ones_like(p) * 0.5 for name, p in parameters.items()}
        results = [
            torch.func.jvp(lambda q, x, layer=layer: torch.func.functional_call(layer, q, (x,)), (parameters, x), (tangents, dx)) for layer in (ours, theirs)
        ]  # fmt: skip
        torch.testing.assert_close(*results)
        only = [torch.func.jvp(lambda b, layer=layer: torch.func.functional_call(layer, parameters | {"bias": b}, (x,)), (parameters["bias"],), (tangents["bias"],))
                for layer in (ours, theirs)]  # fmt: skip
        torch.testing.assert_close(*only)
        dual = torch.autograd.forward_ad
        with dual.dual_level(), torch.no_grad():
            bias = dual.make_dual(parameters["bias"], tangents["bias"])
            got = dual.unpack_dual(torch.func.functional_call(ours, parameters | {"bias": bias}, (x,))).tangent
            torch.testing.assert_close(got, only[0][1])


@pytest.mark.filterwarnings("ignore")
def test_forward_mode_and_compilers():
    """Not in a graph, where PyTorch would take the tangent to be zero: beside it, or an error that says so."""
    x, k, d = tensor(6, 7, grad=False), tensor(2, 3, grad=False), tensor(7, 6, grad=False).t()

    def tangent(x, k, d):
        return torch.func.jvp(lambda x: padded_corr2d(x, k), (x,), (d,))[1]

    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(tangent, backend="eager")(x, k, d), tangent(x, k, d))
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="forward mode .* not part of a compiler's graph"):
        torch.compile(tangent, backend="eager", fullgraph=True)(x, k, d)
    compiled = torch.compile(padded_corr2d, backend="eager")
    dual = torch.autograd.forward_ad
    with dual.dual_level():
        ours, theirs = (dual.unpack_dual(call(dual.make_dual(x, d), k)).tangent for call in (compiled, padded_conv2d))
        torch.testing.assert_close(ours, theirs)
        with pytest.raises(TypeError, match=r"image has a tangent.*detach"):
            corr2d.plan(x, k)(dual.make_dual(x, d))


def test_other_devices_stay_there():
    """A tensor of the meta device, which has a shape and no pixels, gives such a one."""
    image = torch.empty(2, 3, 9, 10, device="meta")
    result = corr2d.corr2d(image, torch.empty(4, 3, 3, 3, device="meta"), padding="same", stride=2)
    assert (result.device.type, tuple(result.shape), result.dtype) == ("meta", (2, 4, 5, 5), torch.float32)
    assert corr2d.corr2d(image.to(torch.float64), [[1.0, 2.0]], channel_axis=1).shape == (2, 3, 9, 9)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: corr2d.corr2d(pixels(5, 6), tensor(2, 2)), TypeError, r"kernel requires grad.*from_numpy"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(2, 2), dtype="uint8"), TypeError, r"'uint8' rounds.*no gradient"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(2, 2), out=torch.empty(4, 5)), ValueError, r"out=.*no_grad"),
    (lambda: corr2d.corr2d(tensor(5, 6), torch.empty(2, 2, device="meta")), TypeError, r"kernel on meta; use kernel.to\('cpu'\)"),
    (lambda: corr2d.corr2d(torch.empty(5, 6, device="meta"), torch.ones(2, 2)), TypeError, r"on device meta and the kernel on cpu"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(7, 2)), ValueError, r"does not fit"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(3)), ValueError, r"kernel\[None, :\]"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(1, 2, 2, 2)), ValueError, r"mixes I = 2"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(2, 2), padding="sam"), ValueError, r"padding='sam'"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(2, 2), threads=0), ValueError, r"threads=0"),
    (lambda: corr2d.corr2d(tensor(5, 6), tensor(2, 2), method="quick"), ValueError, r"method='quick'"),
    (lambda: corr2d.plan(tensor(5, 6), [[1.0]])(tensor(5, 6)), TypeError, r"requires grad"),
])  # fmt: skip
def test_what_cannot_be_says_so(call, error, words):
    """Errors of the tensor path, in the package's words."""
    with pytest.raises(error, match=words):
        call()
