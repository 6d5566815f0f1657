// Kernels of one weight: a window of `taps` samples as runs of 1, 2, 4, ... of them, one for each binary
// digit of the width,
//     S[2m](x) = S[m](x) + S[m](x + m),  sum = S[1](x) + S[2](x + 1) + S[4](x + 3) + ...,
// down the columns, then along the rows. Unlike a running sum nothing is subtracted, so nothing drifts, a
// NaN leaves with its window, and an output has the same bits wherever the tile begins; a window of k
// costs 2 log2(k) additions at most.
//
// The digits up to 4 are done in registers: they leave runs of eight, and the part of the window that is no
// multiple of eight. What follows is the same in both directions, for rows of a strip of columns lie one
// after the other as samples of a line do.
#pragma once
#include "sink.hpp"

namespace corr2d { namespace CORR2D_ISA {

// In double the weight comes first, for there is no wider type should the sum of the pixels
// overflow; in float last, so that sums of integers are exact before it.
template <class T>
constexpr bool kWeightFirst = sizeof(T) == 8;

// Strips of columns are as wide as a cache line, where that many sums fit registers.
constexpr i64 kCacheLine = 64;
constexpr int kColumns = kVectors * kVectorBytes > kCacheLine ? static_cast<int>(kCacheLine) / kVectorBytes : kVectors;

// Samples of a buffer for runs, or for parts, of so many rows of a strip.
template <class T>
static inline i64 strip_samples(i64 rows) {
    return (rows + 4 + 2 * kVectors) * kColumns * Vec<T>::lanes;
}

// From runs, those four times as long.
template <class T>
static inline typename Vec<T>::type fourfold(const T* from, i64 run) {
    return (load(from) + load(from + run)) + (load(from + 2 * run) + load(from + 3 * run));
}

// What the digits above 4 add to parts of `taps` mod 8 samples, for n sums: `eights` holds runs of eight and is
// worked on, as `parts` is; both may be read and written a block beyond their end. Samples of a window lie `step` apart.
template <class T, class Put>
CORR2D_INLINE static void add_runs(T* eights, T* parts, i64 n, i64 taps, i64 step, Put put) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    i64 run = 8 * step, done = (taps & 7) * step, left = taps >> 3;
    const V nothing = -V{};  // -0 + x is x for every x
    auto block = [&](i64 x, V* sum) __attribute__((always_inline)) {
        const T *first = eights + x + done, *second = first + (left & 1) * run, *third = second + (left & 2) * run;
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) sum[u] = done ? load(parts + x + u * L) : nothing;
        if (left & 1) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) sum[u] += load(first + u * L);
        }
        if (left & 2) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) sum[u] += load(second + u * L) + load(second + run + u * L);
        }
        if (left & 4) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u)
                sum[u] += fourfold<T>(third + u * L, run);
        }
    };
    while (left >= 8) {
        const i64 higher = left >> 2;
        left &= 3;
        if (left)
            for (i64 x = 0; x < n; x += wide) {
                V sum[kVectors];
                block(x, sum);
                CORR2D_UNROLL
                for (int u = 0; u < kVectors; ++u) store(parts + x + u * L, sum[u]);
            }
        done += left * run;
        left = higher;
        const i64 length = n + taps * step - 4 * run;
        for (i64 x = 0; x < length; x += wide) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) {
                T* at = eights + x + u * L;
                store(at, fourfold<T>(at, run));
            }
        }
        run *= 4;
    }
    for (i64 x = 0; x < n; x += wide) put(x, block);
}

