// Direct correlation, register-blocked: kRows output rows by kVectors vectors share every
// load, their sums stay in registers and go from there to where they are wanted (sink.hpp).
//
// Summation has two levels: `group` kernel rows at a time in registers, then over the
// groups in memory. That bounds the rounding error (engines/native.py counts it for the
// weights at hand and chooses the largest group that the accuracy contract allows, for
// setting a group's sums aside costs about as much as three taps). Since the formula
// depends on the kernel alone, every output has the same bits whatever the tile, the
// thread or the place in the block.
//
// Where the kernel is its own mirror image left to right, up to a sign, two samples are added
// before they are multiplied, once for all the rows that meet them: a third fewer operations.
// Upside down that does not pay. No two outputs add the same pair of rows; what they could
// share is the sums along a row, half as many, kept for as long as the kernel is high: the traffic of
// keeping them took what was saved (measured, float32 on Zen 4, time of the plain blocks over
// that of those: 7 x 7 0.95, 9 x 9 0.82; with the columns folded too 7 x 7 1.07, 9 x 9 1.35).
#pragma once
#include "rows.hpp"
#include "sink.hpp"

namespace corr2d { namespace CORR2D_ISA {

constexpr int kFold = 3;  // kernel rows from which mirrored columns are added first

template <class T>
struct Strip {
    const T* const* rows;  // input rows, `row_step` apart for neighbouring kernel rows
    i64 row_step;
    const i64* offset;  // of each tap in a row
    i64 kh, kw, group;
    int across;  // the kernel left to right is itself (1) or its negative (-1); 0: that is not used
    const T* w;  // (kw, kh): the weights that meet one load lie side by side
    T* sums;  // without a sink: output row r at sums + r * pitch
    i64 pitch;
    bool add;    // to what is there (further input channels), or start anew
    bool room;   // rows may be read, and sums written, a block beyond their end
    bool ahead;  // the rows of the next strip are known: fetch them meanwhile
    const Sink<T>& sink;
};

// U vectors of samples and those that the mirrored tap meets.
template <class T, int U>
CORR2D_INLINE static void add_mirrored(int across, const T* p, typename Vec<T>::type (&v)[U]) {
    constexpr i64 L = Vec<T>::lanes;
    if (across > 0) {
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) v[u] += load(p + u * L);
    } else {
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) v[u] -= load(p + u * L);
    }
}

// R x U vectors of outputs at column x.
template <class T, int KH, int G, int U, bool Fold, int R = kRows>
static void block(const Strip<T>& s, i64 x) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    // Copies: the stores below could alias a reference. Of each alone: the whole would be read as vectors where it
    // was just written in pieces, and wait until all stores before have left the processor.
    const T* const* rows = s.rows;
    const i64 row_step = s.row_step, kw = s.kw, pitch = s.pitch;
    const i64* offset = s.offset;
    const T* weights = s.w;
    T* sums = s.sums;
    const int across = s.across;
    const bool add = s.add;
    const Sink<T> sink{s.sink.kind, s.sink.stream, s.sink.to, s.sink.pitch, s.sink.low, s.sink.high, s.sink.integers, s.sink.wrong, s.sink.bias};
    const i64 item = sink_item<T>(sink.kind);
    const i64 pairs = Fold ? kw / 2 : 0, columns = kw - pairs;
    V acc[R][U];
    // The sums of earlier groups. In memory by order: left to itself, GCC keeps them in
    // registers and moves the inner loop's sums to memory instead.
    alignas(kVectorBytes) T aside[G < KH ? R * U * L : 1];
    CORR2D_UNROLL
    for (int r = 0; r < R; ++r) {
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) acc[r][u] = V{};
    }
    CORR2D_UNROLL
    for (int q = 0; q < R + KH - 1; ++q) {
        const T* in = rows[q * row_step] + x;
        const T* w = weights + q;
        i64 j = 0;
        do {
            const T* p = in + offset[j];
            V v[U];
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) v[u] = load(p + u * L);
            if (Fold && j < pairs) add_mirrored<T, U>(across, in + offset[kw - 1 - j], v);
            CORR2D_UNROLL
            for (int r = 0; r < R; ++r) {
                if (q - r < 0 || q - r >= KH) continue;
                const V k = broadcast(w[-r]);
                CORR2D_UNROLL
                for (int u = 0; u < U; ++u) acc[r][u] += k * v[u];
            }
            w += KH;
        } while (++j < columns);
        CORR2D_UNROLL
        for (int r = 0; r < R; ++r) {
            const int i = q - r;
            if (i < 0 || i >= KH || (i % G != G - 1 && i != KH - 1)) continue;
            if constexpr (G < KH) {
                T* to = aside + r * U * L;
                CORR2D_UNROLL
                for (int u = 0; u < U; ++u) {
                    if (i >= G) acc[r][u] = load(to + u * L) + acc[r][u];
                    if (i == KH - 1) continue;
                    store(to + u * L, acc[r][u]);
                    acc[r][u] = V{};
                }
                asm("" : : "r"(aside) : "memory");
            }
            if (i != KH - 1) continue;
            if (sink.kind != Kind::none) {
                emit<T, U>(sink, sink.to + r * sink.pitch + x * item, acc[r]);
                continue;
            }
            T* to = sums + r * pitch + x;
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) store(to + u * L, add ? load(to + u * L) + acc[r][u] : acc[r][u]);
        }
    }
}

