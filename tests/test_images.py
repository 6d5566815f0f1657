"""Image files: what goes out comes back, and what is broken is refused in one line."""

import errno
import hashlib
import importlib.resources
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from corr2d import images
from corr2d._errors import ImageFileError, MissingExtraError
from corr2d.images import Image, read, refusal, write

PIL = pytest.importorskip("PIL.Image", reason="image files need pillow")
tifffile = pytest.importorskip("tifffile", reason="TIFF needs tifffile")
imagecodecs = pytest.importorskip("imagecodecs", reason="16-bit colour PNG needs imagecodecs")

RNG = np.random.default_rng(3)


def noise(dtype, *shape):
    dtype = np.dtype(dtype)
    if dtype.kind in "iu":
        return RNG.integers(*(int(n) for n in (np.iinfo(dtype).min, np.iinfo(dtype).max)), shape, dtype, endpoint=True)
    return RNG.normal(size=shape).astype(dtype)


def check_refused(path, message):
    """Assert that *path* is refused, in one line that names it."""
    with pytest.raises(ImageFileError, match=message) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


# -- there and back ------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
def test_integers_come_back_the_same(suffix, dtype, alpha, channels, tmp_path):
    shape = (13, 17) if channels == 1 else (13, 17, channels)
    before = Image(
        noise(dtype, *shape), noise(dtype, 13, 17) if alpha else None, icc_profile=b"\0" * 200, dpi=(300.0, 150.0)
    )
    write(tmp_path / f"a{suffix}", before)
    after = read(tmp_path / f"a{suffix}")
    assert after.pixels.dtype == dtype
    np.testing.assert_array_equal(after.pixels, before.pixels)
    np.testing.assert_array_equal(after.alpha, before.alpha)
    assert after.icc_profile == before.icc_profile
    assert after.dpi == pytest.approx((300, 150), rel=1e-4)
    assert after.format == ("png" if suffix == ".png" else "tiff")


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint32", "int32", "float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 2), (5, 6, 3), (5, 6, 5), (1, 1), (3, 4, 4)])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_other_numbers_come_back_from_tiff_and_npy(suffix, shape, dtype, tmp_path):
    before = noise(dtype, *shape)
    write(tmp_path / f"a{suffix}", Image(before))
    after = read(tmp_path / f"a{suffix}")
    assert after.pixels.dtype == dtype
    assert after.pixels.dtype.isnative
    np.testing.assert_array_equal(after.pixels, before)


def test_non_finite_samples_survive_float_tiff(tmp_path):
    before = np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)
    write(tmp_path / "a.tif", before)
    assert read(tmp_path / "a.tif").pixels.tobytes() == before.tobytes()


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_close(channels, tmp_path):
    ramp = np.linspace(0, 255, 64 * 64).reshape(64, 64).astype(np.uint8)
    before = ramp if channels == 1 else np.dstack([ramp, ramp.T, ramp[::-1]])
    write(tmp_path / "a.jpg", Image(before, icc_profile=b"\0" * 200, dpi=(72, 72)))
    after = read(tmp_path / "a.jpg")
    assert np.abs(after.pixels.astype(int) - before).max() < 12
    assert (after.icc_profile, after.dpi) == (b"\0" * 200, (72, 72))


def test_sixteen_bit_colour_png_is_what_other_readers_see(tmp_path):
    before = noise("uint16", 9, 11, 4)
    write(tmp_path / "a.png", before)
    encoded = (tmp_path / "a.png").read_bytes()
    assert encoded[24:26] == bytes([16, 6])  # bit depth, colour type RGBA
    np.testing.assert_array_equal(imagecodecs.png_decode(encoded), before)


def test_arrays_with_two_or_four_channels_carry_alpha(tmp_path):
    before = noise("uint8", 4, 5, 2)
    write(tmp_path / "a.png", before)
    after = read(tmp_path / "a.png")
    np.testing.assert_array_equal(after.pixels, before[..., 0])
    np.testing.assert_array_equal(after.alpha, before[..., 1])


