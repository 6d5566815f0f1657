"""`Kernel.load` on files of other programs: what they mean, and what is refused in one line."""

import contextlib
import io
import struct
import time
import zipfile

import numpy as np
import pytest

from corr2d._errors import OptionError
from corr2d.kernel import Kernel
from corr2d.kernel_text import parse_kernel

K = np.array([[1, 2, 3], [0, 5, -4], [-6, 0, 7.0]])


def load(content, tmp_path, name="kernel"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Kernel.load(path)


# -- what they mean --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3x3: 1,2,3 0,5,-4 -6,0,7", Kernel(K)),
        ("3: 1 2 3 0 5 -4 -6 0 7", Kernel(K)),
        ("3x3+0+2: 1,2,3  0,5,-4  -6,0,7", Kernel(K, anchor=(2, 0))),
        ("2x1: 1,-1", Kernel([[1, -1]])),
        ("2x2: 1,nan -,.5e1", Kernel([[1, 0], [0, 5]])),
        ("convert a.png -morphology Correlate '2x1+1+0: 1,-1' b.png", Kernel([[1, -1]], anchor=(0, 1))),
        ("convert a.png -morphology Convolve '3x3: 1,2,3 0,5,-4 -6,0,7' b.png", Kernel(K[::-1, ::-1])),
        ("magick a.png -morphology Convolve '2x1: 1,-1' b.png", Kernel([[-1, 1]], anchor=(0, 1))),
        ("magick a.png -define convolve:scale=.5 -bias 50% -morphology Correlate '2x1: 2,4' b.png", Kernel([[1, 2]], bias=127.5)),
        ("magick a.png -define convolve:scale=! -morphology Correlate:1 \"2x1: 1,3\" b.png", Kernel([[0.25, 0.75]])),
        ("magick a.png -define convolve:scale=50%! -morphology Correlate '3x1: -1,0,1' b.png", Kernel([[-0.5, 0, 0.5]])),
    ],
)
def test_imagemagick(text, expected, tmp_path):
    assert Kernel.load(text) == expected
    assert load(text, tmp_path, "k.sh") == expected
    assert parse_kernel(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("convolution=0m='1 2 3 0 5 -4 -6 0 7':0rdiv=1", Kernel(K)),
        ("convolution='1 2 3 0 5 -4 -6 0 7'", Kernel(K / 8)),  # divided by its sum
        ("convolution=0m='-1 0 1':0mode=row:0bias=128", Kernel([[-1, 0, 1]], bias=128)),  # a sum of 0 divides by 1
        ("convolution=0m=1|2|1:0mode=column", Kernel([[0.25], [0.5], [0.25]])),
        ("format=gbrp,convolution=0m='0 1 -1':0mode=row:0rdiv=.5:1m='0 1 -1':1mode=1:1rdiv=.5,negate", Kernel([[0, 0.5, -0.5]])),
        ("ffmpeg -i a.png -vf \"convolution='0 -1 0 -1 5 -1 0 -1 0:0 -1 0 -1 5 -1 0 -1 0':0rdiv=1\" b.png", None),
    ],
)
def test_ffmpeg(text, expected, tmp_path):
    if expected is None:
        with pytest.raises(OptionError, match="where a number is expected"):
            Kernel.load(text)
        return
    assert Kernel.load(text) == expected
    assert load(text, tmp_path, "k.txt") == expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("3 3 1 0\n1 2 3\n0 5 -4\n-6 0 7\n", "k.mat", Kernel(K)),
        ("3 3\n1 2 3\n0 5 -4\n-6 0 7\n", "k.txt", Kernel(K)),
        ("2 1 4 10\n1 -1\n", "k", Kernel([[0.25, -0.25]], anchor=(0, 1), bias=10)),
        ('"2","2"\n1, 2\n3, 4\nanything else', "k.mat", Kernel([[1, 2], [3, 4]], anchor=(1, 1))),
        ("2 2\n1 2\n3 4\n", "k.txt", Kernel([[2, 2], [1, 2], [3, 4]])),  # rows of one length are rows
    ],
)
def test_vips(text, name, expected, tmp_path):
    assert load(text, tmp_path, name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 2 3\n0 5 -4\n-6 0 7\n", Kernel(K)),
        ("1,2,3\r\n0,5,-4\r\n-6,0,7", Kernel(K)),
        ("\ufeff1\t2 # note\n\n# more\n1/4 1e1\n", Kernel([[1, 2], [0.25, 10]])),
        ('run("Convolve...", "text1=[1 2 3\\n0 5 -4\\n-6 0 7\\n] normalize");', Kernel(K / 8)),
        ('run("Convolve...", "text1=[-1 0 1\\n] normalize stack");run("Add...", "value=7");', Kernel([[-1, 0, 1]], bias=7)),
    ],
)
def test_imagej_and_rows(text, expected, tmp_path):
    assert load(text, tmp_path, "k.txt") == expected


