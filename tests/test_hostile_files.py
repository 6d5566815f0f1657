"""Files made to hurt: each is read right or refused in one line, soon, whatever they promise or pretend to be."""

import os
import pickle
import struct
import sys
import time
import zlib

import numpy as np
import pytest

from corr2d import cli, images
from corr2d._errors import ImageFileError, OptionError
from corr2d.kernel import Kernel
from corr2d.kernel_text import parse_kernel

PIL = pytest.importorskip("PIL.Image", reason="image files need pillow")
tifffile = pytest.importorskip("tifffile", reason="TIFF needs tifffile")
pytest.importorskip("imagecodecs", reason="compressed TIFF needs imagecodecs")

GRAY = np.random.default_rng(3).integers(0, 256, (20, 30), np.uint8)
BOMB = zlib.compress(bytes(64 << 20), 9)  # 64 KiB that unpack to 64 MiB


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*extra, size=(4, 4), depth=8, colour=0, pixels=None):
    data = zlib.compress(bytes(20)) if pixels is None else pixels
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)), *extra, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(after=0, tail=bytes(300), **changed):
    """A 4 x 4 gray TIFF of one strip, with tags of another value or count, and another next directory."""
    tags = dict(zip((256, 257, 258, 259, 262, 273, 277, 278, 279), (4, 4, 8, 1, 1, 200, 1, 4, 16), strict=True))
    tags |= {int(k[1:]): v for k, v in changed.items()}
    entries = [struct.pack("<HHII", tag, 4, *(value if isinstance(value, tuple) else (1, value))) for tag, value in tags.items()]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + b"".join(entries) + struct.pack("<I", after)
    return head.ljust(200, b"\0") + tail


def jpeg(height, width):
    """A whole JPEG of 20 x 30 pixels whose header claims another size."""
    import io

    file = io.BytesIO()
    PIL.fromarray(GRAY).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


HOSTILE = {
    "text.png": (png(chunk(b"zTXt", b"k\0\0" + BOMB)), "too large"),
    "international.png": (png(chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB)), "too large"),
    "profile.png": (png(chunk(b"iCCP", b"p\0\0" + BOMB)), "too large"),
    "few.png": (png(size=(9000, 9000), depth=16, colour=2), "not enough image data|cut off|truncated"),
    "nothing.png": (png(pixels=b""), "cut off|truncated|broken|not enough"),
    "claims.jpg": (jpeg(9000, 9000), "1?[0-9]* bytes do not hold 9000 x 9000 pixels"),
    "bomb.jpg": (jpeg(65500, 65500), "decompression bomb"),
    "circle.tif": (tiff(after=8), "in a circle"),
    "long-circle.tif": (tiff(after=200, tail=tiff(after=8)[8:150].ljust(300, b"\0")), "in a circle|several pages"),
    "giant.tif": (tiff(_256=2**31, _257=2**31, _278=2**31), "decompression bomb"),
    "counts.tif": (tiff(_273=(2**30, 200), _279=(2**30, 200)), "data offset|cut off|past the end|bytes"),
    "strip.tif": (tiff(_279=2**31), "cut off"),
    "deflate.tif": (tiff(_259=8, _279=len(BOMB), tail=BOMB), "INSUFFICIENT_SPACE|size|bytes"),
    "nowhere.tif": (tiff(_273=2**31), "cut off"),
    "no-bits.tif": (tiff(_258=0), "no samples|bits|sample|dtype"),
    "pickle.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}".ljust(117) + b"\n" + pickle.dumps([1]), "Python objects"),
    "structured.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1, 1)}".ljust(117) + b"\n" + bytes(8), "holds numbers"),
    "code.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': __import__('os').abort(), 'shape': (1, 1)}".ljust(117) + b"\n", "malformed"),
    "negative.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4)}".ljust(117) + b"\n" + bytes(99), "."),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_refused_at_once(name, tmp_path, capfd):
    """In a line that names the file, on no other channel, and without the memory or the time that it asks for."""
    content, reason = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    start = time.monotonic()
    with pytest.raises(ImageFileError, match=reason) as refused:
        images.read(tmp_path / name)
    assert time.monotonic() - start < 20
    assert name in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 500
    assert capfd.readouterr() == ("", "")


def test_the_hostile_images_are_not_just_broken(tmp_path):
    """What they were made from is read: each is refused for what was changed."""
    for name, content in {"a.png": png(), "a.tif": tiff(), "a.jpg": jpeg(20, 30)}.items():
        (tmp_path / name).write_bytes(content)
        assert images.read(tmp_path / name).pixels.dtype == "uint8"


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "BMP", "PPM", "ICO"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".npy"])
def test_other_formats_under_a_known_name_are_refused(format_, suffix, tmp_path):
    """The bytes decide, not the name: no decoder but the four is ever asked."""
    path = tmp_path / f"a{suffix}"
    PIL.fromarray(GRAY[:16, :16]).save(path, format_)
    with pytest.raises(ImageFileError, match="neither PNG, JPEG, TIFF nor NPY"):
        images.read(path)


