// Sums of shifted rows: to[x] = sum over t of w[t] * rows[t][x]. Any kernel is such a sum, as
// a list of taps, and so are both passes of a separable one (in separable.hpp, faster).
//
// Taps are summed in chains of `group` in registers, the chains pairwise (Higham,
// *Accuracy and Stability of Numerical Algorithms*, §4.2), so the rounding error grows with
// the logarithm of their number: (group + log2(taps / group)) u. One tap after the other,
// 700 equal ones would miss the accuracy contract.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

template <class T, int U>
static inline void sum_block(const T* const* rows, i64 x, const T* w, i64 lines, i64 taps, i64 group, T* to, bool mirrored) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V stack[40][U];  // stack[d]: the sum of 2^k chains, k falling with d
    int depth = 0;
    const i64 pairs = mirrored ? taps / 2 : 0, products = taps - pairs;
    for (i64 line = 0, t = 0, done = 0; line < lines; ++done) {
        V acc[U];
        for (int u = 0; u < U; ++u) acc[u] = V{};
        const i64 stop = min64(products, t + group);
        for (; t < stop; ++t) {
            const V k = broadcast(w[t]);
            const T *p = rows[t] + x, *mirror = rows[taps - 1 - t] + x;
            if (t < pairs)
                for (int u = 0; u < U; ++u) acc[u] += k * (load(p + u * L) + load(mirror + u * L));
            else
                for (int u = 0; u < U; ++u) acc[u] += k * load(p + u * L);
        }
        for (i64 m = done; m & 1; m >>= 1) {  // as a binary counter carries
            --depth;
            for (int u = 0; u < U; ++u) acc[u] = stack[depth][u] + acc[u];
        }
        for (int u = 0; u < U; ++u) stack[depth][u] = acc[u];
        ++depth;
        if (t < products) continue;
        ++line, t = 0;
        rows += taps, w += taps;
    }
    for (int u = 0; u < U; ++u) {
        V total = stack[depth - 1][u];
        for (int d = depth - 2; d >= 0; --d) total = stack[d][u] + total;
        store(to + u * L, total);
    }
}

// n samples, in whole vectors, from `lines` times `taps` rows; no chain runs from one line into the next. Where each
// line of weights is its own mirror image and that is to be used, what two taps meet is added first.
template <class T>
static void sum_rows(const T* const* rows, const T* w, i64 lines, i64 taps, i64 group, T* to, i64 n, bool mirrored = false) {
    constexpr i64 L = Vec<T>::lanes;
    constexpr int U = kVectorBytes == 64 ? 8 : 4;
    i64 x = 0;
    for (; x + (U - 1) * L < n; x += U * L) sum_block<T, U>(rows, x, w, lines, taps, group, to + x, mirrored);
    for (; x < n; x += L) sum_block<T, 1>(rows, x, w, lines, taps, group, to + x, mirrored);
}

}}  // namespace corr2d::CORR2D_ISA
