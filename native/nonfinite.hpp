// Sums that are not finite, looked at again: by the definition they are so exactly where a
// window holds a pixel that is not, and a partial sum that left float's range is no such thing.
#pragma once
#include "tiling.hpp"

namespace corr2d { namespace CORR2D_ISA {

template <class T>
struct Tile {
    const Job& job;
    Rows<T> rows;
    const i64* offset;
    const T** taps;  // shifted rows
    T* sums;
    T* line;    // separable: rows summed along the columns
    i64 pitch;  // of sums
    i64 line_pitch;
    bool room;   // behind the rows
    bool ahead;  // rows are known before their strip
};

// Whether a sum may leave its type's range where the result does not: those of float, which are
// then taken in double; those of double where pixels are added before the weights come, or before all of them do.
template <class T>
static bool needs_range(const Job& job) {
    return sizeof(T) == 4 || (sizeof(T) == 8 && (job.across || job.method == Method::separable));
}

static inline bool all_finite(const float* p, i64 n) {
    std::uint32_t bad = 0;
    for (i64 i = 0; i < n; ++i) {
        std::uint32_t b;
        __builtin_memcpy(&b, p + i, 4);
        bad |= (b & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

static inline bool all_finite(const double* p, i64 n) {
    bool good = true;
    for (i64 i = 0; i < n; ++i) good &= p[i] - p[i] == 0;
    return good;
}

template <class T>
static inline bool all_zero(const typename Vec<T>::type& v) {
    const auto differs = v != typename Vec<T>::type{};
    std::uint64_t words[kVectorBytes / 8], other = 0;
    __builtin_memcpy(words, &differs, sizeof words);
    for (std::uint64_t w : words) other |= w;
    return !other;
}

// Whether sums of this strip can leave their type's range though every pixel is finite.
template <class T>
static bool may_overflow(const Tile<T>& t, i64 y, i64 R) {
    const Job& job = t.job;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y * job.y.stride, rows = (R - 1 + job.y.taps - 1) * job.y.dilation + 1;
    T peak = 0;
    for (i64 c = 0; c < channels; ++c)
        for (i64 r = top; r < top + rows; ++r) {
            const T* row = t.rows.table[c * t.rows.rows + r];
            if (!row) continue;
            for (i64 i = 0; i < t.rows.pixels; ++i) {
                const T x = row[i] < 0 ? -row[i] : row[i];
                if (x > peak && x - x == 0) peak = x;
            }
        }
    return static_cast<double>(peak) * job.weights.abs_sum >= (sizeof(T) == 4 ? 3e38 : 1.7e308);
}

// Outputs whose sum is not finite (of channel o of all banks), once more in double and weights first: a
// partial sum may have left its range where the result does not. (Infinite and NaN pixels give the same
// again.) The windows begin at table row `top`.
template <class T>
static void widen(const Tile<T>& t, i64 o, i64 top, T* sums, i64 n) {
    const Job& job = t.job;
    const i64 kh = job.y.taps, kw = job.x.taps, channels = job.weights.mixing ? job.weights.inputs : 1;
    for (i64 x = 0; x < n; ++x) {
        if (sums[x] - sums[x] == 0) continue;
        const double* w = (sizeof(T) == 4 ? job.weights.wide : static_cast<const double*>(job.weights.dense)) + o * channels * kh * kw;
        double sum = 0;
        for (i64 c = 0; c < channels; ++c)
            for (i64 j = 0; j < kw; ++j)
                for (i64 i = 0; i < kh; ++i)
                    sum += *w++ * static_cast<double>(t.rows.table[c * t.rows.rows + top + i * job.y.dilation][x + t.offset[j]]);
        sums[x] = static_cast<T>(sum);
    }
}

template <class T>
static inline bool row_finite(const T* p, i64 n) {
    decltype(magnitude(T())) largest = 0;
    for (i64 i = 0; i < n; ++i) largest = magnitude(p[i]) > largest ? magnitude(p[i]) : largest;
    return largest < magnitude(static_cast<T>(__builtin_inf()));
}

template <class T>
static bool rows_finite(const Tile<T>& t) {
    for (i64 r = 0; r < t.rows.rows * (t.job.weights.mixing ? t.job.weights.inputs : 1); ++r)
        if (t.rows.table[r] && !row_finite(t.rows.table[r], t.rows.pixels)) return false;
    return true;
}

// A sparse kernel skips its zero taps; the definition multiplies them. So an output whose
// window holds a pixel that is not finite becomes NaN here, whichever tap the pixel is under.
template <class T>
static void spoil(const Tile<T>& t, i64 y, i64 r, i64 n) {
    const Job& job = t.job;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y * job.y.stride + r * job.y.dilation;
    for (i64 c = 0; c < channels; ++c)
        for (i64 i = 0; i < job.y.taps; ++i) {
            const T* row = t.rows.table[c * t.rows.rows + top + i * job.y.dilation];
            if (row_finite(row, t.rows.pixels)) continue;
            for (i64 j = 0; j < job.x.taps; ++j)
                for (i64 x = 0; x < n; ++x)
                    if (magnitude(row[x + t.offset[j]]) >= magnitude(static_cast<T>(__builtin_inf())))
                        t.sums[r * t.pitch + x] = static_cast<T>(__builtin_nan(""));
        }
}

// Whether sums may be other than finite: of float pixels, or where padding holds NaN.
static bool may_leave_range(const Job& job) {
    for (i64 c = 0; c < job.weights.fills; ++c)
        if (!(job.weights.fill[c] - job.weights.fill[c] == 0)) return true;
    return job.in.dtype >= DType::f16;
}

}}  // namespace corr2d::CORR2D_ISA