def test_known_formats_under_a_wrong_name_are_read(tmp_path):
    """A PNG called .tif is a PNG."""
    PIL.fromarray(GRAY).save(tmp_path / "a.tif", "PNG")
    assert np.array_equal(images.read(tmp_path / "a.tif").pixels, GRAY)


def test_palettes_of_sixteen_bits(tmp_path):
    """Indices of 16 bits find their colours, of 16 bits each, rounded to the 8 that a palette image gets."""
    colours = np.random.default_rng(5).integers(0, 65536, (3, 65536)).astype(np.uint16)
    index = GRAY.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", index, photometric="palette", colormap=colours)
    wanted = np.rint(colours.T[index] / 257).astype(np.uint8)
    assert np.array_equal(images.read(tmp_path / "a.tif").pixels, wanted)


def test_profiles_orientation_and_single_bits_through_the_command_line(tmp_path, monkeypatch):
    """A filtered photograph keeps its ICC profile and stands upright; single bits are filtered as 0 and 255."""
    from PIL import ImageCms

    monkeypatch.chdir(tmp_path)
    profile, exif = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), PIL.Exif()
    exif[0x0112] = 6
    PIL.fromarray(GRAY).save("a.png", icc_profile=profile, exif=exif)
    assert cli.main(["apply", "a.png", "b.png", "-k", "identity"]) == 0
    filtered = PIL.open("b.png")
    assert filtered.info["icc_profile"] == profile and filtered.getexif().get(0x0112, 1) == 1
    assert np.array_equal(np.asarray(filtered), np.rot90(GRAY, 3))
    PIL.fromarray(GRAY > 128).save("one.png")
    assert cli.main(["apply", "one.png", "c.png", "-k", "identity"]) == 0
    assert np.array_equal(np.asarray(PIL.open("c.png")), (GRAY > 128) * 255)


KERNELS = {
    "pickle.npy": (HOSTILE["pickle.npy"][0], "Python objects"),
    "nan.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 1)}".ljust(117) + b"\n" + struct.pack("<d", np.nan), "NaN"),
    "huge.npy": (b"\x93NUMPY\x01\0v\0" + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999, 99999)}".ljust(117) + b"\n", "file size|mmap"),
    "deep.json": (b"[" * 10**6, "recursion|nest"),
    "deep-objects.json": (b'{"a":' * 10**5, "recursion|nest"),
    "nan.json": (b"[[NaN, 1]]", "NaN"),
    "infinite.json": (b"[[1e400, 1]]", "infinity"),
    "digits.json": (b"[[" + b"9" * 5000 + b"]]", "digits|number"),
    "large.json": (b"[[" + b"9" * 300 + b"]]", "numbers"),
    "text.json": (b'[["1", "2"]]', "numbers"),
    "ragged.json": (b"[[1, 2], [3]]", "length|row"),
    "empty.json": (b"", "."),
    "digits.txt": (b"1 2\n3 " + b"9" * 5000, "infinity"),
    "bytes.csv": (bytes(range(128, 256)), "UTF-8"),
    "zero.txt": (b"1/0", "divides by zero"),
    "name.kernel": (b"hello", "number is expected"),
}  # fmt: skip


@pytest.mark.parametrize("name", KERNELS)
def test_a_hostile_kernel_file_is_refused(name, tmp_path):
    """Nothing is executed, unpickled or believed; the line names the file."""
    content, reason = KERNELS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=reason) as refused:
        parse_kernel(f"@{tmp_path / name}")
    assert name in str(refused.value) and "\n" not in str(refused.value) and len(str(refused.value)) < 700


@pytest.mark.skipif(sys.platform == "win32", reason="devices and pipes have names on POSIX")
@pytest.mark.parametrize("suffix", [".json", ".npy", ".txt", ".csv"])
def test_devices_and_pipes_are_no_files(suffix, tmp_path):
    """A link to a device without an end, and a pipe that nobody writes to, are not waited for."""
    (tmp_path / f"zero{suffix}").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / f"pipe{suffix}")
    for name in ("zero", "pipe"):
        with pytest.raises(OptionError, match="not a regular file"):
            parse_kernel(f"@{tmp_path / name}{suffix}")
        with pytest.raises(OptionError, match="not a regular file"):
            Kernel.load(tmp_path / f"{name}{suffix}")
        with pytest.raises(ImageFileError, match="pipe or device"):
            images.read(tmp_path / f"{name}{suffix}")


def test_the_command_line_says_it_in_one_line(tmp_path, monkeypatch, capfd):
    """Status 1 for a file, one line on stderr, no output file."""
    monkeypatch.chdir(tmp_path)
    PIL.fromarray(GRAY).save("good.png")
    for name in ("circle.tif", "claims.jpg", "profile.png", "pickle.npy"):
        (tmp_path / name).write_bytes(HOSTILE[name][0])
        assert cli.main(["apply", name, "out.npy", "-k", "identity"]) == 1
        assert len(capfd.readouterr().err.splitlines()) == 1
    (tmp_path / "deep.json").write_bytes(KERNELS["deep.json"][0])
    assert cli.main(["apply", "good.png", "out.npy", "-k", "@deep.json"]) == 1
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "out.npy").exists()


