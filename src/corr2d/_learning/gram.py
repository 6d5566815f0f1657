r"""The Gram matrix of all patches of an image, from few lag sums.

``G[(a, b), (c, d)] = sum over i < H', j < W' of x[i + a, j + b] x[i + c, j + d]`` nearly depends
on c - a and d - b alone: moving both taps one column right loses the products of one column and
gains those of another,

    G[(a, b + 1), (c, d + 1)] = G[(a, b), (c, d)] - sum_i x[i + a, b] x[i + c, d] + sum_i x[i + a, b + W'] x[i + c, d + W'],

and likewise down. So only pairs with a tap in the first row and one in the first column need sums over the image,
2 kh kw - kh - kw + 1 of them; the rest is a walk along its edges. Between two channels there is no symmetry and
there are (2 kh - 1)(2 kw - 1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .lagsums import lags
from .pieces import totals

__all__ = ["both_ways", "patch_gram", "patch_sums"]


def patch_gram(x: NDArray, size: tuple[int, int], origin: float, threads: int, wide: NDArray | None = None) -> NDArray[np.float64]:
    """Of x (C, H, W) less its origin: (C kh kw, C kh kw); `wide`, of one channel, see `both_ways`."""
    channels, (kh, kw) = len(x), size
    gram = np.empty((channels, kh, kw, channels, kh, kw))
    for m in range(channels):
        for n in range(m, channels):
            first = x[m]
            second = first if m == n else x[n]
            there = _half(first, second, size, origin, threads, m == n, wide)
            back = there if m == n else _half(second, first, size, origin, threads, False)
            block = _walk_down(there, back, first, second, size, origin)
            gram[m, :, :, n] = block
            gram[n, :, :, m] = block.transpose(2, 3, 0, 1)
    return gram.reshape(channels * kh * kw, -1)


def patch_sums(x: NDArray, size: tuple[int, int], origin: float) -> NDArray[np.float64]:
    """The sum of each tap's pixels: (C kh kw,)."""
    (kh, kw), (h, w) = size, _valid(x, size)
    sums = np.empty((len(x), kh, kw))
    for image, s in zip(x, sums, strict=True):
        s[0, 0] = totals(image[:h, :w], origin)[0]
        left, right = _less(image[:h, : kw - 1], origin).sum(0), _less(image[:h, w:], origin).sum(0)
        s[0, 1:] = s[0, 0] + np.cumsum(right - left)
        change = _less(image[h:], origin) - _less(image[: kh - 1], origin)
        for b in range(kw):
            s[1:, b] = s[0, b] + np.cumsum(change[:, b : b + w].sum(1))
    return sums.ravel()


def _half(first, second, size, origin, threads, same, wide=None) -> NDArray[np.float64]:
    """``G[(0, b), (c, d)]``: pairs whose first tap is in the first row, as [b, c, d]."""
    (kh, kw), (h, w) = size, _valid(first[None], size)
    half = np.zeros((kw, kh, kw))
    right, left = both_ways(first, size, origin, wide) if wide is not None else (lags(first[:h, :w], second, (origin, origin), threads), None)
    half[0] = right
    if kw == 1:
        return half
    # What the walk right changes: products of the columns that it leaves and enters.
    leave, enter = slice(0, kw - 1), slice(w, w + kw - 1)
    a, a2 = _less(first[:h, leave], origin), _less(first[:h, enter], origin)
    b, b2 = _less(second[:, leave], origin), _less(second[:, enter], origin)
    change = np.stack([a2.T @ b2[c : c + h] - a.T @ b[c : c + h] for c in range(kh)], axis=1)
    for j in range(kw - 1):
        half[j + 1, :, 1:] = half[j, :, :-1] + change[j]
    # Second taps further left than the first: from the last column, walking left.
    if kh > 1 or not same:
        skip = 1 if same else 0
        half[kw - 1, skip:, : kw - 1] = lags(first[:h, kw - 1 :], second[skip:, :-1], (origin, origin), threads) if left is None else left[skip:]
    for j in range(kw - 1, 0, -1):
        half[j - 1, :, : j - 1] = half[j, :, 1:j] - change[j - 1, :, : j - 1]
    if same:  # in the first row, pairs turn round
        for j in range(1, kw):
            half[j, 0, :j] = half[:j, 0, j]
    return half


def both_ways(x, size, origin, wide) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``G[(0, 0), (c, d)]``, and ``G[(0, kw - 1), (c, d)]`` of d < kw - 1, from lags that reach left and right.

    `wide` are those of the columns that both have, ``x[:h, kw - 1 : w]``, in x; of the few columns that only one of them has,
    the products are added. Transforms cost the same however many lags are wanted.
    """
    (kh, kw), (h, w) = size, _valid(x[None], size)
    right, left = wide[:, kw - 1 :].copy(), wide[:, : kw - 1].copy()
    first, last = _less(x[:h, : kw - 1], origin), _less(x[:h, w:], origin)
    near, far = _less(x[:, : 2 * kw - 2], origin), _less(x[:, w - kw + 1 :], origin)
    for c in range(kh):
        # Column j of the first with column j + d of the second, all j together.
        right[c] += _diagonals(first.T @ near[c : c + h], kw)
        left[c] += _diagonals(last.T @ far[c : c + h], kw - 1)
    return right, left


def _diagonals(products: NDArray, count: int) -> NDArray[np.float64]:
    down, right = products.strides
    return np.lib.stride_tricks.as_strided(products, (len(products), count), (down + right, right)).sum(0)


def _walk_down(there, back, first, second, size, origin) -> NDArray[np.float64]:
    (kh, kw), (h, w) = size, _valid(first[None], size)
    block = np.zeros((kh, kw, kh, kw))
    block[0] = there
    block[:, :, 0, :] = back.transpose(1, 2, 0)
    if kh > 1:
        change = _row_products(*_rows(first, second, slice(h, None), origin), kw, w)
        change -= _row_products(*_rows(first, second, slice(kh - 1), origin), kw, w)
        for a in range(kh - 1):
            block[a + 1, :, 1:] = block[a, :, :-1] + change[a]
    return block


def _rows(first, second, rows, origin) -> tuple[NDArray, NDArray]:
    """Of both, or of the one that both are."""
    part = _less(first[rows], origin)
    return part, part if first is second else _less(second[rows], origin)


def _row_products(first, second, kw, w) -> NDArray[np.float64]:
    """``sum over j < w of first[a, j + b] second[c, j + d]`` as [a, b, c, d], by the same walk in one dimension."""
    rows = len(first)
    products = np.zeros((rows, kw, rows, kw))
    for d in range(kw):
        products[:, 0, :, d] = first[:, :w] @ second[:, d : d + w].T
        products[:, d, :, 0] = products[:, 0, :, d].T if first is second else first[:, d : d + w] @ second[:, :w].T
    for b in range(kw - 1):
        gone = first[:, b, None, None] * second[None, :, : kw - 1]
        come = first[:, b + w, None, None] * second[None, :, w : w + kw - 1]
        products[:, b + 1, :, 1:] = products[:, b, :, :-1] + (come - gone)
    return products


def _valid(x: NDArray, size: tuple[int, int]) -> tuple[int, int]:
    return x.shape[1] - size[0] + 1, x.shape[2] - size[1] + 1


def _less(part: NDArray, origin: float) -> NDArray[np.float64]:
    return part.astype(float) - origin