// The same formula for one row, any kernel, U vectors: what the blocks leave over.
template <class T, int U>
static void row_block(const Strip<T>& s, i64 r, i64 x) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    T* to = s.sums + r * s.pitch + x;
    V total[U], acc[U];
    const i64 pairs = s.across ? s.kw / 2 : 0;
    for (int u = 0; u < U; ++u) total[u] = V{};
    for (i64 i = 0; i < s.kh;) {
        const bool first = i == 0;
        for (int u = 0; u < U; ++u) acc[u] = V{};
        const i64 stop = min64(s.kh, i + s.group);
        for (; i < stop; ++i) {
            const T* in = s.rows[(r + i) * s.row_step] + x;
            for (i64 j = 0; j < s.kw - pairs; ++j) {
                const V k = broadcast(s.w[j * s.kh + i]);
                const T* p = in + s.offset[j];
                V v[U];
                for (int u = 0; u < U; ++u) v[u] = load(p + u * L);
                if (j < pairs) add_mirrored<T, U>(s.across, in + s.offset[s.kw - 1 - j], v);
                for (int u = 0; u < U; ++u) acc[u] += k * v[u];
            }
        }
        for (int u = 0; u < U; ++u) total[u] = first ? acc[u] : total[u] + acc[u];
    }
    for (int u = 0; u < U; ++u) store(to + u * L, s.add ? load(to + u * L) + total[u] : total[u]);
}

template <class T>
using Block = void (*)(const Strip<T>&, i64);

// The groups that are compiled: all of the kernel's rows, 5, 4, 2 or 1.
template <class T, int KH, bool Fold>
static Block<T> block_for_group(i64 group) {
    if (group == KH) return &block<T, KH, KH, kVectors, Fold>;
    if constexpr (sizeof(T) > 2) {
        if constexpr (KH > 5)
            if (group == 5) return &block<T, KH, 5, kVectors, Fold>;
        if constexpr (KH > 4)
            if (group == 4) return &block<T, KH, 4, kVectors, Fold>;
        if constexpr (KH > 2)
            if (group == 2) return &block<T, KH, 2, kVectors, Fold>;
        if constexpr (KH > 1)
            if (group == 1) return &block<T, KH, 1, kVectors, Fold>;
    }
    return nullptr;
}

template <class T>
static Block<T> block_for(i64 kh, i64 group, bool fold) {
#define CORR2D_ROWS(KH) \
    case KH: return fold ? block_for_group<T, KH, (KH >= kFold)>(group) : block_for_group<T, KH, false>(group);
    switch (kh) {
        CORR2D_ROWS(1) CORR2D_ROWS(2) CORR2D_ROWS(3) CORR2D_ROWS(4) CORR2D_ROWS(5)
        CORR2D_ROWS(6) CORR2D_ROWS(7) CORR2D_ROWS(8) CORR2D_ROWS(9) CORR2D_ROWS(10)
        CORR2D_ROWS(11) CORR2D_ROWS(12) CORR2D_ROWS(13) CORR2D_ROWS(14) CORR2D_ROWS(15)
    }
#undef CORR2D_ROWS
    return nullptr;
}

