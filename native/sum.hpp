// Sums of shifted rows: to[x] = sum over t of w[t] * rows[t][x]. Both passes of a separable
// kernel are such sums, and so is any kernel, as a list of taps.
//
// Taps are summed a few at a time in registers, the partial sums pairwise (Higham,
// *Accuracy and Stability of Numerical Algorithms*, §4.2), so the rounding error grows with
// the logarithm of their number: (kChunk + log2(taps / kChunk)) u. One tap after the other,
// 700 equal ones would miss the accuracy contract.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

constexpr int kChunk = 8;  // and 4 beyond kShort taps, where there is more to add up
constexpr i64 kShort = 64;

template <class T, int U>
static inline void sum_block(const T* const* rows, i64 x, const T* w, i64 taps, T* to) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    const i64 chunk = taps <= kShort ? kChunk : kChunk / 2;
    V stack[40][U];  // stack[d]: the sum of 2^k chunks, k falling with d
    int depth = 0;
    for (i64 t = 0, done = 0; t < taps; ++done) {
        V acc[U];
        for (int u = 0; u < U; ++u) acc[u] = V{};
        const i64 stop = min64(taps, t + chunk);
        for (; t < stop; ++t) {
            const V k = broadcast(w[t]);
            const T* p = rows[t] + x;
            for (int u = 0; u < U; ++u) acc[u] += k * load(p + u * L);
        }
        for (i64 m = done; m & 1; m >>= 1) {  // as a binary counter carries
            --depth;
            for (int u = 0; u < U; ++u) acc[u] = stack[depth][u] + acc[u];
        }
        for (int u = 0; u < U; ++u) stack[depth][u] = acc[u];
        ++depth;
    }
    for (int u = 0; u < U; ++u) {
        V total = stack[depth - 1][u];
        for (int d = depth - 2; d >= 0; --d) total = stack[d][u] + total;
        store(to + u * L, total);
    }
}

// C kernel rows of kRows neighbouring outputs: every input row is loaded once for all of them.
template <class T, int C>
static inline void column_chunk(const T* const* rows, i64 step, i64 x, const T* w,
                                typename Vec<T>::type (&acc)[kRows][kVectors]) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    CORR2D_UNROLL
    for (int q = 0; q < kRows + C - 1; ++q) {
        const T* p = rows[q * step] + x;
        V v[kVectors];
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) v[u] = load(p + u * L);
        CORR2D_UNROLL
        for (int r = 0; r < kRows; ++r) {
            if (q - r < 0 || q - r >= C) continue;
            const V k = broadcast(w[q - r]);
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) acc[r][u] += k * v[u];
        }
    }
}

// The first pass for kRows outputs at once: to[r][x] = sum over t of w[t] * rows[(r + t) * step][x],
// with sum_block's formula and so its bits.
template <class T>
static void column_block(const T* const* rows, i64 step, i64 x, const T* w, i64 taps, T* to, i64 pitch) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    const i64 chunk = taps <= kShort ? kChunk : kChunk / 2;
    V stack[40][kRows][kVectors];
    int depth = 0;
    for (i64 t = 0, done = 0; t < taps; t += chunk, ++done) {
        V acc[kRows][kVectors];
        CORR2D_UNROLL
        for (int r = 0; r < kRows; ++r) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) acc[r][u] = V{};
        }
        const T* const* in = rows + t * step;
        switch (min64(chunk, taps - t)) {
            case 1: column_chunk<T, 1>(in, step, x, w + t, acc); break;
            case 2: column_chunk<T, 2>(in, step, x, w + t, acc); break;
            case 3: column_chunk<T, 3>(in, step, x, w + t, acc); break;
            case 4: column_chunk<T, 4>(in, step, x, w + t, acc); break;
            case 5: column_chunk<T, 5>(in, step, x, w + t, acc); break;
            case 6: column_chunk<T, 6>(in, step, x, w + t, acc); break;
            case 7: column_chunk<T, 7>(in, step, x, w + t, acc); break;
            case 8: column_chunk<T, 8>(in, step, x, w + t, acc); break;
        }
        for (i64 m = done; m & 1; m >>= 1) {
            --depth;
            CORR2D_UNROLL
            for (int r = 0; r < kRows; ++r) {
                CORR2D_UNROLL
                for (int u = 0; u < kVectors; ++u) acc[r][u] = stack[depth][r][u] + acc[r][u];
            }
        }
        CORR2D_UNROLL
        for (int r = 0; r < kRows; ++r) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) stack[depth][r][u] = acc[r][u];
        }
        ++depth;
    }
    for (int r = 0; r < kRows; ++r)
        for (int u = 0; u < kVectors; ++u) {
            V total = stack[depth - 1][r][u];
            for (int d = depth - 2; d >= 0; --d) total = stack[d][r][u] + total;
            store(to + r * pitch + x + u * L, total);
        }
}

// kRows rows of n samples, in whole vectors; false where n is too small for that.
template <class T>
static bool column_strip(const T* const* rows, i64 step, const T* w, i64 taps, T* to, i64 pitch, i64 n, bool ahead) {
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    if (n <= wide - L) return false;
    i64 x = 0;
    for (; x + wide - L < n; x += wide) {
        if (ahead)
            for (i64 r = 0; r < kRows; ++r)
                for (i64 u = 0; u < kVectors; ++u) __builtin_prefetch(rows[(kRows + taps - 1 + r) * step] + x + u * L, 0, 3);
        column_block(rows, step, x, w, taps, to, pitch);
    }
    if (x < n) column_block(rows, step, round_up(n, L) - wide, w, taps, to, pitch);
    return true;
}

// n samples, in whole vectors.
template <class T>
static void sum_rows(const T* const* rows, const T* w, i64 taps, T* to, i64 n) {
    constexpr i64 L = Vec<T>::lanes;
    constexpr int U = kVectorBytes == 64 ? 8 : 4;
    i64 x = 0;
    for (; x + (U - 1) * L < n; x += U * L) sum_block<T, U>(rows, x, w, taps, to + x);
    for (; x < n; x += L) sum_block<T, 1>(rows, x, w, taps, to + x);
}

}}  // namespace corr2d::CORR2D_ISA