def test_alpha_follows_the_sample_type(tmp_path):
    pixels, alpha = noise("uint16", 4, 5), np.array([[0, 1, 128, 254, 255]] * 4, np.uint8)
    write(tmp_path / "a.png", Image(pixels, alpha))
    np.testing.assert_array_equal(read(tmp_path / "a.png").alpha, alpha.astype(np.uint16) * 257)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_tiff_remembers_how_alpha_is_meant(kind, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise("uint8", 6, 7, 4), photometric="rgb", extrasamples=[kind])
    image = read(tmp_path / "a.tif")
    assert image.premultiplied == (kind == "assocalpha")
    write(tmp_path / "b.tif", image)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.pages[0].extrasamples[0].name == kind.upper()


def test_premultiplied_alpha_is_for_tiff_only(tmp_path):
    image = Image(noise("uint8", 4, 5), noise("uint8", 4, 5), premultiplied=True)
    with pytest.raises(ImageFileError, match="PNG has no premultiplied alpha"):
        write(tmp_path / "a.png", image)


# -- what files say in other words ----------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"])
def test_png_modes(mode, tmp_path):
    colours = PIL.fromarray(noise("uint8", 8, 9, 4))
    source = PIL.fromarray(noise("uint16", 8, 9)) if mode == "I;16" else colours.convert("RGB").convert(mode)
    source.save(tmp_path / "a.png")
    image = read(tmp_path / "a.png")
    expected = np.asarray(source.convert({"1": "L", "P": "RGB"}.get(mode, mode)))
    np.testing.assert_array_equal(image.pixels, expected[..., :-1].squeeze() if mode in ("LA", "RGBA") else expected)
    assert (image.alpha is not None) == (mode in ("LA", "RGBA"))


def test_palette_with_transparency_becomes_rgb_and_alpha(tmp_path):
    source = PIL.new("P", (3, 1))
    source.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    source.putdata([0, 1, 2])
    source.save(tmp_path / "a.png", transparency=1)
    image = read(tmp_path / "a.png")
    assert image.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]
    assert image.alpha.tolist() == [[255, 0, 255]]


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


@pytest.mark.parametrize(("shape", "key"), [((4, 5), (7,)), ((4, 5, 3), (7, 8, 9))])
def test_transparent_colour_of_sixteen_bits(shape, key, tmp_path):
    pixels = np.zeros(shape, np.uint16)
    pixels[2, 3] = key if len(key) == 3 else key[0]
    encoded = imagecodecs.png_encode(pixels)
    keyed = encoded[:33] + chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) + encoded[33:]
    (tmp_path / "a.png").write_bytes(keyed)
    image = read(tmp_path / "a.png")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert np.argwhere(image.alpha == 0).tolist() == [[2, 3]]
    assert image.alpha.max() == 65535


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_orientation_is_applied(suffix, orientation, tmp_path):
    from PIL import ImageOps

    # Blocks large enough that JPEG keeps them apart.
    pixels = np.kron(np.arange(6, dtype=np.uint8).reshape(2, 3) * 50, np.ones((16, 16), np.uint8))
    path = tmp_path / f"a{suffix}"
    exif = PIL.Exif()
    exif[0x0112] = orientation
    if suffix == ".tif":
        tifffile.imwrite(path, pixels, extratags=[(274, "H", 1, orientation, True)], resolution=(300, 100))
    else:
        PIL.fromarray(pixels).save(path, exif=exif, dpi=(300, 100))
    tagged = PIL.fromarray(pixels)
    tagged.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(tagged)).astype(int)
    image = read(path)
    assert image.pixels.shape == expected.shape
    assert np.abs(image.pixels - expected).max() < 20
    assert image.dpi == pytest.approx((300, 100) if orientation < 5 else (100, 300), rel=1e-3)


