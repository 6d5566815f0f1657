"""``corr2d plan``: which algorithm, why, how long."""

from pathlib import Path

import corr2d

from .. import images
from .._errors import Corr2dError, OptionError
from .common import SIZE, Flag, KernelText, print_json, read_kernel
from .options import FilterOptions

__all__ = ["plan"]


def plan(
    image: str,
    /,
    *,
    kernel: KernelText,
    options: FilterOptions = FilterOptions(),  # noqa: B008 (frozen)
    image_dtype: str | None = None,
    json: Flag = False,
) -> None:
    """Show which algorithm would filter an image, why, and how long it would take.

    Parameters
    ----------
    image
        An image file, or a size: 3072x4096, or 3072x4096x3 with channels.
    kernel
        As for apply.
    image_dtype
        Sample type that goes with a size; default float32.
    json
        Print the plan as JSON.
    """
    weights = read_kernel(kernel)
    size = SIZE.fullmatch(image)
    if size and not Path(image).exists():
        shape = tuple(int(side) for side in size.groups() if side)
        sample_type = image_dtype or "float32"
    else:
        if image_dtype:
            raise OptionError(f"--image-dtype goes with a size; {image} has a sample type of its own")
        if not Path(image).exists():
            raise Corr2dError(f"{image}: neither a file nor a size such as 3072x4096")
        pixels = images.read(image).pixels
        shape, sample_type = pixels.shape, pixels.dtype.name
    arguments = options.for_api(channels=len(shape) == 3)
    chosen = corr2d.plan(shape, weights, image_dtype=sample_type, **arguments)
    if json:
        print_json(chosen.to_dict())
    else:
        print(chosen)
