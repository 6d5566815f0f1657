// Kernels of low rank, a sum over l of column[l] row[l]: sums along the columns of a strip into
// lines that stay in the first-level cache, then one sum along all the lines, in registers.
// Separable kernels have one line a row of output.
//
// Taps are summed in chains of `group`, the chains pairwise (sum.hpp), so the rounding error
// is known for the weights at hand (engines/native.py counts it and chooses the group), and
// every output has the same bits whatever the tile, the thread or the place in the block.
#pragma once
#include "sink.hpp"
#include "sum.hpp"

namespace corr2d { namespace CORR2D_ISA {

// Finished chains of R x U sums, added up as a binary counter carries. In memory by order:
// left to itself, GCC moves the sums of the chain at work there instead.
template <class T, int R, int U>
struct Chains {
    using V = typename Vec<T>::type;
    static constexpr i64 L = Vec<T>::lanes;
    alignas(kVectorBytes) T aside[40][R * U * L];
    int depth = 0;

    CORR2D_INLINE void add(V (&acc)[R][U], i64 done) {
        for (; done & 1; done >>= 1) take(acc);
        T* to = aside[depth++];
        CORR2D_UNROLL
        for (int r = 0; r < R; ++r) {
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) store(to + (r * U + u) * L, acc[r][u]), acc[r][u] = V{};
        }
        asm("" : : "r"(to) : "memory");
    }
    // The last chain in acc becomes the whole sum.
    CORR2D_INLINE void finish(V (&acc)[R][U], i64 done) {
        for (; done & 1; done >>= 1) take(acc);
        while (depth) take(acc);
    }

private:
    CORR2D_INLINE void take(V (&acc)[R][U]) {
        const T* from = aside[--depth];
        CORR2D_UNROLL
        for (int r = 0; r < R; ++r) {
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) acc[r][u] = load(from + (r * U + u) * L) + acc[r][u];
        }
    }
};

// Input row q of a chain, for the outputs in [first, last]: loaded once for all of them.
template <class T>
CORR2D_INLINE static void column_row(const T* p, const T* w, int first, int last, typename Vec<T>::type (&acc)[kRows][kVectors]) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V v[kVectors];
    CORR2D_UNROLL
    for (int u = 0; u < kVectors; ++u) v[u] = load(p + u * L);
    CORR2D_UNROLL
    for (int r = 0; r < kRows; ++r) {
        if (r < first || r > last) continue;
        const V k = broadcast(w[-r]);
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) acc[r][u] += k * v[u];
    }
}

// A chain of fewer taps than rows.
template <class T, int C>
CORR2D_INLINE static void short_chain(const T* const* rows, i64 step, i64 x, const T* w, typename Vec<T>::type (&acc)[kRows][kVectors]) {
    CORR2D_UNROLL
    for (int q = 0; q < kRows + C - 1; ++q)
        column_row(rows[q * step] + x, w + q, q < C ? 0 : q - C + 1, q < kRows ? q : kRows - 1, acc);
}

// `taps` kernel rows of kRows neighbouring outputs. Only the outputs whose window holds an
// input row meet it, be its weight zero: a NaN must not reach the others.
template <class T>
CORR2D_INLINE static void column_chain(const T* const* rows, i64 step, i64 x, const T* w, i64 taps,
                                typename Vec<T>::type (&acc)[kRows][kVectors]) {
    static_assert(kRows == 6);
    switch (taps) {
        case 1: return short_chain<T, 1>(rows, step, x, w, acc);
        case 2: return short_chain<T, 2>(rows, step, x, w, acc);
        case 3: return short_chain<T, 3>(rows, step, x, w, acc);
        case 4: return short_chain<T, 4>(rows, step, x, w, acc);
    }
    CORR2D_UNROLL
    for (int q = 0; q < kRows - 1; ++q) column_row(rows[q * step] + x, w + q, 0, q, acc);
    for (i64 q = kRows - 1; q < taps; ++q) column_row(rows[q * step] + x, w + q, 0, kRows - 1, acc);
    CORR2D_UNROLL
    for (int e = 0; e < kRows - 1; ++e) column_row(rows[(taps + e) * step] + x, w + taps + e, e + 1, kRows - 1, acc);
}