@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("dtype", [bool, "uint8", "uint16"])
def test_tiff_white_is_zero(dtype, photometric, tmp_path):
    stored = noise("uint8", 5, 16) > 127 if dtype is bool else noise(dtype, 5, 16)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric)
    plain = stored.astype(np.uint8) * np.uint8(255) if dtype is bool else stored
    most = np.iinfo(plain.dtype).max
    np.testing.assert_array_equal(
        read(tmp_path / "a.tif").pixels, most - plain if photometric == "miniswhite" else plain
    )


def test_tiff_palette_planes_and_byte_order(tmp_path):
    colormap = noise("uint8", 3, 256).astype(np.uint16) * 257
    indices = noise("uint8", 5, 6)
    tifffile.imwrite(tmp_path / "p.tif", indices, photometric="palette", colormap=colormap)
    np.testing.assert_array_equal(read(tmp_path / "p.tif").pixels, (colormap // 257).T[indices])
    planes = noise("uint16", 3, 5, 6)
    tifffile.imwrite(tmp_path / "q.tif", planes, photometric="rgb", planarconfig="separate", byteorder=">")
    np.testing.assert_array_equal(read(tmp_path / "q.tif").pixels, planes.transpose(1, 2, 0))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "packbits"])
def test_compressed_tiff(compression, tmp_path):
    before = noise("uint16", 40, 30, 3)
    tifffile.imwrite(tmp_path / "a.tif", before, photometric="rgb", compression=compression, tile=(16, 16))
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, before)


def test_fortran_and_foreign_npy(tmp_path):
    before = noise("int16", 4, 5)
    np.save(tmp_path / "a.npy", np.asfortranarray(before.astype(">i2")))
    after = read(tmp_path / "a.npy").pixels
    np.testing.assert_array_equal(after, before)
    assert after.dtype.isnative
    assert after.flags.c_contiguous


def test_the_name_does_not_matter_for_reading(tmp_path):
    write(tmp_path / "a.png", noise("uint8", 4, 5))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert read(tmp_path / "a.jpg").format == "png"


# -- what is refused -------------------------------------------------------------


