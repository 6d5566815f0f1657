"""corr2d.nn.Conv2D: in nn.Conv2d's place, in the chapter's, and what is said where it cannot stand."""

import copy
import io
import pickle
from itertools import product

import numpy as np
import pytest

import corr2d
from machine import run_python

torch = pytest.importorskip("torch")
nn = torch.nn


def both(*args, seed=1, **options):
    """PyTorch's layer and ours from the same random numbers."""
    layers = []
    for kind in (nn.Conv2d, corr2d.nn.Conv2D):
        torch.manual_seed(seed)
        layers.append(kind(*args, **options))
    return layers


ARGUMENTS = [
    ((1, 1, 3), {}), ((1, 4, (2, 3)), dict(padding=(2, 1), bias=False)), ((3, 5, 3), dict(padding="same", dilation=(1, 2))),
    ((4, 4, 5), dict(groups=4, padding=2, stride=(2, 1))), ((4, 8, 3), dict(groups=4, padding=1, padding_mode="circular")),
    ((4, 6, (4, 1)), dict(groups=2, stride=2, padding=(3, 0), padding_mode="reflect")), ((2, 3, 3), dict(padding="valid", dilation=2, stride=3)),
    ((3, 3, 7), dict(groups=3, padding="same", padding_mode="replicate")), ((2, 2, 19), dict(groups=2, padding=9)), ((1, 1, (4, 2)), dict(padding="same")),
]  # fmt: skip
LAYOUTS = {
    "batch": lambda x: x, "unbatched": lambda x: x[0], "channels_last": lambda x: x.to(memory_format=torch.channels_last),
    "strided": lambda x: torch.stack((x, x), -1).flatten(-2)[..., ::2], "empty": lambda x: x[:0],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("args", "options"), ARGUMENTS, ids=str)
def test_in_the_place_of_nn_conv2d(args, options, dtype):
    """Output and all three gradients are those of nn.Conv2d, in every layout."""
    theirs, ours = both(*args, **options, dtype=dtype)
    room = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 4e-2, torch.float16: 6e-3}[dtype]
    for name, layout in LAYOUTS.items():
        x = layout(torch.randn(2, args[0], 23, 22, generator=torch.Generator().manual_seed(2)).to(dtype))
        results = []
        for layer in (theirs, ours):
            layer.zero_grad()
            leaf = x.detach().requires_grad_()
            y = layer(leaf)
            assert y.dtype == dtype
            y.square().sum().backward()
            results.append((y.detach(), leaf.grad, *(p.grad for p in layer.parameters())))
        for a, b in zip(*results, strict=True):
            scale = max(1.0, float(a.double().abs().max())) if a.numel() else 1.0
            torch.testing.assert_close(b.double() / scale, a.double() / scale, rtol=0, atol=room, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize(("args", "options"), ARGUMENTS, ids=str)
def test_state_passes_in_both_directions(args, options):
    """Same initialisation, same names and shapes, either loads the other's; it prints alike."""
    theirs, ours = both(*args, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)
    assert repr(ours) == repr(theirs).replace("Conv2d", "Conv2D", 1)
    with torch.no_grad():
        for p in ours.parameters():
            p.add_(1)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(theirs.weight, ours.weight)
    assert isinstance(ours, nn.Conv2d)  # what looks for such layers finds it


def test_symmetric_padding_and_wide_pads():
    """What nn.Conv2d lacks: the fifth boundary, pads wider than the image, "same" with strides."""
    layer = corr2d.nn.Conv2D(1, 1, 3, padding=7, padding_mode="symmetric", bias=False)
    x = torch.randn(1, 1, 4, 5)
    k = layer.weight.detach()[0, 0]
    torch.testing.assert_close(layer(x)[0, 0], corr2d.corr2d(x[0, 0], k, padding=7, boundary="symmetric"))
    assert "padding_mode=symmetric" in repr(layer)
    assert corr2d.nn.Conv2D(1, 1, 4, stride=2, padding="same")(x).shape == (1, 1, 2, 3)


def test_copies_and_pickles():
    """deepcopy, pickle and torch.save keep the layer whole; a new draw changes it."""
    for layer in (corr2d.nn.Conv2D(2, 3, 3, padding_mode="symmetric", padding=1), corr2d.nn.Conv2D((1, 2))):
        x = torch.randn(2, 8, 9) if layer.weight.dim() == 4 else torch.randn(8, 9)
        buffer = io.BytesIO()
        torch.save(layer, buffer)
        buffer.seek(0)
        for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(buffer, weights_only=False)):
            assert torch.equal(other(x), layer(x))
            assert repr(other) == repr(layer)
        before = layer.weight.detach().clone()
        layer.reset_parameters()
        assert not torch.equal(layer.weight, before)


