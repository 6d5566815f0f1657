"""The studio's server: what it answers, whom it refuses, how it begins and ends."""

import http.client
import io
import json
import re
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

import corr2d
from corr2d import cli, images, kernels
from corr2d._errors import OptionError, ShapeError
from studio_page import ask, server, url  # noqa: F401

pytest.importorskip("PIL.Image", reason="image files need pillow")
tifffile = pytest.importorskip("tifffile", reason="TIFF needs tifffile")

from corr2d.studio import Service  # noqa: E402
from corr2d.studio._pictures import Pictures, preview  # noqa: E402

CAMERAMAN = images.sample().pixels
RNG = np.random.default_rng(9)
RGB = RNG.integers(0, 65536, (40, 30, 3), np.uint16)
KERNEL = {"weights": [[1, -2, 0.5], [3, 0, 1]], "name": "mine"}


def rows(record, data):
    """A reply's plane."""
    return np.frombuffer(data, "<f8").reshape(record["rows"], record["columns"])


def raw(url, method="GET", path="/", headers=(), body=b""):
    """(status, body) of a request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")), timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in headers:
        connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, content, dict(reply.getheaders())


# -- answers -----------------------------------------------------------------------------------------


def test_hello_says_what_there_is(url):
    status, record, _ = ask(url, "hello")
    assert status == 200
    assert record["picture"]["height"] == 512
    presets = {preset["name"]: preset["weights"] for preset in record["presets"]}
    assert presets["sobel-x"] == kernels.sobel(1).weights.tolist()
    assert {design.replace("_", "-") for design in kernels.__all__} <= {name.removesuffix("-x") for name in presets}
    assert len(record["targets"]) == 17


@pytest.mark.parametrize("format", ["png", "tif", "npy"])
def test_an_upload_comes_back_as_gray_values(url, format):
    """16 bits stay 16 bits; the preview is the luma."""
    _, record, _ = ask(url, "upload", {"name": "färbig"}, images.encode(format, RGB))
    assert (record["name"], record["height"], record["width"], record["channels"], record["dtype"]) == ("färbig", 40, 30, 3, "uint16")
    status, record, data = ask(url, "preview", {"picture": record["id"]})
    assert status == 200
    gray, *channels = np.frombuffer(data).reshape(4, 40, 30)
    np.testing.assert_allclose(gray, RGB @ [0.299, 0.587, 0.114], rtol=1e-12)
    np.testing.assert_array_equal(channels, np.moveaxis(RGB, -1, 0))


def test_a_large_picture_is_shown_as_block_means():
    image = RNG.integers(0, 256, (1030, 513), np.uint8)
    (small,) = preview(image)
    assert small.shape == (343, 171)
    np.testing.assert_allclose(small[5, 7], image[15:18, 21:24].mean(), rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": "same", "boundary": "wrap"},
        {"padding": "same", "boundary": "edge", "dilation": 2, "convolve": True},
        {"padding": 3, "boundary": "constant", "fill": 7, "stride": 2},
        {"padding": "full", "boundary": "symmetric", "convolve": True},
        {"padding": "valid"},
    ],
)
def test_the_engine_filters_the_whole_picture(url, options):
    """The same as the function, turned where convolution is asked."""
    status, record, data = ask(url, "apply", {"kernel": KERNEL, "options": options})
    given = dict(options)
    call = corr2d.convolve2d if given.pop("convolve", False) else corr2d.corr2d
    expected = call(CAMERAMAN, KERNEL["weights"], **given)
    assert status == 200
    assert record["shape"] == list(expected.shape)
    assert record["method"] in record["plan"]
    assert record["seconds"] > 0
    np.testing.assert_allclose(rows(record, data), expected, rtol=0, atol=1e-3)


def test_nan_and_inf_get_through(url):
    """JSON has no NaN; the numbers that have one are left open, and the planes keep theirs."""
    image = np.ones((9, 9), np.float32)
    image[4, 4], image[0, 0] = np.nan, np.inf
    _, picture, _ = ask(url, "upload", {"name": "x"}, images.encode("npy", image))
    asked = {"picture": picture["id"], "kernel": {"weights": [[1, 1, 1]]}, "options": {"padding": "valid"}}
    status, record, data = ask(url, "apply", asked)
    assert (status, record["low"]) == (200, None)
    np.testing.assert_array_equal(rows(record, data), corr2d.corr2d(image, [[1, 1, 1]]))
    status, _, data = ask(url, "download", asked | {"format": "tif"})
    assert status == 200


def test_downloads_are_files(url):
    """Full resolution, all channels, PNG in 8 bits and TIFF in 16; edges around mid-grey."""
    _, picture, _ = ask(url, "upload", {"name": "x"}, images.encode("tif", RGB))
    asked = {"picture": picture["id"], "kernel": {"weights": [[0.5, 0.5]]}, "options": {"padding": "same", "boundary": "edge"}}
    expected = corr2d.corr2d(RGB, [[0.5, 0.5]], padding="same", boundary="edge", channel_axis=-1)
    _, record, data = ask(url, "download", asked | {"format": "tif"})
    assert record["name"] == "output.tif"
    np.testing.assert_array_equal(images.decode(data).pixels, np.rint(expected))
    _, _, data = ask(url, "download", asked | {"format": "png"})
    assert np.abs(images.decode(data).pixels - expected / 257).max() <= 0.501
    _, record, data = ask(url, "download", asked | {"format": "png", "kernel": {"weights": [[1, -1]]}})
    assert "zero-gain" in record["note"]
    assert abs(int(np.median(images.decode(data).pixels)) - 128) < 12
    _, _, data = ask(url, "download", asked | {"format": "json"})
    assert json.loads(data)["weights"] == [[0.5, 0.5]]


def test_exports_are_the_packages(url):
    for target in ("numpy", "ffmpeg", "json"):
        status, record, _ = ask(url, "export", {"kernel": KERNEL, "target": target, "options": {"boundary": "edge"}})
        kernel = corr2d.Kernel(KERNEL["weights"], name="mine")
        expected = kernel.export(target, boundary=None if target == "json" else "edge", strict=False)
        assert status == 200
        assert (record["text"], record["exact"]) == (expected.text, expected.exact)


def test_what_a_tool_cannot_hold_is_an_answer(url):
    status, record, _ = ask(url, "export", {"kernel": KERNEL, "target": "photoshop"})
    assert status == 200
    assert "photoshop" in record["warnings"][0]


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"<html>", "neither PNG, JPEG, TIFF nor NPY"),
        (b"\x89PNG\r\n\x1a\nrubbish", "cut off"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': 'O'}\n", ""),
        (images.encode("npy", np.zeros((3, 3), np.complex64)), "complex"),
        (images.encode("npy", np.zeros((3, 3, 40), np.uint8)), "channels come last"),
    ],
)
def test_what_is_no_picture_is_refused(url, content, reason):
    status, record, _ = ask(url, "upload", {"name": "x"}, content)
    assert status == 400
    assert reason in record["error"]
    assert "\n" not in record["error"]


@pytest.mark.parametrize("format", ["png", "tif", "npy"])
def test_too_many_pixels_are_refused_by_the_header(url, format):
    """101 megapixels in a few bytes: refused before they are unpacked."""
    if format == "npy":
        content = images.encode("npy", np.zeros((1, 1), np.uint8)).replace(b"(1, 1), }       ", b"(10100, 10000), }")
    elif format == "tif":
        file = io.BytesIO()
        tifffile.imwrite(file, np.zeros((10100, 10000), np.uint8), compression="zlib")
        content = file.getvalue()
    else:
        import struct
        import zlib

        header = struct.pack(">IIBBBBB", 10000, 10100, 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
        content = b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
        )
    status, record, _ = ask(url, "upload", {"name": "x"}, content)
    assert status == 400
    assert "at most 100 megapixels" in record["error"] or format == "npy"


def test_too_many_bytes_are_refused(url):
    """By what the header promises, and by what comes where it promises nothing."""
    host = ("Host", url.split("/")[2])
    status, body, _ = raw(url, "POST", "/api/upload", [host, ("x-corr2d", "{}"), ("Content-Length", str(64 * 2**20 + 1))])
    assert status == 413
    assert b"64 MB" in body
    connection = socket.create_connection(("127.0.0.1", int(host[1].split(":")[1])), timeout=30)
    connection.sendall(f"POST /api/hello HTTP/1.1\r\nHost: {host[1]}\r\nx-corr2d: {{}}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    try:
        for _ in range(40):
            connection.sendall(chunk)
    except OSError:
        pass  # it no longer listens, and has answered
    assert b"413" in connection.recv(200)
    connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([("Host", "evil.example")], 403),
        ([("Host", "127.0.0.1")], 403),
        ([("Host", "HERE"), ("Origin", "http://evil.example")], 403),
        ([("Host", "HERE"), ("Origin", "null")], 403),
        ([("Host", "HERE"), ("Origin", "http://HERE")], 200),
        ([("Host", "HERE")], 200),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/hello"])
def test_foreign_hosts_and_origins_are_refused(url, headers, status, path):
    here = url.split("/")[2]
    given = [(name, value.replace("HERE", here)) for name, value in headers]
    method = "POST" if path.startswith("/api") else "GET"
    got, body, sent = raw(url, method, path, [*given, ("x-corr2d", "{}"), ("Content-Length", "0")])
    assert got == status
    assert "default-src 'none'" in sent["content-security-policy"]
    if status != 200:
        assert re.search(rb"Host|Origin", body)


def test_a_question_without_the_header_is_refused(url):
    """A form on another page can send a body, but not this header."""
    status, body, _ = raw(url, "POST", "/api/hello", [("Host", url.split("/")[2]), ("Content-Length", "2")], b"{}")
    assert status == 403
    assert b"x-corr2d" in body


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/_service.py", "/static/main.mjs", "/api/../main.mjs"]
)
def test_no_path_reaches_the_file_system(url, path):
    status, body, _ = raw(url, "GET", path, [("Host", url.split("/")[2])])
    assert status in (404, 405)
    assert b"root:" not in body


@pytest.mark.parametrize(
    ("question", "record", "reason"),
    [
        ("nothing", {}, "no question 'nothing'"),
        ("describe", {}, "no kernel"),
        ("describe", {"kernel": 3}, "no JSON object"),
        ("describe", {"kernel": {"weights": [[1, "2"]]}}, "no number"),
        ("describe", {"kernel": {"weights": [[1, True]]}}, "no number"),
        ("describe", {"kernel": {"weights": [[1], [2, 3]]}}, ""),
        ("describe", {"kernel": {"weights": [[0] * 100]}}, "more than 64 taps"),
        ("apply", {"kernel": KERNEL, "picture": "../../etc/passwd"}, "no longer kept"),
        ("apply", {"kernel": KERNEL, "options": {"padding": 10**9}}, "padding 1000000000"),
        ("apply", {"kernel": KERNEL, "options": {"boundary": "mirror"}}, "boundary='mirror' is not known"),
        ("apply", {"kernel": KERNEL, "options": {"stride": 0}}, "stride 0"),
        ("apply", {"kernel": KERNEL, "options": {"fill": "x"}}, "fill 'x'"),
        ("download", {"kernel": KERNEL, "format": "exe"}, "format 'exe'"),
        ("describe", {"kernel": {"weights": [[1, 2]], "anchor": 7}}, "anchor '7' is not two whole numbers"),
        ("describe", {"kernel": {"weights": [[1, 2]], "anchor": [0, 5]}}, "anchor"),
        ("learn", {"before": "0", "after": "0", "size": [1, 2, 3]}, "size '[1, 2, 3]' is not two whole numbers"),
        ("learn", {"before": "0", "after": "0", "size": "large"}, "size 'large' is not two whole numbers"),
    ],
)
def test_nonsense_is_refused_in_one_line(url, question, record, reason):
    status, answer, _ = ask(url, question, record)
    assert status == 400
    assert reason in answer["error"]
    assert "\n" not in answer["error"]


def test_what_is_no_json_is_refused(url):
    here = ("Host", url.split("/")[2])
    for body in (b"{", b"[" * 20_000, b'{"a": NaN}'):
        status, answer, _ = raw(url, "POST", "/api/describe", [here, ("x-corr2d", "{}"), ("Content-Length", str(len(body)))], body)
        assert status == 400
        assert b"no JSON" in answer


def test_old_uploads_are_forgotten_and_the_first_is_not():
    """As many as fit; what is gone is said to be gone."""
    pictures = Pictures(images.sample(), "first")
    class Large:  # an image of 700 MB that takes no memory
        pixels = np.broadcast_to(np.uint8(1), (35_000, 20_000))

    one, two = pictures.add(Large, "one"), pictures.add(Large, "two")
    assert pictures.get(two.id) is two
    with pytest.raises(corr2d.Corr2dError, match="no longer kept"):
        pictures.get(one.id)
    assert pictures.get("0").name == "first"


# -- the command -------------------------------------------------------------------------------------


def test_the_command_opens_the_given_picture(tmp_path):
    images.write(tmp_path / "mine.tif", RGB)
    with server(tmp_path / "mine.tif") as url:
        _, record, _ = ask(url, "hello")
        assert (record["picture"]["name"], record["picture"]["width"]) == ("mine.tif", 30)


def test_a_port_that_is_taken_is_one_line(capfd):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.main(["studio", "--no-browser", "--port", str(port)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"corr2d: port {port} is taken; choose another with --port, or leave it out for a free one\n"


@pytest.mark.parametrize(
    ("argv", "status", "reason"),
    [
        (["--port", "70000"], 2, "a port is a number from 0 to 65535"),
        (["--port", "x"], 2, "port"),
        (["nowhere.png"], 1, "nowhere.png"),
        (["a.png", "b.png"], 2, ""),
    ],
)
def test_bad_usage_is_one_line(capfd, argv, status, reason):
    assert cli.main(["studio", "--no-browser", *argv]) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert reason in err


def test_without_the_extra_the_command_says_what_to_install(capfd, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("corr2d.studio")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["studio", "--no-browser"]) == 1
    assert 'pip install "corr2d[studio]"' in capfd.readouterr().err


def test_ctrl_c_ends_it_while_a_page_is_open():
    """At once, with status 0 and without a word; the connection that a browser keeps is closed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "corr2d.cli", "studio", "--no-browser", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    url = process.stdout.readline().strip()
    connection = http.client.HTTPConnection(url.split("/")[2], timeout=30)
    connection.request("GET", "/")
    connection.getresponse().read()
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - start < 10
    connection.close()