@pytest.mark.parametrize("suffix", [".yml", ".xml", ".json"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, np.uint8])
def test_opencv_file_storage(suffix, dtype, tmp_path):
    cv2 = pytest.importorskip("cv2")
    weights = np.abs(K * 3).astype(dtype) if dtype == np.uint8 else (K / 3).astype(dtype)
    storage = cv2.FileStorage(str(tmp_path / f"k{suffix}"), cv2.FILE_STORAGE_WRITE)
    storage.write("author", "someone")
    storage.write("kernel", weights)
    storage.release()
    np.testing.assert_array_equal(Kernel.load(tmp_path / f"k{suffix}").weights, weights)


@pytest.mark.parametrize("array", [K, np.asfortranarray(K), K.astype(">f4"), np.array([[True, False]]), K[None, None] * 1j])
def test_numpy_files(array, tmp_path):
    np.save(tmp_path / "k.npy", array)
    np.savez_compressed(tmp_path / "k.npz", kernel=array)
    for name in ("k.npy", "k.npz"):
        np.testing.assert_array_equal(Kernel.load(tmp_path / name).weights, array)


def test_a_file_is_a_file_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("2x1: 5,6", [[9.0]])
    (tmp_path / "2x1: 5,6.npy").rename("2x1: 5,6")
    assert Kernel.load("2x1: 5,6") == Kernel([[9]])


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3x3: 1,2,3", "3 numbers for 3 rows and 3 columns"),
        ("2x1: 1,two", "'two' where a number"),
        ("3x1: 1,2,3; 3x1: 1,2,3", "several kernels"),
        ("3x3@: 1,2,3 4,5,6 7,8,9", "several kernels"),
        ("2x1+5+0: 1,2", r"anchor=\(0, 5\) is outside"),
        ("99999999999x1: 1", "1 numbers for 1 rows"),
        ("convert a.png -morphology Dilate '2x1: 1,1' b.png", "Dilate is not one correlation"),
        ("convert a.png -morphology Convolve:3 '2x1: 1,1' b.png", "Convolve:3 is not one correlation"),
        ("convert a.png -morphology Convolve Sobel b.png", "built-in names are not known here"),
        ("magick -define convolve:scale=1^ -morphology Correlate '2x1: 1,1'", "does more than scale"),
        ("convolution=0m='1 2'", "2 numbers in a matrix; ffmpeg takes 9, 25 or 49"),
        ("convolution=0m='1 2 3'", "3 numbers in a matrix"),
        ("convolution=0m='0.5 1 0':0mode=row", "whole numbers only"),
        ("convolution=0m='1 2 x':0mode=row", "'x' where a number is expected"),
        ("convolution=0m='1 0 1':0mode=row:1m='1 1 1':1mode=row", "planes have different kernels"),
        ("convolution=0rdiv=1", "no matrix 0m"),
        ("geq=r='X*Y'", "not a sum of weighted pixels"),
        ("geq=r='clip(floor((1*r(X*2,Y))+0+0.5),0,255)'", "not a sum of weighted pixels"),
        ("geq=r='clip(floor((1*r(X+99999,Y))+0+0.5),0,255)'", "not a sum of weighted pixels"),
        ('run("Convolve...", "text1=[1 2\\n3 4]");', r"shape \(2, 2\); ImageJ takes odd sides"),
        ('run("Convolve...", "text1=[1 two 3]");', "'two' where a number"),
        ('run("Convolve...");', "no text1="),
    ],
)
def test_garbled_strings_are_refused_in_one_line(text, message):
    with pytest.raises(OptionError, match=message) as caught:
        Kernel.load(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(header, body=b""):
    header = header.encode() + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + body


def saved(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }"
BOMB = '<!DOCTYPE x [<!ENTITY a "opencv-matrix"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 40}">' for a, b in zip("bcdefghij", "cdefghijk", strict=True)
) + "]><x>&k;</x>"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("k", b"", "nothing where a number is expected"),
        ("k", b"\x89PNG\r\n\x1a\n\xff", "not text in UTF-8, nor a NumPy file"),
        ("k.txt", b"\0\0\0\0", "where a number is expected"),
        ("k.csv", b"1,2\n3\n", "1 number in row 2, but 2 numbers in row 1"),
        ("k.csv", b"a,b\n1,2\n", "'a' where a number is expected"),
        ("k.csv", b"1,nan\n", "'nan' where a number"),
        ("k.csv", b"1" * 400 + b"," + b"9" * 400, "NaN or infinity"),
        ("k.npy", b"", "not a NumPy array of numbers"),
        ("k.npy", npy(HUGE), "promises 1000000000000 numbers, greater than file size"),
        ("k.npy", npy(HUGE.replace("1000000)", "-1)")), "not a NumPy array of numbers"),
        ("k.npy", npy("__import__('os').abort()"), "not a NumPy array of numbers"),
        ("k.npy", saved(np.array([[{}]]), allow_pickle=True), "it holds Python objects"),
        ("k.npy", saved(np.array(["a"])), "are not numbers"),
        ("k.npy", saved(np.ones(3)), r"kernel\[None, :\]"),
        ("k.npz", zipped(a=saved(K), b=saved(K)), "it holds 2 arrays: a.npy, b.npy"),
        ("k.npz", zipped(), "it holds 0 arrays"),
        ("k.npz", zipped(a=npy(HUGE)), "greater than file size"),
        ("k.npz", zipped(a=bytes(2**26 + 1)), "larger than 64 MiB"),
        ("k.npz", zipped(a=saved(K))[:-30], "not one NumPy array"),
        ("k.mat", b"MATLAB 5.0 MAT-file, Platform" + bytes(100), "a MATLAB data file; there, writematrix"),
        ("k.mat", b"", "first line of a vips matrix is"),
        ("k.mat", b"3 x\n1 2 3", "'x' where a number"),
        ("k.mat", b"3 2\n1 2 3", "not 2 rows of 3 numbers"),
        ("k.mat", b"3 1 0 0\n1 2 3", "scale of 0 divides by zero"),
        ("k.mat", b"1e300 1\n1 2 3", "first line of a vips matrix"),
        ("k.yml", b"a: !!opencv-matrix\n", "0 matrices in it; a Kernel is one"),
        ("k.yml", b"%YAML:1.0\na: !!opencv-matrix\n  rows: 1\n  cols: 3\n  dt: d\n  data: [ 1., .Nan, 2. ]", "'.Nan' where a number"),
        ("k.yml", b"%YAML:1.0\na: !!opencv-matrix\n  rows: 1\n  cols: 3\n  dt: d\n  data: [ 1., 2. ]", "2 numbers for 1 rows and 3"),
        ("k.yml", b"%YAML:1.0\na: !!opencv-matrix\n  rows: 1\n  cols: 1\n  dt: \"2d\"\n  data: [ 1., 2. ]", "one channel"),
        ("k.xml", b"<opencv_storage type_id='opencv-matrix'", "not XML"),
        ("k.xml", b"<a><k type_id='opencv-matrix'><rows>1</rows></k></a>", "'dt' is missing"),
        ("k.xml", BOMB.encode(), "k.xml"),
        ("k.json", b'{"k": {"type_id": "opencv-matrix", "rows": 1}}', "'dt' is missing"),
        ("k.json", b'{"k": {"type_id": "opencv-matrix", "rows": 1, "cols": 1, "dt": "d", "data": [[]]}}', "not a corr2d kernel file"),
    ],
)
def test_hostile_files_are_refused_in_one_line(name, content, message, tmp_path):
    with pytest.raises(OptionError, match=message) as caught:
        load(content, tmp_path, name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "content",
    ["\n" * 10**6, "1" * 10**6 + "x", "geq=r='clip(floor(" + "1" * 10**6 + "+0.5),0,255)'", "3x3:" * 10**5, "#" * 10**6,
     "convolution=" + "'" * 10**5, "-morphology " * 10**5, 'run("Convolve...' * 10**5, "!!opencv-matrix " * 10**5, "1 " * 10**5 + ";;"],
    ids=lambda text: text[:12].strip(),
)  # fmt: skip
def test_long_nonsense_is_refused_at_once(content, tmp_path):
    """Linear in its length: a quadratic reader would take minutes."""
    before = time.process_time()
    with contextlib.suppress(OptionError):
        load(content, tmp_path, "k.txt")
    assert time.process_time() - before < 5


def test_a_missing_file_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.mat"):
        Kernel.load(tmp_path / "none.mat")
    with pytest.raises(FileNotFoundError, match="none.mat"):
        Kernel.load(str(tmp_path / "none.mat"))


def test_what_cannot_be_written_is_named_as_the_caller_named_it(tmp_path):
    """And not as the file beside it that would have been renamed."""
    place = tmp_path / "none" / "k.json"
    with pytest.raises(FileNotFoundError) as caught:
        Kernel([[1]]).save(place)
    assert caught.value.filename == str(place)