// The first pass for kRows outputs at once: to[r * pitch] = sum over t of w[t] * rows[(r + t) * step].
template <class T>
static void column_block(const T* const* rows, i64 step, i64 x, const T* w, i64 taps, i64 group, T* to, i64 pitch) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V acc[kRows][kVectors];
    CORR2D_UNROLL
    for (int r = 0; r < kRows; ++r) {
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) acc[r][u] = V{};
    }
    Chains<T, kRows, kVectors> chains;
    i64 t = 0, done = 0;
    for (; t + group < taps; t += group) {
        column_chain(rows + t * step, step, x, w + t, group, acc);
        chains.add(acc, done++);
    }
    column_chain(rows + t * step, step, x, w + t, taps - t, acc);
    chains.finish(acc, done);
    CORR2D_UNROLL
    for (int r = 0; r < kRows; ++r) {
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) store(to + r * pitch + x + u * L, acc[r][u]);
    }
}

// kRows rows of n samples (at least kVectors vectors of them), in whole vectors.
template <class T>
static void column_strip(const T* const* rows, i64 step, const T* w, i64 taps, i64 group, T* to, i64 pitch, i64 n, bool ahead) {
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    i64 x = 0;
    for (; x + wide - L < n; x += wide) {
        if (ahead)
            for (i64 r = 0; r < kRows; ++r)
                for (i64 u = 0; u < kVectors; ++u) __builtin_prefetch(rows[(kRows + taps - 1 + r) * step] + x + u * L, 0, 2);
        column_block(rows, step, x, w, taps, group, to, pitch);
    }
    if (x < n) column_block(rows, step, round_up(n, L) - wide, w, taps, group, to, pitch);
}

// Samples AT further on than p, of which v holds whole vectors. A load that crosses a cache line takes two cycles of
// the load ports, a shift of two registers gets in the way of the multipliers: one load to two shifts is fastest
// (measured on Zen 4, 13 taps: loads alone 24, half of each 32, a third 43, a quarter 42, shifts alone 34 G
// multiply-adds a second).
template <class T, int AT, int N>
CORR2D_INLINE static typename Vec<T>::type samples(const T* p, const typename Vec<T>::type (&v)[N], int u, bool loaded) {
    constexpr int L = Vec<T>::lanes, q = AT / L, s = AT % L;
    if constexpr (s == 0)
        return v[u + q];
    else
        return loaded ? load(p + AT + u * L) : shifted<T, s>(v[u + q], v[u + q + 1]);
}

// Tap K of `Taps`; of mirrored ones the left half, each with its mirror image: what they meet is added first, beside
// the multipliers.
template <class T, int STEP, bool Mirrored, int Taps, int K, int U, int N>
CORR2D_INLINE static void row_tap(const T* p, const T* w, const typename Vec<T>::type (&v)[N], typename Vec<T>::type (&acc)[1][U]) {
    constexpr int mirror = Taps - 1 - K;
    if constexpr (Mirrored && K > mirror) return;
    const auto k = broadcast(w[K]);
    CORR2D_UNROLL
    for (int u = 0; u < U; ++u) {
        if constexpr (Mirrored && K < mirror)
            acc[0][u] += k * (samples<T, K * STEP>(p, v, u, K % 3 == 2) + samples<T, mirror * STEP>(p, v, u, K % 3 == 1));
        else
            acc[0][u] += k * samples<T, K * STEP>(p, v, u, K % 3 == 2);
    }
}

// Taps along a line, unrolled.
template <class T, int STEP, bool Mirrored, int U, int... K>
CORR2D_INLINE static void row_piece(const T* p, const T* w, typename Vec<T>::type (&acc)[1][U], Lanes<K...>) {
    constexpr int L = Vec<T>::lanes, taps = sizeof...(K), N = U + ((taps - 1) * STEP + L - 1) / L;
    typename Vec<T>::type v[N];
    CORR2D_UNROLL
    for (int m = 0; m < N; ++m) v[m] = load(p + m * L);
    (row_tap<T, STEP, Mirrored, taps, K>(p, w, v, acc), ...);
}

constexpr i64 kPiece = 8;  // taps along a line that are unrolled, of many
constexpr i64 kWhole = 17;  // ... and of a whole line: what they meet lies in one vector more than there are outputs
constexpr i64 kMirrored = 31;  // ... of one that is mirrored, beyond kWhole an odd number of them
constexpr int kShifts = kVectorBytes == 64 ? 4 : 0;  // steps between taps up to which shifting is compiled

