"""Where pixels live: any array type in, a NumPy view to compute on, the caller's type out.

Nothing is imported on anyone's behalf: an object can only be a torch tensor if
torch is already in ``sys.modules``.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ._errors import DTypeError, ShapeError

# Sample types that an image may have, by NumPy's name. bfloat16, which NumPy does not
# know, travels as uint16 bits beside its name.
IMAGE_DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HostArray:
    """A NumPy view of the caller's pixels, the name of their type, and where they came from."""

    data: np.ndarray
    dtype: str
    home: Any  # "numpy", the torch module, or an array-API namespace


def torch_of(value: Any) -> Any:
    """The torch module if `value` is a tensor, else None."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(value, torch.Tensor) else None


def is_dask(value: Any) -> bool:
    """Whether `value` is a Dask array."""
    dask = sys.modules.get("dask.array")
    return dask is not None and isinstance(value, dask.Array)


def is_labelled(value: Any) -> bool:
    """Whether `value` is an xarray DataArray."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(value, xarray.DataArray)


@lru_cache(maxsize=64)
def dtype_name(dtype: np.dtype) -> str:
    """``dtype.name``, which NumPy puts together anew at every look, in microseconds."""
    return dtype.name


def take(value: Any, what: str = "image") -> HostArray:
    """View `value` as NumPy, without a copy where that is possible.

    Raises
    ------
    DTypeError
        For strings, objects, masked arrays, tensors on another device, and so on.
    """
    torch = torch_of(value)
    if torch is not None:
        return _take_tensor(value, torch, what)
    if type(value) is not np.ndarray:
        if isinstance(value, (str, bytes)):
            raise DTypeError(f"{what} is {type(value).__name__} {value!r:.40}; pass an array of numbers")
        if value is None:
            raise DTypeError(f"{what} is None; pass an array of numbers")
        if hasattr(value, "toarray"):  # scipy.sparse
            raise DTypeError(f"{what} is a sparse {type(value).__name__}; pass {what}.toarray()")
        if isinstance(value, np.ma.MaskedArray):
            raise DTypeError(
                f"{what} is a masked array and a mask has no meaning in a correlation; "
                f"choose what masked pixels count as, e.g. {what}.filled(0)"
            )
        if type(value).__module__.partition(".")[0] == "dask":
            # Images that are Dask arrays do not come here, but to `_blockwise`.
            raise DTypeError(f"{what} is a Dask {type(value).__name__}, which is not computed behind your back here; pass {what}.compute()")
    home = _namespace(value)
    try:
        data = value if type(value) is np.ndarray else _as_numpy(value)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        raise DTypeError(f"{what} of type {type(value).__name__} cannot be read as an array: {error}") from None
    name = dtype_name(data.dtype)
    if name == "bfloat16":  # ml_dtypes
        return HostArray(data.view(np.uint16), name, home)
    if name not in IMAGE_DTYPES:
        raise DTypeError(
            f"{what} has dtype {data.dtype}, which is not filtered; use one of {', '.join(IMAGE_DTYPES)}, "
            f"e.g. {what}.astype('float64')"
        )
    return HostArray(data, name, home)


def _as_numpy(value: Any) -> np.ndarray:
    if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    array = np.asarray(value)
    return array.view(np.ndarray) if type(array) is not np.ndarray else array


def _namespace(value: Any) -> Any:
    """Who makes arrays of this type: an array-API namespace, else NumPy."""
    if isinstance(value, (np.ndarray, np.generic)) or not hasattr(value, "__array_namespace__"):
        return "numpy"
    return value.__array_namespace__()


def has_tangent(tensor: Any, torch: Any) -> bool:
    """Whether a derivative of forward mode goes along with it."""
    forward = torch.autograd.forward_ad
    return forward._current_level >= 0 and forward.unpack_dual(tensor).tangent is not None


def refuse_history(tensor: Any, torch: Any, what: str) -> None:
    history = "requires grad" if tensor.requires_grad and torch.is_grad_enabled() else "has a tangent" if has_tangent(tensor, torch) else ""
    if history:
        raise DTypeError(
            f"{what} {history}, which only corr2d and convolve2d carry, and only between tensors; make the image one with "
            f"torch.from_numpy, pass {what}.detach(), or call under torch.no_grad()"
        )


