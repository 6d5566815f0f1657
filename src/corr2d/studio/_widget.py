"""The studio in a notebook: Jupyter, marimo, VS Code."""

from typing import Any

import numpy as np

from .. import images
from .._errors import Corr2dError, MissingExtraError, OptionError
from .._files import one_line
from ..images import Image
from ..kernel import Kernel
from ..kernel_text import parse_kernel
from ._bundle import bundle, style
from ._requests import kernel_of
from ._service import GRID, Service

__all__ = ["KernelStudio"]

try:
    import anywidget
    import traitlets
except ImportError as _missing:
    _reason: ImportError | None = _missing
else:
    _reason = None


def _kernel(value: Any) -> Kernel:
    """A kernel from whatever a person assigns: a `Kernel`, rows, an array, a kernel string."""
    kernel = parse_kernel(value) if isinstance(value, str) else Kernel(value)
    if kernel.ndim != 2 or kernel.dtype.kind == "c":
        raise OptionError(f"the studio edits one real kernel (kh, kw); got {kernel.shape} {kernel.dtype}")
    if max(kernel.shape) > GRID:
        raise OptionError(f"the studio's grid ends at {GRID} × {GRID} taps; got {kernel.shape}")
    return kernel


def _to_page(kernel: Kernel, widget: Any = None) -> dict[str, Any]:
    return {"weights": kernel.weights.tolist(), "anchor": kernel.anchor, "name": kernel.name}


if _reason is None:

    class _KernelTrait(traitlets.TraitType):
        """A trait that holds a `Kernel`, and travels as plain rows."""

        info_text = "a Kernel, rows of numbers, or a kernel string"

        def validate(self, obj: Any, value: Any) -> Kernel:
            return _kernel(value)

    class KernelStudio(anywidget.AnyWidget):
        """The studio as a widget: edit a kernel, watch a picture follow, go on in Python.

        Parameters
        ----------
        image : array_like or Image, optional
            ``(H, W)`` or ``(H, W, C)``; default the photograph that ships with corr2d.
        kernel : Kernel, array_like or str, default "sobel-x"
            To begin with.

        Attributes
        ----------
        kernel : Kernel
            What the page shows. Assigning changes the page; what is edited there is
            here at once, and ``observe(function, "kernel")`` calls on every change.
        options : dict
            How the page applies it: ``padding``, ``boundary``, ``fill``, ``stride``,
            ``dilation``, ``convolve``.

        Raises
        ------
        MissingExtraError
            anywidget is not installed: ``pip install "corr2d[notebook]"``.
        OptionError
            The kernel mixes channels, is complex, or larger than 15 × 15.

        Examples
        --------
        >>> studio = KernelStudio(kernel=[[1, -1]])
        >>> studio.kernel
        Kernel([[ 1., -1.]])
        >>> studio.kernel = "sobel-y"
        >>> studio.kernel.weights[0]
        array([-1., -2., -1.])
        """

        _esm = bundle()
        _css = style()
        kernel = _KernelTrait().tag(sync=True, to_json=_to_page, from_json=lambda record, widget: kernel_of(record))
        options = traitlets.Dict().tag(sync=True)

        def __init__(self, image: Any = None, kernel: Any = "sobel-x", **traits: Any) -> None:
            if image is not None and not isinstance(image, Image):
                image = Image(np.asarray(image))
            self._service = Service(image, "picture") if image is not None else Service(images.sample())
            super().__init__(kernel=_kernel(kernel), **traits)
            self.on_msg(self._asked)

        def _asked(self, widget: Any, message: dict[str, Any], buffers: list[Any]) -> None:
            """A question of the page, answered under its number."""
            data = bytes(buffers[0]) if buffers else b""
            try:
                reply = self._service.answer(message["question"], message["record"], data)
            except (Corr2dError, ValueError, TypeError, KeyError, MemoryError) as error:
                self.send({"id": message.get("id"), "error": one_line(error)})
            else:
                self.send({"id": message["id"], "record": reply.record}, buffers=[reply.data])

else:

    class KernelStudio:  # type: ignore[no-redef]
        """The studio as a widget, which needs anywidget.

        Examples
        --------
        >>> KernelStudio()
        Traceback (most recent call last):
            ...
        corr2d._errors.MissingExtraError: the notebook studio needs anywidget: pip install "corr2d[notebook]"
        """

        def __init__(self, *args: Any, **traits: Any) -> None:
            raise MissingExtraError(
                'the notebook studio needs anywidget: pip install "corr2d[notebook]"', name="anywidget"
            ) from _reason
