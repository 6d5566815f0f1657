"""C, and our own file format."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .request import Request, Target, comment

__all__ = ["C", "C_LIKE_INDEX", "JSON", "floats", "literal"]

# The pixel at which a padding pixel `i` of an axis of `n` is found. MORE is a multiple of every
# period that makes the dividend positive: `%` of a negative number differs between C and GLSL.
C_LIKE_INDEX = {
    "edge": "return i < 0 ? 0 : i >= n ? n - 1 : i;",
    "reflect": "int p = n > 1 ? 2 * n - 2 : 1, m = (i + MORE * p) % p;\n    return m < n ? m : p - m;",
    "symmetric": "int p = 2 * n, m = (i + MORE * p) % p;\n    return m < n ? m : p - 1 - m;",
    "wrap": "return (i + MORE * n) % n;",
}


def literal(value: float) -> str:
    """A float32 in its shortest form, with the point that C and shaders want.

    Examples
    --------
    >>> literal(1), literal(1 / 3), literal(1e-9)
    ('1.0', '0.33333334', '1.0e-09')
    """
    single = np.float32(value) + np.float32(0)  # no negative zero
    plain = not single or 1e-4 < abs(single) < 1e7
    return np.format_float_positional(single, trim="0") if plain else np.format_float_scientific(single, trim="0")


def floats(weights: NDArray[np.float32], suffix: str = "") -> str:
    """float32 literals, one row of the kernel a line."""
    return ",\n".join("    " + ", ".join(literal(value) + suffix for value in row) for row in weights)


def _c(request: Request) -> str:
    weights = request.single()
    facts = request.facts(orientation="correlation, the kernel as it is", numbers="float (32 bits)")
    (kh, kw), (row, column) = weights.shape, request.anchor
    inside = "y < 0 || y >= height || x < 0 || x >= width"
    if request.boundary == "constant":
        index, read = "", f"{inside} ? 0.0f : image[(long)y * width + x]"
    else:
        body = C_LIKE_INDEX[request.boundary].replace("MORE", str(max(kh, kw)))
        index = f"""/* The pixel of an axis of n that stands at i, inside or outside the image. */
static inline int corr2d_source(int i, int n)
{{
    {body}
}}

"""
        read = "image[(long)corr2d_source(y, height) * width + corr2d_source(x, width)]"
    return f"""{comment(facts, "// ")}#ifndef CORR2D_KERNEL_H
#define CORR2D_KERNEL_H

enum {{ CORR2D_ROWS = {kh}, CORR2D_COLUMNS = {kw}, CORR2D_ANCHOR_ROW = {row}, CORR2D_ANCHOR_COLUMN = {column} }};
static const float corr2d_bias = {literal(request.bias)}f;
static const float corr2d_kernel[CORR2D_ROWS * CORR2D_COLUMNS] = {{
{floats(weights, "f")}
}};

{index}/* Filters height x width samples, row after row; result must not overlap image. */
static inline void corr2d_apply(const float *image, float *result, int height, int width)
{{
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column) {{
            float sum = corr2d_bias;
            for (int i = 0; i < CORR2D_ROWS; ++i)
                for (int j = 0; j < CORR2D_COLUMNS; ++j) {{
                    const int y = row + i - CORR2D_ANCHOR_ROW, x = column + j - CORR2D_ANCHOR_COLUMN;
                    sum += corr2d_kernel[i * CORR2D_COLUMNS + j] * ({read});
                }}
            result[(long)row * width + column] = sum;
        }}
}}

#endif
"""


def _json(request: Request) -> str:
    from .._kernel_files import to_json

    return to_json(request.kernel)


C = Target(_c, {name: name for name in ("constant", "edge", "reflect", "symmetric", "wrap")})
JSON = Target(_json, {}, channels=True, complex=True)