# -------------------------------------------------------------------------------------------------
# the chapter


def test_the_chapters_layer():
    """Conv2D((1, 2)): weight in [0, 1), bias zero, a state_dict as printed, 2-D images."""
    layer = corr2d.nn.Conv2D((1, 2))
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.weight.shape == (1, 2)
    assert ((layer.weight >= 0) & (layer.weight < 1)).all()
    assert layer.bias.tolist() == [0.0]
    torch.manual_seed(3)
    drawn = corr2d.nn.Conv2D((5, 40)).weight
    assert 0.4 < drawn.mean() < 0.6
    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    assert layer(X).shape == (6, 7)
    torch.testing.assert_close(layer(X), corr2d.corr2d(X, layer.weight) + layer.bias)
    assert layer(X[None].repeat(3, 1, 1)).shape == (3, 6, 7)
    assert layer(X.int()).dtype == torch.float32
    assert corr2d.nn.Conv2D(3).weight.shape == (3, 3)
    assert corr2d.nn.Conv2D(kernel_size=(1, 2), bias=False).bias is None


def test_the_chapters_training_loop():
    """The notebook's cell, the class imported instead of written there: the loss falls as it does there, to [1, -1] in the end."""
    from corr2d import corr2d as correlate
    from corr2d.nn import Conv2D

    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    k = torch.tensor([[1, -1]])
    Y = correlate(X, k)
    self_conv2d = Conv2D((1, 2))
    losses = []
    for _ in range(10):
        Y_hat = self_conv2d(X)
        l = (Y_hat - Y) ** 2
        self_conv2d.zero_grad()
        l.sum().backward()
        self_conv2d.weight.data[:] -= 3e-2 * self_conv2d.weight.grad
        losses.append(l.sum().item())
    assert losses[-1] < 0.05 * losses[0]
    assert (self_conv2d.weight - torch.tensor([[1.0, -1.0]])).abs().max() < 0.5
    for _ in range(100):
        l = (self_conv2d(X) - Y) ** 2
        self_conv2d.zero_grad()
        l.sum().backward()
        self_conv2d.weight.data[:] -= 3e-2 * self_conv2d.weight.grad
    torch.testing.assert_close(self_conv2d.weight.detach(), torch.tensor([[1.0, -1.0]]), atol=1e-3, rtol=0)


def test_the_chapters_own_class_trains_too():
    """Its Conv2D, written around corr2d.corr2d, follows nn.Conv2d's losses step by step."""

    class Conv2D(nn.Module):
        def __init__(self, kernel_size):
            super().__init__()
            self.weight = nn.Parameter(torch.rand(kernel_size))
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, X):
            return corr2d.corr2d(X, self.weight) + self.bias

    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    Y = corr2d.corr2d(X, torch.tensor([[1, -1]]))
    ours, theirs = Conv2D((1, 2)), nn.Conv2d(1, 1, (1, 2))
    with torch.no_grad():
        theirs.weight.copy_(ours.weight[None, None])
        theirs.bias.copy_(ours.bias)
    for _ in range(20):
        losses = []
        for layer, x, y in ((ours, X, Y), (theirs, X[None, None], Y[None, None])):
            loss = ((layer(x) - y) ** 2).sum()
            layer.zero_grad()
            loss.backward()
            with torch.no_grad():
                for p in layer.parameters():
                    p -= 1e-2 * p.grad
            losses.append(loss.item())
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# -------------------------------------------------------------------------------------------------
# training


