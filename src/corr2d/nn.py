"""`Conv2D`: the layer of the chapter, and one that stands where ``torch.nn.Conv2d`` stands.

Forward and both gradients run on this package's engines. Needs PyTorch:
``pip install "corr2d[torch]"``.
"""

from __future__ import annotations

from typing import Any

from ._errors import DTypeError, MissingExtraError, OptionError, ShapeError

try:
    import torch
except ImportError:
    raise MissingExtraError('corr2d.nn needs PyTorch: pip install "corr2d[torch]"') from None

from . import _torch
from ._boundary import Boundary
from ._torch import at_least, pair

__all__ = ["Conv2D"]

_MODES = {
    "zeros": Boundary.CONSTANT, "reflect": Boundary.REFLECT, "replicate": Boundary.EDGE, "circular": Boundary.WRAP,
    "symmetric": Boundary.SYMMETRIC,
}  # fmt: skip


class Conv2D(torch.nn.Conv2d):
    """A layer that correlates with weights it learns.

    ``Conv2D((1, 2))`` is the chapter's: one channel, images (H, W), ``weight`` of shape (1, 2)
    drawn from [0, 1), ``bias`` (1,) zero. ``Conv2D(3, 16, 5)`` is ``torch.nn.Conv2d(3, 16, 5)``:
    the same arguments, parameters, initialisation (from the same random numbers) and ``state_dict``,
    so that either loads the other's.

    Parameters
    ----------
    in_channels, out_channels : int
        Of images (N, C, H, W) or (C, H, W). In the chapter's form the first argument is
        `kernel_size`, and there is no second; batches may lead: (..., H, W).
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (py, px), "same" or "valid"
        Pixels on each side; "same" gives ceil(H / stride) rows, the smaller half of its pixels first.
    groups : int
        Channels are split into so many groups that do not mix; `in_channels` of them make a
        depthwise layer, whose kernels all run in one call.
    bias : bool
    padding_mode : {"zeros", "reflect", "replicate", "circular", "symmetric"}
        PyTorch's words, and "symmetric": reflected with the edge repeated. Pads may be wider than the image.
    device, dtype
        Of the parameters.

    Notes
    -----
    The result has the input's dtype (half precision is summed in float32), or the autocast's where
    that is on; integer images give the weights' dtype. Memory format and device are the input's.

    Raises
    ------
    OptionError, ShapeError, DTypeError
        At construction for arguments that cannot work, in a call for such images.

    Examples
    --------
    >>> import torch, corr2d
    >>> edge = corr2d.nn.Conv2D((1, 2))
    >>> edge.load_state_dict({"weight": torch.tensor([[1.0, -1.0]]), "bias": torch.zeros(1)})
    <All keys matched successfully>
    >>> edge(torch.tensor([[0.0, 0.0, 1.0, 1.0]]))
    tensor([[ 0., -1.,  0.]], grad_fn=<...>)
    >>> corr2d.nn.Conv2D(3, 16, 5, padding="same")(torch.zeros(8, 3, 32, 32)).shape
    torch.Size([8, 16, 32, 32])
    """

    def __init__(
        self,
        in_channels: Any = None,
        out_channels: int | None = None,
        kernel_size: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        plain = out_channels is None
        if plain:
            if (in_channels is None) == (kernel_size is None):
                raise OptionError(
                    "Conv2D takes a kernel_size alone, as Conv2D((1, 2)), or in_channels, out_channels and kernel_size, as Conv2D(3, 16, 5); "
                    f"got in_channels={in_channels!r}, out_channels={out_channels!r}, kernel_size={kernel_size!r}"
                )
            in_channels, out_channels, kernel_size = 1, 1, in_channels if kernel_size is None else kernel_size
        if kernel_size is None:
            raise OptionError(f"Conv2D({in_channels!r}, {out_channels!r}) lacks kernel_size; e.g. kernel_size=3")
        in_channels, out_channels, groups = (at_least(n, v, 1) for n, v in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)))
        if in_channels % groups or out_channels % groups:
            raise OptionError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        kernel_size, stride, dilation = (pair(n, v, 1) for n, v in (("kernel_size", kernel_size), ("stride", stride), ("dilation", dilation)))
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise OptionError(f"padding={padding!r}: use 'same', 'valid', an integer or a pair (py, px)")
        else:
            padding = pair("padding", padding, 0)
        if not isinstance(padding_mode, str) or padding_mode not in _MODES:
            raise OptionError(f"padding_mode={padding_mode!r}: use one of {', '.join(map(repr, _MODES))}")
        if not isinstance(dtype, torch.dtype | None) or dtype is not None and not dtype.is_floating_point:
            raise DTypeError(f"dtype={dtype}: weights that learn are floats; use torch.float32, float64, float16 or bfloat16")
        self.plain = plain
        # PyTorch's constructor knows neither "symmetric" nor strides beside "same".
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, "zeros", device, dtype)
        self.padding, self.padding_mode = padding, padding_mode
        if plain:
            self.weight = torch.nn.Parameter(self.weight.detach()[0, 0])
            self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew: ``torch.nn.Conv2d``'s way, or the chapter's, uniform in [0, 1) and zero."""
        if self.weight.dim() == 4:
            super().reset_parameters()
            return
        with torch.no_grad():
            self.weight.uniform_()
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Correlate, and add the bias."""
        mine = self._parameters  # a module looks for its parameters at length, unless it is known where they are
        weight = mine["weight"] if "weight" in mine else self.weight
        bias = mine["bias"] if "bias" in mine else self.bias
        if torch.compiler.is_compiling() or type(input) is not torch.Tensor:
            return self._forward(input, weight, bias)
        asked = (
            input.shape, input.dtype, input.device, weight.shape, weight.dtype, weight.device, bias is None or bias.dtype, torch.get_num_threads(),
            torch.is_grad_enabled(), input.requires_grad, weight.requires_grad, torch.is_autocast_enabled("cpu"),
            self.padding, self.padding_mode, self.stride, self.dilation, self.groups,
        )  # fmt: skip
        known, way = self._route
        if asked == known:
            if way is None:
                return torch.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)
            if type(way) is _torch.Repeated:
                if way.takes(input):
                    return way(input, weight, bias)
                way = way.geometry
            return _torch.own(input, weight, bias, way, input.dtype)
        if asked[1] is asked[4] and asked[6] in (True, asked[1]) and not asked[11] and not isinstance(self.padding, str):
            self._check(input, weight)
            geometry = self._geometry()
            gone = _torch.handed_over(input, weight, geometry, input.dtype)
            self._route = asked, None if gone else _torch.Repeated.of(input, weight, geometry) or geometry
        return self._forward(input, weight, bias)

    # The last call, and where it went: to conv2d (None) or to our own engines, with this geometry, or by the shortest
    # way where there are no derivatives. The like of it goes there at once. What is looked at between two calls costs
    # thrice what it costs alone, for the caches are full of pixels.
    _route: tuple[Any, Any] = (None, None)

    def _forward(self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        self._check(input, weight)
        if not input.is_floating_point():
            return _torch.layer(input, weight, bias, self._geometry(), weight.dtype)
        if torch.is_autocast_enabled(input.device.type):
            input = input.to(torch.get_autocast_dtype(input.device.type))
        return _torch.layer(input, weight, bias, self._geometry(), input.dtype)

    def _geometry(self) -> _torch.Geometry:
        if isinstance(self.padding, str):
            spans = [d * (k - 1) if self.padding == "same" else 0 for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            pads = tuple((span // 2, span - span // 2) for span in spans)
        else:
            pads = tuple((p, p) for p in self.padding)
        return _torch.Geometry.of(pads, _MODES[self.padding_mode], self.stride, self.dilation, self.groups)

    def _check(self, image: Any, weight: torch.Tensor) -> None:
        if not isinstance(image, torch.Tensor):
            raise DTypeError(f"the layer takes tensors and got {type(image).__name__}; use torch.as_tensor(image)")
        shape = tuple(image.shape)
        if self.plain:
            if len(shape) < 2:
                raise ShapeError(f"the layer takes images (H, W), batches leading, and got shape {shape}")
        elif len(shape) not in (3, 4) or shape[-3] != self.in_channels:
            raise ShapeError(
                f"the layer takes images (N, {self.in_channels}, H, W) or ({self.in_channels}, H, W) and got shape {shape}"
                + ("; use image[None] for a channel axis" if len(shape) == 2 and self.in_channels == 1 else "")
            )
        if image.is_complex():
            raise DTypeError(f"the layer's weights are real and the image is {image.dtype}; use corr2d.corr2d, or image.real and image.imag")
        if image.device != weight.device:
            raise DTypeError(f"the image is on device {image.device} and the layer on {weight.device}; use layer.to({str(image.device)!r})")
        if 0 in shape[-2:] and self.padding_mode != "zeros" and self.padding not in ("valid", (0, 0)):
            raise ShapeError(f"the image has shape {shape}, so there is no pixel for padding_mode={self.padding_mode!r} to extend")

    def extra_repr(self) -> str:
        """As ``torch.nn.Conv2d`` shows itself, without channels in the chapter's form."""
        text = super().extra_repr()
        return text.removeprefix("1, 1, ") if self.plain else text
