"""xarray DataArrays: the result keeps names, attributes, and the coordinates of its pixels."""

from __future__ import annotations

from typing import Any

from ._problem import Problem


def relabel(image: Any, result: Any, problem: Problem) -> Any:
    """`result` as a DataArray with the labels of `image`.

    An output has the coordinates of the pixel on which it lies: the one under the anchor for
    ``"same"``, else the one under the middle of the kernel, as in ``DataArray.rolling(center=True)``
    for odd sizes. Along an axis where some output lies on no pixel (``"full"``, wide padding), and
    along mixed channels, coordinates are left out: there are none to keep.
    """
    p, where, lost = problem, {}, set()
    for axis, n, size, stride, (before, _), span, dilation in zip(
        p.axes, p.out_size, p.size, p.stride, p.pads, p.span, p.dilation, strict=True
    ):
        same = n == -(-size // stride)
        first = 0 if same else (span // dilation // 2) * dilation - before
        last = first + (n - 1) * stride
        if n and 0 <= first and last < size:
            where[image.dims[axis]] = slice(first, last + 1, stride)
        elif n:
            lost.add(image.dims[axis])
        else:
            where[image.dims[axis]] = slice(0, 0)
    if p.channels:
        lost.add(image.dims[-3 if p.channel_axis is None else p.channel_axis])
    kept = image.coords.to_dataset().isel(where)
    kept = kept.drop_vars([name for name, c in kept.variables.items() if lost & set(c.dims)])
    return type(image)(result, dims=image.dims, coords=kept.coords, attrs=image.attrs, name=image.name)