// Down the columns: what `add_runs` wants of rows [0, total), `step` apart, at column x.
template <class T, int U, int Low, bool More>
static void column_runs(const T* const* rows, i64 step, i64 total, i64 x, T weight, T* eights, T* parts) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = U * L, ahead = 2 * kCacheLine / static_cast<i64>(sizeof(T));
    const V k = broadcast(weight);
    V one[U] = {}, two[2][U] = {}, four[4][U] = {};  // sums that end one, up to two, up to four rows before
    eights -= 7 * wide;  // a run is known at its last row
    parts -= (Low - 1) * wide;
    for (i64 i = 0; i < total; i += 4) {
        CORR2D_UNROLL
        for (int p = 0; p < 4; ++p) {
            const i64 y = i + p;
            const T* row = rows[min64(y, total - 1) * step] + x;
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) {
                __builtin_prefetch(row + ahead + u * L, 0, 2);
                V a = load(row + u * L);
                if constexpr (kWeightFirst<T>) {
                    a *= k;
                    keep(a);  // rounded, not fused with an addition here and there
                }
                const V b = a + one[u], c = b + two[p & 1][u], d = c + four[p][u];
                V part = a;
                if constexpr (Low & 2) {
                    const V pair = Low & 1 ? two[(p + 1) & 1][u] : b;
                    part = Low & 1 ? part + pair : pair;
                }
                if constexpr (Low & 4) {
                    const V quad = Low & 3 ? four[(p + 4 - (Low & 3)) & 3][u] : c;
                    part = Low & 3 ? part + quad : quad;
                }
                if constexpr (Low) if (y >= Low - 1) store(parts + y * wide + u * L, part);
                if constexpr (More) if (y >= 7) store(eights + y * wide + u * L, d);
                one[u] = a;
                two[p & 1][u] = b;
                four[p][u] = c;
            }
        }
    }
}

// Along a line: the same of n + (taps - 1) * step samples.
template <class T, int Low, bool More>
static void row_runs(const T* line, i64 step, i64 n, T* eights, T* parts) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    const i64 last = (n - 1) / wide * wide;
#if defined(__AVX512F__)
    // Shifts of what is in registers cost less than loads that cross cache lines. From right to left, with the
    // vectors that come next in place U.
    if (step == 1) {
        constexpr int U = kVectors;
        const T* end = line + last + wide;
        const V after = load(end + L);
        V one[U + 1], two[U + 1], four[U + 1];
        one[0] = load(end);
        two[0] = one[0] + shifted<T, 1>(one[0], after);
        four[0] = two[0] + shifted<T, 2>(two[0], after + shifted<T, 1>(after, after));
        for (i64 x = last; x >= 0; x -= wide) {
            one[U] = one[0];
            two[U] = two[0];
            four[U] = four[0];
            CORR2D_UNROLL
            for (int u = U - 1; u >= 0; --u) {
                one[u] = load(line + x + u * L);
                two[u] = one[u] + shifted<T, 1>(one[u], one[u + 1]);
                four[u] = two[u] + shifted<T, 2>(two[u], two[u + 1]);
                V part = one[u];
                if constexpr (Low & 2) {
                    const V pair = Low & 1 ? shifted<T, 1>(two[u], two[u + 1]) : two[u];
                    part = Low & 1 ? part + pair : pair;
                }
                if constexpr (Low & 4) {
                    const V quad = Low & 3 ? shifted<T, Low & 3>(four[u], four[u + 1]) : four[u];
                    part = Low & 3 ? part + quad : quad;
                }
                if constexpr (Low) store(parts + x + u * L, part);
                if constexpr (More) store(eights + x + u * L, four[u] + shifted<T, 4>(four[u], four[u + 1]));
            }
        }
        return;
    }
#endif
    for (i64 x = 0; x < last + wide; x += L) {
        V v[8];
        CORR2D_UNROLL
        for (int i = 0; i < (More ? 8 : Low); ++i) v[i] = load(line + x + i * step);
        V part = v[0];
        if constexpr (Low & 2) {
            const V pair = v[Low & 1] + v[(Low & 1) + 1];
            part = Low & 1 ? part + pair : pair;
        }
        if constexpr (Low & 4) {
            constexpr int at = Low & 3;
            const V quad = (v[at] + v[at + 1]) + (v[at + 2] + v[at + 3]);
            part = Low & 3 ? part + quad : quad;
        }
        if constexpr (Low) store(parts + x, part);
        if constexpr (More) store(eights + x, ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7])));
    }
}

