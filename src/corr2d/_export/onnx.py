"""A model file: one convolution, which in ONNX is a correlation."""

from __future__ import annotations

from .._errors import MissingExtraError
from .request import Request, Target

__all__ = ["ONNX"]


def _onnx(request: Request) -> bytes:
    """(N, C, H, W) in and out; a 2-D kernel filters each channel alike."""
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise MissingExtraError("exporting to onnx needs the onnx package: pip install 'corr2d[onnx]'") from None
    import numpy as np

    weights = request.single()
    (top, bottom), (left, right) = request.padding
    mixes = weights.ndim == 4
    weights = weights if mixes else weights[None, None]
    constants = {
        "kernel": weights,
        "bias": np.full(len(weights), request.bias, np.float32),
        "sides": np.array([0, 0, top, left, 0, 0, bottom, right]),
        "planes": np.array([-1, weights.shape[1]]),
    }
    nodes = [
        helper.make_node("Pad", ["image", "sides"], ["padded"], mode=request.border),
        helper.make_node("Conv", ["padded", "kernel", "bias"], ["result"]),
    ]
    if not mixes:  # channels join the batch, and come back
        nodes = [
            helper.make_node("Shape", ["image"], ["shape"]),
            helper.make_node("Shape", ["image"], ["size"], start=2),
            helper.make_node("Concat", ["planes", "size"], ["flat"], axis=0),
            helper.make_node("Reshape", ["image", "flat"], ["flattened"]),
            helper.make_node("Pad", ["flattened", "sides"], ["padded"], mode=request.border),
            helper.make_node("Conv", ["padded", "kernel", "bias"], ["filtered"]),
            helper.make_node("Reshape", ["filtered", "shape"], ["result"]),
        ]
    else:
        del constants["planes"]

    def value(name: str, channels: int | str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, "H", "W"])

    taken, given = (weights.shape[1], weights.shape[0]) if mixes else ("C", "C")
    graph = helper.make_graph(
        nodes,
        "corr2d",
        [value("image", taken)],
        [value("result", given)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    # Pad has "wrap" from opset 19 on.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], producer_name="corr2d")
    model.ir_version = 9  # what came with opset 19; the newest is refused by older runtimes
    facts = request.facts(orientation="correlation, the kernel as it is", numbers="float32")
    model.doc_string = "\n".join(facts)
    helper.set_model_props(model, dict(fact.split(": ", 1) for fact in facts[1:]))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


ONNX = Target(_onnx, {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}, channels=True)
