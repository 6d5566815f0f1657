"""Answers kept by what they were computed from, bounded in bytes, from any thread."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")

_SHORT = 2048  # bytes up to which the content itself is the key: comparing is quicker than hashing


def content(array: np.ndarray) -> Hashable:
    """A key that equals another array's if dtype, shape and bytes do.

    Large arrays are known by a cryptographic hash, so that a key holds no second copy of them (for
    127 × 127 weights it takes 70 µs, and analysing them thirty times that).
    """
    if array.nbytes <= _SHORT:
        return array.dtype.char, array.shape, array.tobytes()
    from hashlib import sha256  # 1 ms that only large kernels pay

    return array.dtype.char, array.shape, sha256(np.ascontiguousarray(array), usedforsecurity=False).digest()


class Lock:
    """A lock that is free in the child of a fork, whoever held it in the parent: its thread is not there."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Remembered(Generic[T]):
    """The least recently used are forgotten once all together exceed `limit` bytes.

    Two threads that ask for the same at once may both compute it; both get the answer that
    was kept first. What is larger than the limit is not kept.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.bytes = 0
        self._kept: OrderedDict[Any, tuple[T, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The answer for `key`: kept, or made now; `size` says what keeping it costs."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        answer = make()  # without the lock: it may take a while, and ask for other answers
        cost = size(answer)
        with self._lock:
            if key in self._kept:
                return self._kept[key][0]
            if cost <= self.limit:
                self._kept[key] = answer, cost
                self.bytes += cost
                while self.bytes > self.limit:
                    self.bytes -= self._kept.popitem(last=False)[1][1]
        return answer

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)