template <class T, int STEP, int U>
CORR2D_INLINE static void row_taps(const T* p, const i64* offset, const T* w, i64 taps, typename Vec<T>::type (&acc)[1][U]) {
    constexpr i64 L = Vec<T>::lanes;
    if constexpr (STEP == 0) {
        for (i64 t = 0; t < taps; ++t) {
            const auto k = broadcast(w[t]);
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) acc[0][u] += k * load(p + offset[t] + u * L);
        }
    } else {
        p += offset[0];
        for (; taps >= kPiece; taps -= kPiece, p += kPiece * STEP, w += kPiece) row_piece<T, STEP, false>(p, w, acc, MakeLanes<8>::type{});
        switch (taps) {
            case 1: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<1>::type{});
            case 2: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<2>::type{});
            case 3: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<3>::type{});
            case 4: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<4>::type{});
            case 5: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<5>::type{});
            case 6: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<6>::type{});
            case 7: return row_piece<T, STEP, false>(p, w, acc, MakeLanes<7>::type{});
        }
    }
}

// How the taps of a line are summed: one after the other, or those that mirror each other together, of a few taps or of
// more. (In one function, GCC spills the sums of the few for the sake of the many: 8 % slower.)
enum class Fold { none, few, many };

// All taps of a line, none of whose chains ends amid it; as many as are unrolled, where their step is known.
template <class T, int STEP, Fold FOLD, int U>
CORR2D_INLINE static void row_line(const T* p, const i64* offset, const T* w, i64 taps, typename Vec<T>::type (&acc)[1][U]) {
    constexpr i64 L = Vec<T>::lanes;
    constexpr bool mirrored = FOLD != Fold::none;
    if constexpr (STEP == 0) {
        for (i64 t = 0, m = taps - 1; mirrored ? t <= m : t < taps; ++t, --m) {
            const auto k = broadcast(w[t]);
            const T *q = p + offset[t], *mirror = p + offset[m];
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u)
                acc[0][u] += k * (mirrored && t < m ? load(q + u * L) + load(mirror + u * L) : load(q + u * L));
        }
    } else {
        p += offset[0];
#define CORR2D_TAPS(N) \
    case N: return row_piece<T, STEP, mirrored>(p, w, acc, MakeLanes<N>::type{});
        if constexpr (FOLD == Fold::many) switch (taps) {
                CORR2D_TAPS(19) CORR2D_TAPS(21) CORR2D_TAPS(23) CORR2D_TAPS(25) CORR2D_TAPS(27) CORR2D_TAPS(29) CORR2D_TAPS(31)
            }
        else switch (taps) {
                CORR2D_TAPS(1) CORR2D_TAPS(2) CORR2D_TAPS(3) CORR2D_TAPS(4) CORR2D_TAPS(5) CORR2D_TAPS(6)
                CORR2D_TAPS(7) CORR2D_TAPS(8) CORR2D_TAPS(9) CORR2D_TAPS(10) CORR2D_TAPS(11) CORR2D_TAPS(12)
                CORR2D_TAPS(13) CORR2D_TAPS(14) CORR2D_TAPS(15) CORR2D_TAPS(16) CORR2D_TAPS(17)
            }
#undef CORR2D_TAPS
    }
}

// The second pass over the lines of one row of output.
template <class T>
struct Along {
    const T* line;  // the first; the others `between` samples apart
    i64 lines, between;
    const i64* offset;  // of each tap
    const T* w;         // (lines, taps)
    i64 taps, group;
    bool mirrored;  // each line of weights is its own mirror image, that is used, and no chain ends amid it
    T* sums;        // without a sink
    Sink<T> sink;
};

// n outputs, at least kVectors vectors of them.
template <class T, int STEP, Fold FOLD>
static void row_strip(const Along<T>& along, i64 n) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes, wide = kVectors * L;
    Along<T> a = along;  // a copy: the stores below could alias a reference
    const i64 item = sink_item<T>(a.sink.kind);
    const bool whole = a.taps <= min64(kWhole, a.group);
    Watch<T> watch(a.sink);
    Chains<T, 1, kVectors> chains;
    for (i64 next = 0; next < n; next += wide) {
        const i64 x = min64(next, n - wide);  // the last ones reach back, to the same bits
        V acc[1][kVectors];
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) acc[0][u] = V{};
        i64 done = 0;
        for (i64 l = 0; l < a.lines; ++l) {
            if (l) chains.add(acc, done++);
            const T *p = a.line + l * a.between + x, *w = a.w + l * a.taps;
            if (FOLD != Fold::none || whole) {
                row_line<T, STEP, FOLD>(p, a.offset, w, a.taps, acc);
                continue;
            }
            i64 t = 0;
            for (; t + a.group < a.taps; t += a.group) {
                row_taps<T, STEP, kVectors>(p, a.offset + t, w + t, a.group, acc);
                chains.add(acc, done++);
            }
            row_taps<T, STEP, kVectors>(p, a.offset + t, w + t, a.taps - t, acc);
        }
        if (done) chains.finish(acc, done);
        if (a.sink.kind != Kind::none) {
            watch.see(acc[0]);
            emit<T, kVectors>(a.sink, a.sink.to + x * item, acc[0]);
            continue;
        }
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) store(a.sums + x + u * L, acc[0][u]);
    }
}