@pytest.mark.parametrize("kind", ["png8", "png16", "jpeg", "tiff", "tiff-lzw", "npy"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97, "last byte"])
def test_truncated_files_are_refused(kind, share, tmp_path):
    path = tmp_path / f"a.{kind.partition('-')[0].rstrip('168')}"
    pixels = noise("uint16" if kind == "png16" else "uint8", 40, 50, 3)
    if kind == "tiff-lzw":
        tifffile.imwrite(path, pixels, photometric="rgb", compression="lzw", rowsperstrip=8)
    else:
        write(path, pixels)
    encoded = path.read_bytes()
    assert read(path).pixels.shape == pixels.shape
    path.write_bytes(encoded[:-1] if share == "last byte" else encoded[: int(share * len(encoded))])
    check_refused(path, "cut off|truncated|broken|read|corrupt|size|shape|picture|header|EOF")


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_png_with_a_flipped_bit_is_refused_without_a_word_on_stderr(dtype, tmp_path, capfd):
    path = tmp_path / "a.png"
    write(path, noise(dtype, 30, 40, 3))
    encoded = bytearray(path.read_bytes())
    encoded[len(encoded) // 2] ^= 1
    path.write_bytes(encoded)
    check_refused(path, "damaged: wrong checksum in its chunk 'IDAT'")
    assert capfd.readouterr().err == ""


def png(width, height, depth=8, colour_type=0, pixels=b"\0" * 1000):
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(("depth", "colour_type"), [(8, 0), (16, 2), (1, 0)])
def test_a_png_bomb_is_refused(depth, colour_type, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(60_000, 60_000, depth, colour_type, b"\0" * 2**20))
    check_refused(path, "3600000000 pixels.*decompression bomb")


def test_a_tiff_bomb_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    strip = zlib.compress(b"\0" * 2**20)
    tags = {256: 60_000, 257: 60_000, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: 60_000, 279: len(strip)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory)
    check_refused(path, "3600000000 bytes, which looks like a decompression bomb")


def test_a_huge_npy_header_is_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    check_refused(tmp_path / "a.npy", "greater than file size")


def test_colours_for_print_are_refused(tmp_path):
    PIL.new("CMYK", (4, 4)).save(tmp_path / "a.jpg")
    check_refused(tmp_path / "a.jpg", "CMYK colours; convert the picture to RGB")
    tifffile.imwrite(tmp_path / "a.tif", noise("uint8", 4, 5, 4), photometric="separated")
    check_refused(tmp_path / "a.tif", "colours of kind SEPARATED; convert the picture to RGB")


def test_more_than_one_picture_is_refused(tmp_path):
    frames = [PIL.fromarray(noise("uint8", 4, 5)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    check_refused(tmp_path / "a.png", "an animation of 3 frames")
    tifffile.imwrite(tmp_path / "a.tif", noise("uint8", 3, 4, 5), photometric="minisblack")
    check_refused(tmp_path / "a.tif", "several pages")
    tifffile.imwrite(tmp_path / "b.tif", noise("uint8", 3, 4, 5), imagej=True)
    check_refused(tmp_path / "b.tif", "several pages")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(3), r"shape \(3,\); an image is \(H, W\)"),
        (np.zeros((2, 3, 4, 5)), r"shape \(2, 3, 4, 5\)"),
        (np.zeros((0, 3)), "no pixels"),
        (np.array([["a"]]), "dtype <U1; an image holds numbers"),
        (np.zeros((2, 2), [("r", "u1")]), "an image holds numbers"),
        (np.array([[None]]), "Python objects"),
    ],
)
def test_arrays_that_are_no_image_are_refused(array, message, tmp_path):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    check_refused(tmp_path / "a.npy", message)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "file is empty"), (b"GIF89a..", "neither PNG, JPEG, TIFF nor NPY"), (b"\x89PNG\r\n\x1a\n", "cut off")],
)
def test_what_is_no_image_is_refused(content, message, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    check_refused(tmp_path / "a.png", message)


def test_missing_files_and_folders_are_refused(tmp_path):
    check_refused(tmp_path / "none.png", "no such file")
    check_refused(tmp_path, "is a directory")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".npy"])
def test_flipped_bytes_never_escape_as_other_exceptions(suffix, tmp_path):
    path = tmp_path / f"a{suffix}"
    write(path, noise("uint8", 20, 20, 3))
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(60):
        broken = encoded.copy()
        broken[RNG.integers(0, min(len(encoded), 300), 4)] = RNG.integers(0, 256, 4)
        path.write_bytes(broken.tobytes())
        try:
            assert read(path).pixels.size
        except ImageFileError as error:
            assert "\n" not in str(error)