# -- the notebook ------------------------------------------------------------------------------------


def test_the_widget_holds_a_kernel():
    """Readable and settable, observed, refused where it cannot be shown."""
    pytest.importorskip("anywidget", reason="the notebook studio needs anywidget: pip install 'corr2d[notebook]'")
    studio = corr2d.KernelStudio(CAMERAMAN, kernel="sobel-x")
    assert studio.kernel == kernels.sobel(1)
    seen = []
    studio.observe(lambda change: seen.append(change["new"]), "kernel")
    studio.kernel = [[1, -1]]
    assert seen == [corr2d.Kernel([[1, -1]])]
    studio.set_state({"kernel": {"weights": [[1, 2], [3, 4]], "anchor": [0, 1], "name": "page"}})  # as the page does
    assert studio.kernel == corr2d.Kernel([[1, 2], [3, 4]], anchor=(0, 1))
    assert studio.kernel.name == "page"
    for wrong, error in ((np.ones((16, 1)), OptionError), (np.ones((1, 1, 2, 2)), OptionError), ("sobbel", OptionError), ([1, 2], ShapeError)):
        with pytest.raises(error):
            studio.kernel = wrong
    assert studio.kernel.shape == (2, 2)


def test_the_widget_answers_the_page(monkeypatch):
    """Questions by message, answers under their number, errors as words."""
    pytest.importorskip("anywidget", reason="the notebook studio needs anywidget: pip install 'corr2d[notebook]'")
    studio = corr2d.KernelStudio()
    sent = []
    monkeypatch.setattr(studio, "send", lambda content, buffers=None: sent.append((content, buffers)))
    studio._handle_custom_msg({"id": 1, "question": "preview", "record": {}}, [])
    studio._handle_custom_msg({"id": 2, "question": "nothing", "record": {}}, [])
    studio._handle_custom_msg({"id": 3, "question": "upload", "record": {"name": "x"}}, [memoryview(images.encode("png", CAMERAMAN))])
    assert [content["id"] for content, _ in sent] == [1, 2, 3]
    np.testing.assert_array_equal(rows(sent[0][0]["record"], sent[0][1][0]), CAMERAMAN)
    assert "no question" in sent[1][0]["error"]
    assert sent[2][0]["record"]["width"] == 512


def test_service_refuses_what_is_no_record():
    with pytest.raises(OptionError, match="JSON object"):
        Service().answer("hello", [])