// One vector wide, for what is narrower than a block: whole kernels only, the usual ones.
template <class T>
static Block<T> narrow_block_for(i64 kh, i64 group, bool fold) {
    if (group != kh) return nullptr;
#define CORR2D_ROWS(KH) \
    case KH: return fold ? &block<T, KH, KH, 1, (KH >= kFold)> : &block<T, KH, KH, 1, false>;
    switch (kh) {
        CORR2D_ROWS(1) CORR2D_ROWS(2) CORR2D_ROWS(3) CORR2D_ROWS(4) CORR2D_ROWS(5) CORR2D_ROWS(6) CORR2D_ROWS(7)
    }
#undef CORR2D_ROWS
    return nullptr;
}

// Few rows high, for the last strips of a tile: the usual kernels again.
constexpr int kFewRows = 4;
template <class T>
static Block<T> low_block_for(i64 kh, i64 group, bool fold) {
    if (group != kh || fold) return nullptr;
#define CORR2D_ROWS(KH) \
    case KH: return &block<T, KH, KH, kVectors, false, kFewRows>;
    switch (kh) {
        CORR2D_ROWS(1) CORR2D_ROWS(2) CORR2D_ROWS(3) CORR2D_ROWS(4) CORR2D_ROWS(5) CORR2D_ROWS(6) CORR2D_ROWS(7)
    }
#undef CORR2D_ROWS
    return nullptr;
}

// Whether there are such for rows of n samples.
template <class T>
static bool has_low_blocks(i64 kh, i64 group, bool fold, i64 n) {
    return n >= kVectors * Vec<T>::lanes && low_block_for<T>(kh, group, fold);
}

// Whether a sink can take strips of n samples: blocks of some width fit into them.
template <class T>
static bool fills_blocks(i64 kh, i64 group, bool fold, i64 n) {
    const i64 L = Vec<T>::lanes;
    return n >= L && block_for<T>(kh, group, fold) && (n >= kVectors * L || narrow_block_for<T>(kh, group, fold));
}

// R <= kRows output rows of n samples. With a sink `fills_blocks`, and R is kRows, or kFewRows where `has_low_blocks`.
template <class T>
static void direct_strip(const Strip<T>& s, i64 R, i64 n) {
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    Block<T> blocked = nullptr;
    if (R == kRows) blocked = block_for<T>(s.kh, s.group, s.across);
    if (R == kFewRows && has_low_blocks<T>(s.kh, s.group, s.across, n)) blocked = low_block_for<T>(s.kh, s.group, s.across);
    i64 x = 0;
    const bool sinks = s.sink.kind != Kind::none;
    if (blocked && R == kRows && n < (sinks ? wide : 2 * L + 1)) {
        if (const Block<T> narrow = narrow_block_for<T>(s.kh, s.group, s.across)) {
            for (; x + L <= n; x += L) narrow(s, x);
            if (x < n) narrow(s, sinks ? n - L : x);
            return;
        }
    }
    if (blocked) {
        for (; x + wide <= n; x += wide) {
            // Rows come from memory in pieces of a page that the hardware does not foresee.
            if (s.ahead)
                for (i64 r = 0; r < kRows; ++r)
                    for (i64 u = 0; u < kVectors; ++u)
                        __builtin_prefetch(s.rows[(kRows + s.kh - 1 + r) * s.row_step] + x + u * L, 0, 2);
            blocked(s, x);
        }
        if (x >= n) return;
        // The rest: once more from further left (the same bits), or beyond the end where there
        // is room. Either is faster than narrower code.
        if (s.room && !sinks) return blocked(s, x);
        if (x > 0 && !s.add) return blocked(s, n - wide);
    }
    const i64 rest = x;
    for (i64 r = 0; r < R; ++r) {
        for (x = rest; x + wide - L < n; x += wide) row_block<T, kVectors>(s, r, x);
        for (; x < n; x += L) row_block<T, 1>(s, r, x);
    }
}

}}  // namespace corr2d::CORR2D_ISA