def test_digits_are_learnt_alike():
    """A small CNN on scikit-learn's handwritten digits: from the same weights, the same loss curve as with nn.Conv2d."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    images = torch.from_numpy(digits.images[:512].astype(np.float32))[:, None] / 16
    labels = torch.from_numpy(digits.target[:512]).long()

    def network(kind):
        torch.manual_seed(0)
        return nn.Sequential(
            kind(1, 8, 3, padding=1), nn.ReLU(), kind(8, 8, 3, padding=1, groups=8), nn.ReLU(), kind(8, 16, 3, padding="same"), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10),
        )  # fmt: skip

    curves = []
    for kind in (nn.Conv2d, corr2d.nn.Conv2D):
        net, losses = network(kind), []
        step = torch.optim.Adam(net.parameters(), lr=1e-2)
        for epoch, batch in product(range(6), range(0, 512, 64)):
            loss = nn.functional.cross_entropy(net(images[batch : batch + 64]), labels[batch : batch + 64])
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(loss.item())
        curves.append(losses)
        assert np.mean(losses[-8:]) < 0.35 * losses[0]
    np.testing.assert_allclose(curves[0][:16], curves[1][:16], rtol=1e-3)
    np.testing.assert_allclose(curves[0], curves[1], rtol=0.05, atol=0.01)


def test_autocast():
    """Under autocast the layer computes and returns bfloat16, as nn.Conv2d does; gradients are float32."""
    theirs, ours = both(2, 3, 3)
    x = torch.randn(1, 2, 9, 9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        a, b = theirs(x), ours(x)
    assert a.dtype == b.dtype == torch.bfloat16
    torch.testing.assert_close(a, b, atol=2e-2, rtol=2e-2)
    b.float().sum().backward()
    assert ours.weight.grad.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")
def test_a_model_compiles_and_exports():
    """torch.compile(fullgraph=True) and torch.export of a model with such layers."""
    model = nn.Sequential(corr2d.nn.Conv2D(1, 4, 3, padding="same", padding_mode="symmetric"), nn.ReLU(), corr2d.nn.Conv2D(4, 4, 5, groups=4))
    x = torch.randn(2, 1, 12, 13)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    compiled(x).sum().backward()
    assert model[0].weight.grad is not None
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda L: L(), ValueError, r"kernel_size alone.*Conv2D\(\(1, 2\)\)"), (lambda L: L(3, 4), ValueError, r"lacks kernel_size"),
    (lambda L: L(0, 4, 3), ValueError, r"in_channels=0"), (lambda L: L(1.5, 4, 3), ValueError, r"in_channels=1.5 is float"),
    (lambda L: L(3, 4, 3, groups=2), ValueError, r"groups=2 must divide"), (lambda L: L(3, 4, 0), ValueError, r"kernel_size=0.*1 or more"),
    (lambda L: L(3, 4, (3, 3, 3)), ValueError, r"kernel_size=\(3, 3, 3\)"), (lambda L: L("3", 4, 3), ValueError, r"in_channels='3'"),
    (lambda L: L(3, 4, 3, stride=0), ValueError, r"stride=0"), (lambda L: L(3, 4, 3, padding=-1), ValueError, r"padding=-1.*0 or more"),
    (lambda L: L(3, 4, 3, padding="full"), ValueError, r"padding='full': use 'same', 'valid'"), (lambda L: L(3, 4, 3, dilation="2"), ValueError, r"dilation='2'"),
    (lambda L: L(3, 4, 3, padding_mode="mirror"), ValueError, r"'mirror': use one of 'zeros'"),
    (lambda L: L(3, 4, 3, dtype=torch.int64), TypeError, r"torch.int64.*float32"), (lambda L: L(3, 4, 3, dtype=torch.complex64), TypeError, r"complex64"),
    (lambda L: L(3, 4, 3)(torch.ones(2, 4, 5, 5)), ValueError, r"\(N, 3, H, W\).*\(2, 4, 5, 5\)"),
    (lambda L: L(1, 4, 3)(torch.ones(5, 5)), ValueError, r"image\[None\]"), (lambda L: L(1, 1, 7)(torch.ones(1, 5, 5)), ValueError, r"does not fit"),
    (lambda L: L((1, 2))(torch.ones(5)), ValueError, r"\(H, W\)"), (lambda L: L((1, 2))(np.ones((5, 5))), TypeError, r"takes tensors.*as_tensor"),
    (lambda L: L((1, 2))(torch.ones(5, 5, dtype=torch.complex64)), TypeError, r"complex64.*image.real"),
    (lambda L: L((1, 2))(torch.ones(5, 5, device="meta")), TypeError, r"on device meta and the layer on cpu"),
    (lambda L: L(1, 1, 3, padding=1, padding_mode="reflect")(torch.ones(1, 0, 5)), ValueError, r"no pixel for padding_mode='reflect'"),
])  # fmt: skip
def test_what_cannot_be_says_so(make, error, words):
    """At construction and in a call, in the package's words."""
    with pytest.raises(error, match=words):
        make(corr2d.nn.Conv2D)


