// Kernels of one weight: sums of windows by a ladder of doublings,
//     S[2m](y) = S[m](y) + S[m](y - m),  S[2m + 1](y) = S[2m](y) + x(y - 2m),
// down the columns, then along the rows. Unlike a running sum nothing is subtracted, so
// nothing drifts, a NaN leaves with its window, and an output has the same bits wherever
// the tile begins; a window of k costs 2 log2(k) additions at most.
#pragma once
#include "sink.hpp"

namespace corr2d { namespace CORR2D_ISA {

// In double the weight comes first, for there is no wider type should the sum of the pixels
// overflow; in float last, so that sums of integers are exact before it.
template <class T>
constexpr bool kWeightFirst = sizeof(T) == 8;

static inline int doublings(i64 taps) { return 63 - __builtin_clzll(static_cast<unsigned long long>(taps)); }

// Vectors that box_columns<T, U> keeps: the last rows, and each sum as long as it is wanted.
static inline i64 ring_vectors(i64 taps, i64 U) { return 2 * taps * U; }

// Down the columns: `count` sums of `taps` rows, `step` apart, of U vectors at column x. What the
// ring holds at first is left from other work; no sum that is stored meets it.
template <class T, int U>
static void box_columns(const T* const* rows, i64 step, i64 count, i64 x, i64 taps, T weight, T* ring, T* to, i64 pitch) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = U * L;
    const int levels = doublings(taps);
    T* older[64];
    T* end[64];
    T* room = ring + taps * wide;  // behind the last `taps` rows
    for (int l = levels - 1; l >= 0; --l) {
        older[l] = room;
        room += (taps >> (l + 1)) * wide;
        end[l] = room;
    }
    const V k = broadcast(weight);
    i64 newest = 0;
    for (i64 i = 0; i < count + taps - 1; ++i) {
        const T* p = rows[i * step] + x;
        V sum[U];
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) {
            __builtin_prefetch(p + wide + u * L, 0, 2);
            sum[u] = load(p + u * L);
            if constexpr (kWeightFirst<T>) sum[u] *= k;
            store(ring + newest * wide + u * L, sum[u]);
        }
        i64 m = 1;
        for (int l = levels - 1; l >= 0; --l) {
            T* slot = older[l];
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) {
                const V before = load(slot + u * L);
                store(slot + u * L, sum[u]);
                sum[u] += before;
            }
            older[l] = slot + wide == end[l] ? end[l] - m * wide : slot + wide;
            m *= 2;
            if (!(taps >> l & 1)) continue;
            const T* oldest = ring + (newest >= m ? newest - m : newest - m + taps) * wide;
            ++m;
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) sum[u] += load(oldest + u * L);
        }
        newest = newest + 1 == taps ? 0 : newest + 1;
        if (i < taps - 1) continue;
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) store(to + (i - taps + 1) * pitch + x + u * L, sum[u]);
    }
}

// n samples, in whole vectors.
template <class T>
static void box_columns_all(const T* const* rows, i64 step, i64 count, i64 n, i64 taps, T weight, T* ring, T* to, i64 pitch) {
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    i64 x = 0;
    if (n > wide - L)
        for (; x < n; x += wide)
            box_columns<T, kVectors>(rows, step, count, min64(x, round_up(n, L) - wide), taps, weight, ring, to, pitch);
    for (; x < n; x += L) box_columns<T, 1>(rows, step, count, x, taps, weight, ring, to, pitch);
}

// One rung along a line, for n sums: from[x] + from[x + shift] (+ line[x + odd]).
template <class T, class Put>
CORR2D_INLINE static void rung(const T* from, i64 shift, const T* line, i64 odd, i64 x, Put put) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V sum[kVectors];
    CORR2D_UNROLL
    for (int u = 0; u < kVectors; ++u) {
        sum[u] = load(from + x + u * L) + load(from + x + shift + u * L);
        if (odd) sum[u] += load(line + x + odd + u * L);
    }
    put(sum);
}

// Along the row: n sums of `taps` samples, `step` apart, times the weight. `work` has the line's length, and lines
// may be read and written two blocks beyond their end.
template <class T>
static void box_row(const T* line, T* work, i64 n, i64 taps, i64 step, T weight, T* sums, const Sink<T>& to) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    Sink<T> sink = to;
    Watch<T> watch(sink);
    const i64 item = sink_item<T>(sink.kind);
    const T* from = line;
    i64 m = 1;
    int l = doublings(taps) - 1;
    for (; l > 0; --l) {
        const i64 shift = m * step, odd = taps >> l & 1 ? 2 * shift : 0;
        m = taps >> l;
        const i64 length = n + (taps - m) * step;
        for (i64 x = 0; x < length; x += wide)
            rung(from, shift, line, odd, x, [&](const V* sum) __attribute__((always_inline)) {
                CORR2D_UNROLL
                for (int u = 0; u < kVectors; ++u) store(work + x + u * L, sum[u]);
            });
        from = work;
    }
    const V k = broadcast(weight);
    const i64 shift = m * step, odd = taps & 1 ? 2 * shift : 0;
    for (i64 next = 0; next < n; next += wide) {
        const i64 x = sink.kind == Kind::none ? next : min64(next, n - wide);
        auto put = [&](V* sum) __attribute__((always_inline)) {
            if constexpr (!kWeightFirst<T>) {
                CORR2D_UNROLL
                for (int u = 0; u < kVectors; ++u) sum[u] *= k;
            }
            if (sink.kind != Kind::none) {
                watch.see(sum);
                return emit<T, kVectors>(sink, sink.to + x * item, sum);
            }
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) store(sums + x + u * L, sum[u]);
        };
        if (taps > 1) {
            rung(from, shift, line, odd, x, put);
        } else {
            V one[kVectors];
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) one[u] = load(line + x + u * L);
            put(one);
        }
    }
}

}}  // namespace corr2d::CORR2D_ISA
