"""What a page can ask: one method a question, from plain records to plain records.

HTTP and the notebook are two ways of asking; neither knows what an answer means.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import corr2d

from .. import _samples, images
from .._errors import Corr2dError, OptionError
from .._files import one_line
from ..export import TARGETS
from ..images import Image
from ..kernel import Kernel
from ..kernel_text import PRESETS, parse_kernel
from ._pictures import MOST_PIXELS, Picture, Pictures, luma, preview
from ._requests import kernel_of, options_of, size_of

__all__ = ["GRID", "Reply", "Service"]

GRID = 15  # taps a side in the page's grid
_MOST_COMPARED = 2**21  # samples of a result that go back to the page
_WITH_ARGUMENTS = {  # presets that say nothing without a number
    "airy": "airy:radius=3,size=15", "binomial": "binomial:n=5", "box": "box:h=3", "compass": "compass:direction=N",
    "derivative": "derivative:dy=0,dx=2,accuracy=4", "directional": "directional:angle=30", "disk": "disk:r=2",
    "dog": "dog:s1=1,s2=1.6", "gabor": "gabor:wavelength=4", "gaussian": "gaussian:sigma=1", "integral": "integral:n=5",
    "kirsch": "kirsch:direction=N", "lanczos": "lanczos:factor=2", "log": "log:sigma=1.4",
    "moffat": "moffat:gamma=1.5,alpha=3,size=11", "motion": "motion:length=7,angle=30",
    "savgol": "savgol:window=5,degree=2", "shift": "shift:dy=0,dx=0.5",
    "smallest-derivative": "smallest-derivative:order=3", "unsharp": "unsharp:sigma=1,amount=1",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """An answer: a record, and bytes where it has any."""

    record: dict[str, Any] = field(default_factory=dict)
    data: bytes = b""
    media: str = "application/octet-stream"


class Service:
    """Answers a page's questions about kernels and pictures.

    Parameters
    ----------
    image
        The picture to begin with; default the photograph that ships with the package.
    name
        What to call it.

    Examples
    --------
    >>> service = Service()
    >>> service.answer("hello", {}).record["picture"]["width"]
    512
    >>> service.answer("describe", {"kernel": {"weights": [[1, -1]]}}).record["text"].splitlines()[0]
    '...'
    """

    def __init__(self, image: Image | None = None, name: str = "cameraman") -> None:
        self.pictures = Pictures(image or images.sample(), name)
        self._questions: dict[str, Callable[[dict[str, Any], bytes], Reply]] = {
            "hello": self._hello,
            "upload": self._upload,
            "preview": self._preview,
            "describe": self._describe,
            "apply": self._apply,
            "download": self._download,
            "learn": self._learn,
            "export": self._export,
        }

    def answer(self, question: str, record: dict[str, Any], data: bytes = b"") -> Reply:
        """The reply to a question, or a `Corr2dError` that a person can read."""
        known = self._questions.get(question)
        if known is None:
            raise OptionError(f"there is no question {question!r}; there are {', '.join(self._questions)}")
        if not isinstance(record, dict):
            raise OptionError("a request is a JSON object")
        return known(record, data)

    # -- pictures --------------------------------------------------------------

    def _hello(self, record: dict[str, Any], data: bytes) -> Reply:
        return Reply(
            {
                "version": corr2d.__version__,
                "picture": self.pictures.first.to_dict(),
                "presets": [_kernel_record(name, kernel) for name, kernel in _presets()],
                "targets": list(TARGETS),
                "threads": corr2d.get_threads(),
            }
        )

    def _upload(self, record: dict[str, Any], data: bytes) -> Reply:
        if not data:
            raise OptionError("the picture is empty: 0 bytes came")
        image = images.decode(data, most_pixels=MOST_PIXELS)
        name = str(record.get("name") or "picture")[:200]
        return Reply(self.pictures.add(image, name).to_dict())

    def _preview(self, record: dict[str, Any], data: bytes) -> Reply:
        picture = self.pictures.get(record.get("picture"))
        planes = preview(picture.pixels)
        return Reply(picture.to_dict() | _size(planes[0]), planes.tobytes())

    # -- kernels ---------------------------------------------------------------

    def _describe(self, record: dict[str, Any], data: bytes) -> Reply:
        return Reply({"text": str(corr2d.describe(kernel_of(_part(record, "kernel"))))})

    def _export(self, record: dict[str, Any], data: bytes) -> Reply:
        target = str(record.get("target", "numpy"))
        boundary = options_of(_part(record, "options"), channels=False)["boundary"]
        if target == "json":
            boundary = None  # a kernel file holds no boundary
        try:
            exported = _applied(record).export(target, boundary=boundary, strict=False)
        except Corr2dError as error:  # what a tool cannot hold is an answer, too
            return Reply({"text": "", "warnings": [one_line(error)], "exact": False})
        answer = {"warnings": list(exported.warnings), "exact": bool(exported.exact)}
        if isinstance(exported.text, bytes):
            return Reply(answer | {"text": f"({len(exported.text)} bytes: save them)"}, exported.text)
        return Reply(answer | {"text": exported.text})

    # -- the engine ------------------------------------------------------------

    def _apply(self, record: dict[str, Any], data: bytes) -> Reply:
        picture, result, plan, seconds = self._filtered(record)
        answer = {
            "plan": str(plan),
            "method": plan.method,
            "engine": plan.engine,
            "predicted": plan.seconds,
            "seconds": seconds,
            "shape": list(result.shape),
            "low": _finite(result.min()),
            "high": _finite(result.max()),
        }
        if result.size > _MOST_COMPARED or picture.to_dict()["step"] > 1:
            return Reply(answer)
        # As large as the page's own result, so that the page can compare the two.
        gray = luma(np.asarray(result, np.float64))
        return Reply(answer | _size(gray), gray.tobytes())

    def _download(self, record: dict[str, Any], data: bytes) -> Reply:
        format = record.get("format")
        kernel = kernel_of(_part(record, "kernel"))
        if format == "json":
            return Reply({"name": "kernel.json"}, kernel.export("json").text.encode(), "application/json")
        if format not in ("png", "tif"):
            raise OptionError(f"download format {format!r} is not known; choose png, tif or json")
        picture, result, _, _ = self._filtered(record)
        deep = np.dtype(np.uint16 if format == "tif" else np.uint8)
        own = picture.pixels.dtype
        # Integers keep their white; floats, whose white is 1, are stretched to the type's.
        scale = np.iinfo(deep).max / (np.iinfo(own).max if own.kind in "iu" else 1.0)
        zero_gain = _samples.is_zero_gain(kernel)
        fitted = _samples.fit(result, deep, zero_gain=zero_gain, scale=None if zero_gain else scale)
        name = {"png": "output.png", "tif": "output.tif"}[format]
        samples = fitted.samples
        if samples.ndim == 3 and samples.shape[2] not in (1, 3) and format == "png":
            raise OptionError(f"PNG holds 1 or 3 channels and not {samples.shape[2]}; take the TIFF")
        media = "image/png" if format == "png" else "image/tiff"
        return Reply({"name": name, "note": fitted.note}, images.encode(format, Image(samples)), media)

    def _filtered(self, record: dict[str, Any]) -> tuple[Picture, NDArray[Any], Any, float]:
        picture = self.pictures.get(record.get("picture"))
        kernel = _applied(record)
        given = _part(record, "options")
        options = options_of(given, channels=picture.pixels.ndim == 3)
        if given.get("convolve") and options["padding"] == "same" and _part(record, "kernel").get("anchor") is None:
            # convolve2d's: the larger half first, which no anchor says where taps are spread.
            reach = [options["dilation"] * (taps - 1) for taps in kernel.shape]
            options["padding"] = tuple((length - length // 2, length // 2) for length in reach)
        plan = corr2d.plan(picture.pixels, kernel, **options)
        seconds: list[float] = []
        # Once more while it is quick: a first run pays for memory that later ones find in place.
        while len(seconds) < 3 and sum(seconds) < 0.2:
            start = time.perf_counter()
            result = plan(picture.pixels)
            seconds.append(time.perf_counter() - start)
        return picture, result, plan, min(seconds)

    # -- learning --------------------------------------------------------------

    def _learn(self, record: dict[str, Any], data: bytes) -> Reply:
        size = size_of(record)
        before, after = (self.pictures.get(record.get(side)).pixels for side in ("before", "after"))
        if before.ndim != after.ndim:  # one of them in colour
            before, after = luma(np.asarray(before, np.float64)), luma(np.asarray(after, np.float64))
        elif before.ndim == 3:
            before, after = np.moveaxis(before, -1, 0), np.moveaxis(after, -1, 0)
        start = time.perf_counter()
        fit = corr2d.learn_kernel(before, after, size, bias=bool(record.get("bias", True)))
        seconds = time.perf_counter() - start
        return Reply(
            {
                "kernel": _kernel_record("", fit.kernel),
                "name": fit.name or "",
                "bias": _finite(np.ravel(fit.bias)[0]),
                "stderr": [[_finite(value) for value in row] for row in np.atleast_2d(fit.stderr)],
                "verdict": fit.verdict,
                "reasons": [str(reason) for reason in fit.reasons],
                "rms": _finite(fit.rms),
                "seconds": seconds,
            }
        )


def _applied(record: dict[str, Any]) -> Kernel:
    """The kernel of a request as it meets the pixels."""
    kernel = kernel_of(_part(record, "kernel"))
    # Turned with its anchor, as convolve2d does it.
    return kernel.flip() if _part(record, "options").get("convolve") else kernel


def _part(record: dict[str, Any], name: str) -> dict[str, Any]:
    part = record.get(name, {})
    if not isinstance(part, dict):
        raise OptionError(f"{name} in the request is no JSON object")
    return part


def _size(gray: NDArray[Any]) -> dict[str, int]:
    return {"rows": gray.shape[0], "columns": gray.shape[1]}


def _kernel_record(name: str, kernel: Kernel) -> dict[str, Any]:
    return {"name": name, "weights": kernel.weights.tolist(), "anchor": kernel.anchor}


def _finite(value: Any) -> float | None:
    """A number for JSON, which has no NaN."""
    return float(value) if np.isfinite(value) else None


def _presets() -> list[tuple[str, Kernel]]:
    """Every preset that fits the grid, with its usual arguments."""
    found = []
    for name in PRESETS:
        try:
            kernel = parse_kernel(_WITH_ARGUMENTS.get(name, name))
        except Corr2dError:
            continue
        if kernel.ndim == 2 and max(kernel.shape) <= GRID:
            found.append((name, kernel))
    return found
