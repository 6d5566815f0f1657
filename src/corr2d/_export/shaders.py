"""Shaders for WebGL 2 and WebGPU."""

from __future__ import annotations

from .code import C_LIKE_INDEX, floats, literal
from .request import Request, Target, comment

__all__ = ["GLSL", "WGSL"]

_NOTES = {
    "orientation": "correlation, the kernel as it is; row 0 of the texture is the top row of the image",
    "numbers": "float (32 bits); an 8-bit texture gives 0 to 1, an 8-bit target cuts results to 0 to 1",
}


def _bias(request: Request) -> dict[str, str]:
    return {"bias": f"{literal(request.bias)} grey levels, as samples run from 0 to 1: {literal(request.bias / 255)}"}


def _glsl(request: Request) -> str:
    weights = request.single()
    facts = request.facts(**_NOTES, **_bias(request))
    (kh, kw), (row, column) = weights.shape, request.anchor
    read = "texelFetch(image, ivec2(source(q.x, n.x), source(q.y, n.y)), 0).rgb"
    if request.boundary == "constant":
        index = ""
        read = "(any(lessThan(q, ivec2(0))) || any(greaterThanEqual(q, n)) ? vec3(0.0) : texelFetch(image, q, 0).rgb)"
    else:
        body = C_LIKE_INDEX[request.boundary].replace("MORE", str(max(kh, kw)))
        index = f"\nint source(int i, int n) {{\n    {body}\n}}\n"
    return f"""#version 300 es
{comment(facts, "// ")}// Draw a rectangle over the whole target, as large as the image; leave UNPACK_FLIP_Y_WEBGL off.
precision highp float;
precision highp int;
uniform highp sampler2D image;
out vec4 result;

const int ROWS = {kh}, COLUMNS = {kw};
const ivec2 ANCHOR = ivec2({column}, {row});  // x, y
const float BIAS = {literal(request.bias / 255)};
const float KERNEL[ROWS * COLUMNS] = float[ROWS * COLUMNS](
{floats(weights)}
);
{index}
void main() {{
    ivec2 n = textureSize(image, 0), p = ivec2(gl_FragCoord.xy);
    vec3 sum = vec3(BIAS);
    for (int i = 0; i < ROWS; ++i)
        for (int j = 0; j < COLUMNS; ++j) {{
            ivec2 q = p + ivec2(j, i) - ANCHOR;
            sum += KERNEL[i * COLUMNS + j] * {read};
        }}
    result = vec4(sum, texelFetch(image, p, 0).a);
}}
"""


_WGSL_INDEX = {
    "edge": "return clamp(i, 0, n - 1);",
    "reflect": "let p = max(2 * n - 2, 1);\n    let m = (i + MORE * p) % p;\n    return select(p - m, m, m < n);",
    "symmetric": "let p = 2 * n;\n    let m = (i + MORE * p) % p;\n    return select(p - 1 - m, m, m < n);",
    "wrap": "return (i + MORE * n) % n;",
}


def _wgsl(request: Request) -> str:
    weights = request.single()
    facts = request.facts(**_NOTES, **_bias(request))
    (kh, kw), (row, column) = weights.shape, request.anchor
    if request.boundary == "constant":
        index = ""
        # textureLoad outside the texture may give any texel: the condition is needed.
        read = "select(vec3f(0.0), textureLoad(image, clamp(q, vec2i(0), n - 1), 0).rgb, all(q >= vec2i(0)) && all(q < n))"
    else:
        body = _WGSL_INDEX[request.boundary].replace("MORE", str(max(kh, kw)))
        index = f"\nfn source(i: i32, n: i32) -> i32 {{\n    {body}\n}}\n"
        read = "textureLoad(image, vec2i(source(q.x, n.x), source(q.y, n.y)), 0).rgb"
    return f"""{comment(facts, "// ")}// Dispatch ceil(width / 8) x ceil(height / 8) workgroups.
@group(0) @binding(0) var image: texture_2d<f32>;
@group(0) @binding(1) var result: texture_storage_2d<rgba32float, write>;

const ROWS = {kh};
const COLUMNS = {kw};
const ANCHOR = vec2i({column}, {row});  // x, y
const BIAS = {literal(request.bias / 255)};
var<private> KERNEL: array<f32, {kh * kw}> = array<f32, {kh * kw}>(
{floats(weights)}
);
{index}
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {{
    let n = vec2i(textureDimensions(image));
    let p = vec2i(id.xy);
    if (any(p >= n)) {{
        return;
    }}
    var sum = vec3f(BIAS);
    for (var i = 0; i < ROWS; i++) {{
        for (var j = 0; j < COLUMNS; j++) {{
            let q = p + vec2i(j, i) - ANCHOR;
            sum += KERNEL[i * COLUMNS + j] * {read};
        }}
    }}
    textureStore(result, p, vec4f(sum, textureLoad(image, p, 0).a));
}}
"""


_BORDERS = {name: name for name in ("edge", "constant", "reflect", "symmetric", "wrap")}
GLSL = Target(_glsl, _BORDERS)
WGSL = Target(_wgsl, _BORDERS)