def test_without_pytorch():
    """A missing PyTorch is one line with the way to get it, and only where it is needed."""
    code = """
import sys
sys.modules["torch"] = None
import corr2d
try:
    corr2d.nn.Conv2D
except ImportError as error:
    print(type(error).__name__, error)
"""
    assert run_python(code).strip() == 'MissingExtraError corr2d.nn needs PyTorch: pip install "corr2d[torch]"'


# -------------------------------------------------------------------------------------------------
# who computes


def gone(layer):
    """Whether the last call went to conv2d."""
    asked, geometry = layer._route
    return asked is not None and geometry is None


@pytest.mark.parametrize(("channels", "outputs", "goes"), [(16, 16, True), (1, 1, False)])
def test_a_layer_looks_again_when_anything_changes(channels, outputs, goes):
    """It remembers where such a call went; another stride, padding, dtype or shape is computed as it is."""
    theirs, ours = both(channels, outputs, 3, padding=1)
    x = torch.randn(8, channels, 20, 21)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
        assert gone(ours) == goes  # or this tests nothing
        for name, value in (("stride", (2, 1)), ("padding", (0, 2)), ("dilation", (1, 2)), ("padding_mode", "zeros")):
            for layer in (theirs, ours):
                setattr(layer, name, value)
            torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert ours(x).dtype == torch.bfloat16
        ours.padding_mode = "symmetric"
        k, b = ours.weight, ours.bias[:, None, None]
        wanted = corr2d.corr2d(x, k, padding=(0, 2), boundary="symmetric", stride=(2, 1), dilation=(1, 2)) + b
        torch.testing.assert_close(ours(x), wanted, rtol=1e-4, atol=1e-5)
        ours.padding_mode = "zeros"
        with pytest.raises(ValueError, match=rf"\(N, {channels}, H, W\).*\(8, 4, 20, 21\)"):
            ours(torch.randn(8, 4, 20, 21))
        assert ours(x.double()).dtype == torch.float64
        assert ours(x.bfloat16()).dtype == torch.bfloat16
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert ours(x).dtype == torch.bfloat16
    results = []
    for layer in (theirs, ours):
        leaf = x.clone().requires_grad_()
        layer(leaf).square().sum().backward()
        results.append((leaf.grad, *(p.grad for p in layer.parameters())))
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-3)


def repeated(layer):
    """Whether its next call without derivatives takes the shortest way."""
    return type(layer._route[1]).__name__ == "Repeated"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("options", [dict(groups=6, padding=1), dict(groups=3), dict(padding=(0, 2), padding_mode="circular", groups=6)])