// Samples between neighbouring taps; 0 where they differ.
static inline i64 tap_step(const i64* offset, i64 taps) {
    const i64 step = taps > 1 ? offset[1] - offset[0] : 1;
    for (i64 j = 1; j < taps; ++j)
        if (offset[j] - offset[j - 1] != step) return 0;
    return step;
}

template <class T, int STEP>
static void along_line(const Along<T>& a, i64 n) {
    if (!a.mirrored) return row_strip<T, STEP, Fold::none>(a, n);
    if (STEP == 0 || a.taps <= kWhole) return row_strip<T, STEP, Fold::few>(a, n);
    if constexpr (STEP == 1)
        if (a.taps <= kMirrored && a.taps % 2) return row_strip<T, STEP, Fold::many>(a, n);
    row_strip<T, 0, Fold::few>(a, n);
}

template <class T>
static void along_line(const Along<T>& a, i64 n) {
    if constexpr (kShifts > 0) switch (tap_step(a.offset, a.taps)) {
            case 1: return along_line<T, 1>(a, n);
            case 2: return along_line<T, 2>(a, n);
            case 3: return along_line<T, 3>(a, n);
            case 4: return along_line<T, 4>(a, n);
        }
    along_line<T, 0>(a, n);
}

// R output rows of n samples. The sums of a sink, else to sums + r * pitch.
template <class T>
struct Separable {
    const T* const* rows;  // the strip's first input row; neighbours `step` apart
    i64 step;
    const i64* offset;  // of each tap in a row
    i64 kh, kw, ranks, group;
    bool mirrored;          // the rows are their own mirror images
    const T *column, *row;  // (ranks, kh), (ranks, kw)
    T* line;                // room for ranks * kRows lines
    i64 line_pitch;
    i64 pixels;  // samples of an input row
    const T** taps;
    T* sums;
    i64 pitch;
    bool room;  // rows may be read, and sums written, a block beyond their end
    bool ahead;
    Sink<T> sink;
};

template <class T>
static void separable_strip(const Separable<T>& strip, i64 R, i64 n) {
    constexpr i64 wide = kVectors * Vec<T>::lanes;
    Separable<T> s = strip;
    const i64 between = kRows * s.line_pitch;
    if (s.room) n = max64(n, wide), s.pixels = max64(s.pixels, wide);
    if (R == kRows && n >= wide) {
        for (i64 l = 0; l < s.ranks; ++l)
            column_strip(s.rows, s.step, s.column + l * s.kh, s.kh, s.group, s.line + l * between, s.line_pitch, s.pixels, s.ahead && l == 0);
        for (i64 r = 0; r < R; ++r) {
            Along<T> a{s.line + r * s.line_pitch, s.ranks, between, s.offset, s.row, s.kw, s.group, s.mirrored, s.sums + r * s.pitch, s.sink};
            if (s.sink.kind != Kind::none) a.sink.to += r * s.sink.pitch;
            along_line(a, n);
        }
        return;
    }
    for (i64 r = 0; r < R; ++r) {
        for (i64 i = 0; i < s.kh; ++i) s.taps[i] = s.rows[(r + i) * s.step];
        for (i64 l = 0; l < s.ranks; ++l) sum_rows(s.taps, s.column + l * s.kh, 1, s.kh, s.group, s.line + l * between, s.pixels);
        for (i64 l = 0; l < s.ranks; ++l)
            for (i64 j = 0; j < s.kw; ++j) s.taps[l * s.kw + j] = s.line + l * between + s.offset[j];
        sum_rows(s.taps, s.row, s.ranks, s.kw, s.group, s.sums + r * s.pitch, n, s.mirrored);
    }
}

}}  // namespace corr2d::CORR2D_ISA
