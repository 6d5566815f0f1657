"""A picture that filters another: SVG's feConvolveMatrix, which browsers apply to anything."""

from __future__ import annotations

from html import escape

from .request import Request, Target, number, rows

__all__ = ["SVG"]


def _svg(request: Request) -> str:
    request.single()  # what browsers and librsvg compute with
    (kh, kw), (row, column) = request.kernel.shape, request.anchor
    facts = request.facts(
        orientation="convolution; the matrix is the kernel turned by 180 degrees, as the filter turns it back",
        anchor=f"targetX {column}, targetY {row} (of the kernel before it is turned)",
        divisor="1, written out: the default is the sum of the weights",
        bias=f"{number(request.bias)} grey levels: {number(request.bias / 255)}",
        numbers="8 bits in sRGB, results cut to 0 to 255, alpha kept",
    )
    facts.append("librsvg 2.54 transposes the matrix (seen in Debian 12); browsers do not")
    matrix = rows(request.weights[::-1, ::-1], rows_between="\n" + " " * 20)
    description = escape("\n".join(f"  {fact}" for fact in facts), quote=False)
    return f"""<svg xmlns="http://www.w3.org/2000/svg">
<desc>
{description}
  In a page, the style filter: url(#corr2d) applies the filter to any element.
</desc>
<filter id="corr2d" x="0" y="0" width="100%" height="100%" color-interpolation-filters="sRGB">
  <feConvolveMatrix order="{kw} {kh}" divisor="1" bias="{number(request.bias / 255)}"
      targetX="{column}" targetY="{row}" edgeMode="{request.border}" preserveAlpha="true"
      kernelMatrix="{matrix}"/>
</filter>
<image href="in.png" filter="url(#corr2d)"/>
</svg>
"""


SVG = Target(_svg, {"edge": "duplicate", "constant": "none", "wrap": "wrap"})
