// Direct correlation, register-blocked: R output rows by U vectors share every load.
//
// Each output is the sum over kernel rows of (the sum over the taps of that row). The
// two levels keep the rounding error below (kw + kh) u sum|k| max|x|, and because the
// formula depends on the kernel alone, every output has the same bits whatever the
// tile, the thread or the position in the register block.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

// One input row feeds R output rows: kernel row `w` meets the first, the row before it
// the second, ... Output row r lies at sums + r * pitch and is added to.
template <class T, int R, int U>
static inline void feed_block(const T* in, const i64* offset, i64 taps, const T* w, T* sums, i64 pitch) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V acc[R][U];
    for (int r = 0; r < R; ++r)
        for (int u = 0; u < U; ++u) acc[r][u] = V{};
    for (i64 j = 0; j < taps; ++j) {
        const T* p = in + offset[j];
        V x[U];
        for (int u = 0; u < U; ++u) x[u] = load(p + u * L);
        for (int r = 0; r < R; ++r) {
            const V k = broadcast(w[j - r * taps]);
            for (int u = 0; u < U; ++u) acc[r][u] += k * x[u];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int u = 0; u < U; ++u) {
            T* s = sums + r * pitch + u * L;
            store(s, load(s) + acc[r][u]);
        }
}

// All input rows that the output rows [0, R) need, for U vectors.
template <class T, int U>
static inline void column_block(const T* const* rows, i64 row_step, i64 x, const i64* offset, i64 kh, i64 kw,
                                const T* w, T* sums, i64 pitch, i64 R) {
    for (i64 q = 0; q < R + kh - 1; ++q) {
        const i64 first = max64(0, q - kh + 1), last = min64(R - 1, q);
        const T* in = rows[q * row_step] + x;
        const T* wq = w + (q - first) * kw;
        T* to = sums + first * pitch + x;
        switch (last - first + 1) {
            case 1: feed_block<T, 1, U>(in, offset, kw, wq, to, pitch); break;
            case 2: feed_block<T, 2, U>(in, offset, kw, wq, to, pitch); break;
            case 3: feed_block<T, 3, U>(in, offset, kw, wq, to, pitch); break;
            case 4: feed_block<T, 4, U>(in, offset, kw, wq, to, pitch); break;
            case 5: feed_block<T, 5, U>(in, offset, kw, wq, to, pitch); break;
            case 6: feed_block<T, 6, U>(in, offset, kw, wq, to, pitch); break;
        }
    }
}

// sums[r][x] += correlation, for R <= kRows output rows and n samples rounded up to vectors.
template <class T>
static void direct_strip(const T* const* rows, i64 row_step, const i64* offset, i64 kh, i64 kw, const T* w, T* sums,
                         i64 pitch, i64 R, i64 n) {
    constexpr i64 L = Vec<T>::lanes;
    i64 x = 0;
    for (; x + (kVectors - 1) * L < n; x += kVectors * L)
        column_block<T, kVectors>(rows, row_step, x, offset, kh, kw, w, sums, pitch, R);
    for (; x < n; x += L) column_block<T, 1>(rows, row_step, x, offset, kh, kw, w, sums, pitch, R);
}

}}  // namespace corr2d::CORR2D_ISA