// Down the columns at column x: `count` sums of `taps` rows, `step` apart.
template <class T, int U, int... I>
static void box_columns(const T* const* rows, i64 step, i64 count, i64 x, i64 taps, T weight, T* eights, T* parts, T* to,
                        i64 pitch, Lanes<I...>) {
    constexpr i64 L = Vec<T>::lanes, wide = U * L;
    using Runs = void (*)(const T* const*, i64, i64, i64, T, T*, T*);
    static constexpr Runs runs[] = {&column_runs<T, U, I % 8, I / 8 != 0>...};
    runs[taps < 8 ? taps : 8 + taps % 8](rows, step, count + taps - 1, x, weight, eights, parts);
    add_runs(eights, parts, count * wide, taps, wide, [&](i64 at, auto block) __attribute__((always_inline)) {
        typename Vec<T>::type sum[kVectors];
        block(at, sum);
        CORR2D_UNROLL
        for (int v = 0; v < kVectors; ++v) {
            const i64 row = at / wide + v / U;
            if (v >= U && row >= count) break;
            store(to + row * pitch + x + v % U * L, sum[v]);
        }
    });
}

// Samples until `p` is at the start of a cache line.
template <class T>
static inline i64 to_cache_line(const T* p) {
    const i64 beyond = static_cast<i64>(reinterpret_cast<std::uintptr_t>(p) % kCacheLine);
    return beyond ? (kCacheLine - beyond) / static_cast<i64>(sizeof(T)) : 0;
}

// n samples, in whole vectors, to lines that are aligned as the rows are. Strips of columns begin at whole cache
// lines: one that two strips shared would come from memory twice, and late.
template <class T>
static void box_columns_all(const T* const* rows, i64 step, i64 count, i64 n, i64 taps, T weight, T* eights, T* parts,
                            T* to, i64 pitch) {
    constexpr i64 L = Vec<T>::lanes, wide = kColumns * L;
    using Each = typename MakeLanes<16>::type;
    const i64 end = round_up(n, L), head = to_cache_line(rows[(count + taps - 1) / 2 * step]);  // the first may be padding
    const bool strips = end >= head + wide;
    for (i64 x = 0; x < (strips ? head : end); x += L)
        box_columns<T, 1>(rows, step, count, x, taps, weight, eights, parts, to, pitch, Each{});
    for (i64 x = head; strips && x < end; x += wide)
        box_columns<T, kColumns>(rows, step, count, min64(x, end - wide), taps, weight, eights, parts, to, pitch, Each{});
}

// Along the row: n sums of `taps` samples, `step` apart, times the weight. `eights` and `parts` have the line's
// length; all three may be read and written two blocks beyond their end.
template <class T, int... I>
static void box_row(const T* line, T* eights, T* parts, i64 n, i64 taps, i64 step, T weight, T* sums, const Sink<T>& to,
                    Lanes<I...>) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    using Runs = void (*)(const T*, i64, i64, T*, T*);
    static constexpr Runs runs[] = {&row_runs<T, I % 8, I / 8 != 0>...};
    runs[taps < 8 ? taps : 8 + taps % 8](line, step, n + max64(0, taps - 8) * step, eights, parts);
    Sink<T> sink = to;
    Watch<T> watch(sink);
    const i64 item = sink_item<T>(sink.kind);
    const V k = broadcast(weight);
    add_runs(eights, parts, n, taps, step, [&](i64 next, auto block) __attribute__((always_inline)) {
        const i64 x = sink.kind == Kind::none ? next : min64(next, n - wide);
        V sum[kVectors];
        block(x, sum);
        if constexpr (!kWeightFirst<T>) {
            CORR2D_UNROLL
            for (int u = 0; u < kVectors; ++u) {
                sum[u] *= k;
                keep(sum[u]);
            }
        }
        if (sink.kind != Kind::none) {
            watch.see(sum);
            return emit<T, kVectors>(sink, sink.to + x * item, sum);
        }
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) store(sums + x + u * L, sum[u]);
    });
}

}}  // namespace corr2d::CORR2D_ISA
