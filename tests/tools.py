"""Runs exported texts in the programs they are for.

Each runner takes texts and an image and gives what the program made of it, one array a
text. Where the program is absent, `Absent` says in a sentence what is missing.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np


class Absent(Exception):
    """A program that is not on this machine."""


def need(*names):
    """The first of these programs that is here."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise Absent(f"{' or '.join(names)} is not installed")


def call(*command, cwd, **options):
    """Run to the end; what it said where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-300:]}{done.stderr[-600:]}"
    return done.stdout


# -- Python --------------------------------------------------------------------------


def python(text, image):
    scope = {"image": image}
    exec(compile(text, "exported", "exec"), scope)
    return np.asarray(scope["result"])


def onnxruntime(text, image):
    try:
        import onnxruntime as runtime
    except ImportError:
        raise Absent("onnxruntime is not installed") from None
    session = runtime.InferenceSession(text, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": np.float32(image)[None, None]})[0][0, 0]


# -- programs that filter files ---------------------------------------------------------


def shell(*needs):
    """A command that reads in.png and writes out.png."""

    def run(text, image, folder):
        for name in needs:
            need(*name.split("|"))
        picture(folder / "in.png", image)
        with contextlib.suppress(FileNotFoundError):
            (folder / "out.png").unlink()
        call("sh", "-c", text, cwd=folder)
        return pixels(folder / "out.png", image.ndim)

    return run


def vips(text, image, folder):
    import tifffile

    program = need("vips")
    picture(folder / "in.png", image)
    (folder / "kernel.mat").write_text(text)
    call(program, "conv", "in.png", "out.tif", "kernel.mat", "--precision", "float", cwd=folder)
    return tifffile.imread(folder / "out.tif")


def octave(texts, image, folder):
    program = need("octave-cli", "octave")
    np.savetxt(folder / "in.csv", image, delimiter=",", fmt="%.17g")
    parts = [
        f"image = dlmread('in.csv');\n{text}\ndlmwrite('out{n}.csv', result, 'precision', 17);\nclear all\n"
        for n, text in enumerate(texts)
    ]
    (folder / "run.m").write_text("".join(parts))
    call(program, "--no-gui", "--norc", "run.m", cwd=folder)
    return [np.loadtxt(folder / f"out{n}.csv", delimiter=",", ndmin=2) for n in range(len(texts))]


def imagej(texts, image, folder):
    import tifffile

    jar = Path("/usr/share/java/ij.jar")
    if not jar.exists():
        raise Absent("ImageJ (/usr/share/java/ij.jar) is not installed")
    screen, java = need("xvfb-run"), need("java")
    picture(folder / "in.png", image)
    parts = [
        f'open("{folder}/in.png");\n{text}\nsaveAs("Tiff", "{folder}/out{n}.tif");\nclose();\n' for n, text in enumerate(texts)
    ]
    (folder / "run.ijm").write_text("".join(parts))
    call(screen, "-a", java, "-jar", str(jar), "-batch", f"{folder}/run.ijm", cwd=folder)
    return [tifffile.imread(folder / f"out{n}.tif") for n in range(len(texts))]


def picture(path, image):
    from PIL import Image

    Image.fromarray(image).save(path)


def pixels(path, axes):
    from PIL import Image

    return np.asarray(Image.open(path).convert("L" if axes == 2 else "RGB"))


# -- C -------------------------------------------------------------------------------------


def compiler(text, image, folder):
    program = need("cc", "gcc", "clang")
    (folder / "corr2d_kernel.h").write_text(text)
    (folder / "run.c").write_text(
        '#include "corr2d_kernel.h"\n'
        "void run(const float *in, float *out, int h, int w) { corr2d_apply(in, out, h, w); }\n"
    )
    library = folder / f"run{os.urandom(4).hex()}.so"
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    call(program, *strict, "-O1", "-shared", "-fPIC", "run.c", "-o", str(library), cwd=folder)
    given, result = np.ascontiguousarray(image, np.float32), np.empty(image.shape, np.float32)
    ctypes.CDLL(str(library)).run(*(ctypes.c_void_p(array.ctypes.data) for array in (given, result)), *image.shape)
    return result


# -- browsers and graphics cards --------------------------------------------------------------


@contextlib.contextmanager
def browser():
    """A page of a headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise Absent("playwright is not installed") from None
    program = need("chromium", "chromium-browser", "google-chrome")
    options = ["--no-sandbox", "--force-color-profile=srgb", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        yield chromium.new_page()
        chromium.close()


def svg(texts, image, folder):
    picture(folder / "in.png", image)
    results = []
    with browser() as page:
        page.set_viewport_size({"width": image.shape[1], "height": image.shape[0]})
        for text in texts:
            (folder / "page.svg").write_text(text)
            page.goto(f"file://{folder}/page.svg")
            page.screenshot(path=folder / "out.png")
            results.append(pixels(folder / "out.png", image.ndim))
    return results


_WEBGL = """([text, pixels, width, height]) => {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl || !gl.getExtension("EXT_color_buffer_float")) return null;
  const texture = () => {
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    return gl.getParameter(gl.TEXTURE_BINDING_2D);
  };
  const target = texture();
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32F, width, height, 0, gl.RGBA, gl.FLOAT, null);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, target, 0);
  texture();
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(pixels));
  const corners = `#version 300 es
    void main() { gl_Position = vec4(4 * (gl_VertexID & 1) - 1, 2 * (gl_VertexID & 2) - 1, 0, 1); }`;
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, corners], [gl.FRAGMENT_SHADER, text]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) return gl.getShaderInfoLog(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.viewport(0, 0, width, height);
  gl.drawArrays(gl.TRIANGLES, 0, 3);
  const result = new Float32Array(4 * width * height);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, result);
  return [...result];
}"""


def webgl(texts, image, folder):
    """RGBA8 in, float out: what an 8-bit canvas would round."""
    height, width = image.shape[:2]
    results = []
    with browser() as page:
        for text in texts:
            drawn = page.evaluate(_WEBGL, [text, rgba(image).ravel().tolist(), width, height])
            if drawn is None:
                raise Absent("this Chromium has no WebGL 2 with float targets")
            assert isinstance(drawn, list), drawn
            results.append(np.reshape(drawn, (height, width, 4))[..., :3] * 255)
    return results


def webgpu(texts, image, folder):
    try:
        import wgpu
    except ImportError:
        raise Absent("wgpu is not installed") from None
    adapters = wgpu.gpu.enumerate_adapters_sync()
    if not adapters:
        raise Absent("there is no adapter for WebGPU; Debian's mesa-vulkan-drivers has one in software")
    device = adapters[0].request_device_sync()
    height, width = image.shape[:2]
    size = (width, height, 1)
    usage = wgpu.TextureUsage
    source = device.create_texture(size=size, format="rgba8unorm", usage=usage.TEXTURE_BINDING | usage.COPY_DST)
    target = device.create_texture(size=size, format="rgba32float", usage=usage.STORAGE_BINDING | usage.COPY_SRC)
    layout = {"bytes_per_row": 4 * width, "rows_per_image": height}
    device.queue.write_texture({"texture": source}, rgba(image).tobytes(), layout, size)
    results = []
    for text in texts:
        module = device.create_shader_module(code=text)
        pipeline = device.create_compute_pipeline(layout="auto", compute={"module": module, "entry_point": "main"})
        group = device.create_bind_group(
            layout=pipeline.get_bind_group_layout(0),
            entries=[{"binding": n, "resource": texture.create_view()} for n, texture in enumerate((source, target))],
        )
        encoder = device.create_command_encoder()
        compute = encoder.begin_compute_pass()
        compute.set_pipeline(pipeline)
        compute.set_bind_group(0, group)
        compute.dispatch_workgroups(-(-width // 8), -(-height // 8))
        compute.end()
        device.queue.submit([encoder.finish()])
        data = device.queue.read_texture({"texture": target}, {"bytes_per_row": 16 * width, "rows_per_image": height}, size)
        results.append(np.frombuffer(data, np.float32).reshape(height, width, 4)[..., :3] * 255.0)
    return results


def rgba(image):
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
