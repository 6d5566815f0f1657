"""torch.compile to machine code (inductor): one graph, forward and backward, the numbers of eager calls, other sizes too."""

import pytest

import corr2d

torch = pytest.importorskip("torch")


def compiler():
    """Inductor's C++ compiler, or why there is none."""
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        return get_cpp_compiler(), ""
    except Exception as error:  # of an inner module: it may also have moved
        return None, f"inductor finds no C++ compiler: {error!r:.80}"


pytestmark = [
    pytest.mark.skipif(compiler()[0] is None, reason=compiler()[1]),
    pytest.mark.filterwarnings("ignore"),  # PyTorch's own, of its own code
]


def gradients(call, *tensors):
    """Of a sum that weighs the outputs unequally."""
    return torch.autograd.grad(call(*tensors).square().sum(), tensors)


def test_a_function_of_any_size():
    """Between operators that inductor fuses; compiled once for all sizes."""

    def call(x, k):
        return corr2d.corr2d(x.sin(), k, padding="same", boundary="reflect").cos()

    torch._dynamo.reset()
    compiled = torch.compile(call, fullgraph=True, dynamic=True)
    counters = torch._dynamo.utils.counters
    counters.clear()
    for size in (9, 12, 14):
        x, k = torch.randn(2, size, 11, requires_grad=True), torch.randn(3, 3, requires_grad=True)
        torch.testing.assert_close(compiled(x, k), call(x, k))
        torch.testing.assert_close(gradients(compiled, x, k), gradients(call, x, k), rtol=1e-4, atol=1e-4)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]


@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
def test_a_model(layout):
    """Layers that mix few channels, none and many, in both memory formats; the batch and the size are free."""
    layer = corr2d.nn.Conv2D
    model = torch.nn.Sequential(
        layer(1, 4, 3, padding="same", padding_mode="symmetric"), torch.nn.ReLU(), layer(4, 4, 5, groups=4), layer(4, 16, 3, padding=1), layer(16, 16, 3)
    )  # fmt: skip
    memory = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for n in (2, 3):
        x = torch.randn(n, 1, 12 + n, 13).to(memory_format=memory)
        results = []
        for call in (compiled, model):
            model.zero_grad()
            y = call(x)
            y.square().sum().backward()
            results.append((y.detach(), *(p.grad.clone() for p in model.parameters())))
        torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)
