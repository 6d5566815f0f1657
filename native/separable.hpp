// Rank-1 kernels: columns first into a line that stays in the first-level cache, then
// along the line. Both passes are the same sum of shifted rows.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

constexpr i64 kGroup = 8;  // taps summed in one go: error (8 + taps / 8) u instead of taps u

template <class T, int U>
static inline void weighted_block(const T* const* rows, i64 x, const T* w, i64 taps, T* to) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    V total[U];
    for (int u = 0; u < U; ++u) total[u] = V{};
    for (i64 t = 0; t < taps;) {
        V acc[U];
        for (int u = 0; u < U; ++u) acc[u] = V{};
        const i64 stop = min64(taps, t + kGroup);
        for (; t < stop; ++t) {
            const V k = broadcast(w[t]);
            const T* p = rows[t] + x;
            for (int u = 0; u < U; ++u) acc[u] += k * load(p + u * L);
        }
        for (int u = 0; u < U; ++u) total[u] += acc[u];
    }
    for (int u = 0; u < U; ++u) store(to + u * L, total[u]);
}

// to[x] = sum over t of w[t] * rows[t][x], n samples rounded up to whole vectors.
template <class T>
static void weighted_rows(const T* const* rows, const T* w, i64 taps, T* to, i64 n) {
    constexpr i64 L = Vec<T>::lanes;
    constexpr int U = kVectorBytes == 64 ? 8 : 4;
    i64 x = 0;
    for (; x + (U - 1) * L < n; x += U * L) weighted_block<T, U>(rows, x, w, taps, to + x);
    for (; x < n; x += L) weighted_block<T, 1>(rows, x, w, taps, to + x);
}

}}  // namespace corr2d::CORR2D_ISA