def test_a_repeated_call_sees_what_changed(options, bias):
    """Parameters changed in place, given anew, turned where they lie; images that lie otherwise: as PyTorch's layer each time."""
    theirs, ours = both(6, 6, 3, bias=bias, **options)
    x = torch.randn(2, 6, 40, 41)

    def same():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)

    def change(f):
        for layer in (theirs, ours):
            for parameter in layer.parameters():
                f(parameter)

    with torch.no_grad():
        for _ in range(3):
            same()
        assert repeated(ours)  # or this tests nothing
        first, kept = ours(x), ours(x).clone()
        x += 1
        same()
        assert torch.equal(first, kept)  # a result is nobody's memory
        change(lambda p: p.mul_(-2))
        same()
        change(lambda p: setattr(p, "data", p.data + 1))
        same()
        change(lambda p: setattr(p, "data", p.data.mT if p.dim() == 4 else p.data))  # as long and as wide: only strides tell
        same()
        change(lambda p: p.mul_(3))
        same()
        for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert repeated(other)
            torch.testing.assert_close(other(x), theirs(x), rtol=1e-4, atol=1e-5)
            other.weight.zero_()
            assert not torch.equal(other(x), theirs(x))
        same()
        x = x.to(memory_format=torch.channels_last)
        same()
        assert ours(x).is_contiguous(memory_format=torch.channels_last)
        x = torch.randn(2, 6, 41, 40).mT
        same()
        x[0, 0, 3, 3] = torch.nan
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5, equal_nan=True)
        x = torch.randn(2, 6, 40, 41)
        ours.weight[0, 0, 0, 0] = torch.inf
        torch.testing.assert_close(ours(x), ours._forward(x, ours.weight, ours.bias), rtol=0, atol=0, equal_nan=True)
        assert not ours(x)[:, 0].isfinite().any() and ours(x)[:, 1:].isfinite().all()
        ours.weight[0, 0, 0, 0] = theirs.weight[0, 0, 0, 0]
    with torch.inference_mode():
        same()


@pytest.mark.filterwarnings("ignore")  # PyTorch's own, at the first call of its jvp
def test_a_repeated_call_is_transformed():
    """vmap and forward mode go through a layer whose calls have taken the shortest way."""
    theirs, ours = both(4, 4, 3, groups=4)
    x, tangent = torch.randn(3, 4, 30, 30), torch.randn(3, 4, 30, 30)
    with torch.no_grad():
        for _ in range(2):
            ours(x)
        assert repeated(ours)
        batch = torch.stack((x, tangent))
        torch.testing.assert_close(torch.func.vmap(ours)(batch), torch.stack((theirs(x), theirs(tangent))), rtol=1e-4, atol=1e-5)
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(x, tangent)
            pushed = torch.autograd.forward_ad.unpack_dual(ours(dual)).tangent
        theirs.bias.zero_()
        torch.testing.assert_close(pushed, theirs(tangent), rtol=1e-4, atol=1e-5)
    y = ours(x.requires_grad_())
    assert y.requires_grad


@pytest.mark.parametrize(("shape", "arguments", "alone", "learning"), [
    ((1, 3, 4, 4), (3, 16, 3), None, True), ((4, 1, 512, 512), (1, 1, 7), False, False),
    ((2, 64, 28, 28), (64, 64, 3), True, True),
])  # fmt: skip
def test_small_and_many_channelled_calls_go_to_conv2d(shape, arguments, alone, learning):
    """Small work costs less there than our calls; one channel never goes; and what goes has its own history."""
    layer, x = corr2d.nn.Conv2D(*arguments), torch.randn(shape)
    with torch.no_grad():
        layer(x)
    assert alone is None or gone(layer) == alone  # None: either is as quick
    y = layer(x.requires_grad_())
    assert gone(layer) == learning
    assert ("ConvolutionBackward" in type(y.grad_fn).__name__) == learning


def test_weights_that_learn_are_not_listed_anew():
    """A list of taps would have to be made for each call: it is planned for kernels that stay only."""
    from corr2d import _torch_operators as operators

    shape, single = torch.Size((1, 1, 64, 64)), torch.float32
    geometry = operators.Geometry(1, 1, 1, 1, 1, 1, 1, 1, 0, 1)
    taught = operators.trained_problem(shape, single, torch.Size((16, 1, 3, 3)), geometry, 0.0, 0.0, single, True, True, "cpu")
    assert taught.choice()[0].method != "sparse"