def _take_tensor(tensor: Any, torch: Any, what: str) -> HostArray:
    refuse_history(tensor, torch, what)
    if tensor.device.type != "cpu":
        raise DTypeError(f"{what} is on device {tensor.device} and memory of the CPU is needed here; pass {what}.cpu()")
    name = tensor_dtype_name(tensor, what)
    plain = tensor.detach().resolve_conj().resolve_neg()
    if name == "bfloat16":
        return HostArray(plain.view(torch.uint16).numpy(), name, torch)
    return HostArray(plain.numpy(), name, torch)


def device_of(value: Any) -> str | None:
    """Where a tensor lies; None for what is no tensor."""
    return None if torch_of(value) is None else str(value.device)


def tensor_dtype_name(tensor: Any, what: str) -> str:
    """The name of a tensor's sample type, if such tensors can be filtered."""
    if str(tensor.layout) != "torch.strided":
        raise DTypeError(f"{what} has layout {tensor.layout}; pass {what}.to_dense()")
    name = str(tensor.dtype).removeprefix("torch.")
    if name not in IMAGE_DTYPES:
        raise DTypeError(f"{what} has dtype {tensor.dtype}, which is not filtered; use one of {', '.join(IMAGE_DTYPES)}")
    return name


def empty(shape: tuple[int, ...], dtype: str, home: Any) -> tuple[Any, np.ndarray]:
    """A new array of the caller's kind, and its NumPy view (the same memory, or to be converted)."""
    if home == "numpy" or not _is_torch(home):
        try:
            data = np.empty(shape, numpy_dtype(dtype))
        except ValueError:  # NumPy's, of sizes that no machine can address
            raise ShapeError(f"the result would have shape {shape}, more than any memory holds; use less padding") from None
        return data, (data.view(np.uint16) if dtype == "bfloat16" else data)
    tensor = home.empty(shape, dtype=getattr(home, dtype))
    return tensor, (tensor.view(home.uint16) if dtype == "bfloat16" else tensor).numpy()


def copy_into(out: Any, result: Any) -> Any:
    """A caller's ``out``, filled with a tensor that was computed apart."""
    if torch_of(out) is None:
        raise DTypeError(f"out is {type(out).__name__} and the image is a tensor; use the same kind of array for both")
    if out.shape != result.shape:
        raise ShapeError(f"out has shape {tuple(out.shape)} and the result has shape {tuple(result.shape)}")
    if out.dtype != result.dtype:
        name = str(out.dtype).removeprefix("torch.")
        raise DTypeError(f"out has dtype {name} and the result is {str(result.dtype).removeprefix('torch.')}; pass dtype={name!r}")
    if out.device != result.device:
        raise DTypeError(f"out is on device {out.device} and the image on {result.device}; use torch.empty_like(..., device=image.device)")
    return out.copy_(result)


def give(array: Any, home: Any) -> Any:
    """`array` in the caller's type: an array-API library takes it over, without a copy if it can."""
    if home == "numpy" or _is_torch(home):
        return array
    return home.asarray(array)


def default_float(home: Any) -> str | None:
    """The float type that a library gives to results of integers, where it has one."""
    return str(home.get_default_dtype()).removeprefix("torch.") if _is_torch(home) else None


def _is_torch(home: Any) -> bool:
    return getattr(home, "__name__", "") == "torch"


def numpy_dtype(name: str) -> np.dtype:
    """NumPy's type of this name; bfloat16 is ml_dtypes'."""
    if name != "bfloat16":
        return np.dtype(name)
    try:
        from ml_dtypes import bfloat16
    except ImportError:
        raise DTypeError("dtype='bfloat16' needs a torch tensor: NumPy has no such type; use dtype='float32'") from None
    return np.dtype(bfloat16)


def split_complex(array: np.ndarray) -> np.ndarray:
    """A complex array (..., H, W) as its real and imaginary planes (..., 2, H, W): a view.

    Written through, it fills the complex array.
    """
    half = array.dtype.itemsize // 2
    shape = array.shape[:-2] + (2,) + array.shape[-2:]
    strides = array.strides[:-2] + (half,) + array.strides[-2:]
    return np.lib.stride_tricks.as_strided(array.real, shape, strides, writeable=array.flags.writeable)


def image_dtype_name(dtype: Any) -> str:
    """The name of an image's dtype given as a word, a NumPy or a torch type."""
    name = str(dtype).removeprefix("torch.")
    if name not in IMAGE_DTYPES:
        try:
            name = np.dtype(dtype).name
        except TypeError:
            name = str(dtype)
    if name not in IMAGE_DTYPES:
        raise DTypeError(f"image_dtype={dtype!r} is not a type of pixels; use one of {', '.join(IMAGE_DTYPES)}")
    return name