# -- writing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "message"),
    [
        ("a.gif", (4, 5), "uint8", r"must end in one of \.png, \.jpg"),
        ("a", (4, 5), "uint8", "must end in one of"),
        ("a.png", (4, 5), "float32", "PNG holds uint8 or uint16 and not float32; write .tif or .npy"),
        ("a.png", (4, 5), "bool", "not bool"),
        ("a.jpg", (4, 5), "uint16", "JPEG holds uint8 and not uint16"),
        ("a.jpg", (4, 5, 4), "uint8", "JPEG has no alpha; write .png or .tif"),
        ("a.png", (4, 5, 5), "uint8", "1 or 3 colour channels and not 5"),
        ("a.png", (0, 5), "uint8", r"an image is \(H, W\).*\(0, 5\)"),
        ("a.png", (5,), "uint8", r"an image is \(H, W\).*\(5,\)"),
        ("a.tif", (4, 5), "U1", "TIFF has no <U1 samples"),
        ("none/a.png", (4, 5), "uint8", "cannot be written: no such file or directory"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name, shape, dtype, message, tmp_path):
    with pytest.raises(ImageFileError, match=message) as caught:
        write(tmp_path / name, np.zeros(shape, dtype))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_refusal_agrees_with_write():
    assert refusal("a.png", "uint16", channels=3, alpha=True) == ""
    assert refusal("a.tiff", "float64", channels=7) == ""
    assert "not int16" in refusal("a.png", "int16")


def test_a_folder_or_a_pipe_is_not_replaced(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageFileError, match="cannot be written: is a folder"):
        write(tmp_path / "a.png", noise("uint8", 4, 5))
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(ImageFileError, match="cannot be written: is not a regular file"):
        write(tmp_path / "b.png", noise("uint8", 4, 5))
    assert (tmp_path / "b.png").is_fifo()


def test_links_and_permissions_stay(tmp_path):
    write(tmp_path / "a.png", noise("uint8", 4, 5))
    (tmp_path / "a.png").chmod(0o640)
    (tmp_path / "link.png").symlink_to("a.png")
    after = noise("uint8", 4, 5)
    write(tmp_path / "link.png", after)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(read(tmp_path / "a.png").pixels, after)


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyboardInterrupt("now"), KeyboardInterrupt, "now"),
        (OSError(errno.ENOSPC, "No space left on device"), ImageFileError, "cannot be written: no space left"),
        (MemoryError(), ImageFileError, "cannot be written: not enough memory"),
    ],
    ids=["Ctrl-C", "disk", "memory"],
)
@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_write_leaves_nothing(error, raised, message, existing, tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    if existing:
        path.write_bytes(b"before")

    def half(file, raster):
        file.write(b"half")
        raise error

    monkeypatch.setitem(images.ENCODERS, "npy", half)
    with pytest.raises(raised, match=message):
        write(path, noise("uint8", 4, 5))
    assert [p.name for p in tmp_path.iterdir()] == (["a.npy"] if existing else [])
    assert not existing or path.read_bytes() == b"before"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".npy"])
def test_a_disk_that_takes_no_more_leaves_nothing(suffix, tmp_path):
    script = (
        "import resource, sys, numpy as np\n"
        "from corr2d import images\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)\n"
        "try:\n"
        "    images.write(sys.argv[1], noise)\n"
        "except images.ImageFileError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / f"a{suffix}")], capture_output=True, text=True, check=True
    )
    assert "cannot be written: " in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# -- packages and the photograph ---------------------------------------------------


@pytest.mark.parametrize(
    ("module", "suffix", "dtype", "channels"),
    [("PIL.Image", ".png", "uint8", 1), ("tifffile", ".tif", "uint8", 1), ("imagecodecs", ".png", "uint16", 3)],
)
def test_a_missing_package_names_the_line_to_type(module, suffix, dtype, channels, tmp_path, monkeypatch):
    path = tmp_path / f"a{suffix}"
    write(path, noise(dtype, 4, 5, channels).squeeze())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r'pip install "corr2d\[images\]"'):
        read(path)
    with pytest.raises(MissingExtraError, match=r'pip install "corr2d\[images\]"'):
        write(tmp_path / f"b{suffix}", noise(dtype, 4, 5, channels).squeeze())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_importing_images_imports_no_codec():
    script = "import sys, corr2d.images; print([m for m in ('PIL', 'tifffile', 'imagecodecs') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_photograph_is_the_one_in_source_txt():
    photo = images.sample()
    assert (photo.pixels.shape, photo.pixels.dtype) == ((512, 512), np.uint8)
    data = importlib.resources.files("corr2d") / "data"
    digest = hashlib.sha256((data / "cameraman.png").read_bytes()).hexdigest()
    source = (data / "SOURCE.txt").read_text("utf-8")
    assert digest in source
    assert "CC0" in source


def test_an_image_is_an_array_to_numpy():
    image = Image(noise("uint8", 4, 5))
    assert np.asarray(image) is image.pixels
    assert np.asarray(image, np.float32).dtype == np.float32
