// Overlap-save by fast Fourier transform, in square tiles that stay in the second-level
// cache (Oppenheim & Schafer, *Discrete-Time Signal Processing*, §8.7).
//
// Two real tiles are the real and imaginary part of one complex tile. Transforms run along
// the columns, one column per vector lane, so no lane ever meets another; for the other axis
// the tile is transposed. Decimation in frequency forwards and in time backwards (Van Loan,
// *Computational Frameworks for the FFT*, §1.9) leave the spectrum in digit-reversed order,
// which nobody needs to undo: the kernel's spectrum is in the same order.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

// Real and imaginary plane of an n x n tile; rows `pitch` samples apart.
template <class T>
struct Planes {
    T* re;
    T* im;
    i64 n, pitch;
};

template <class T>
struct Complex {
    typename Vec<T>::type re, im;
};

template <class T>
static inline Complex<T> operator+(Complex<T> a, Complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T>
static inline Complex<T> operator-(Complex<T> a, Complex<T> b) { return {a.re - b.re, a.im - b.im}; }
template <class T>
static inline Complex<T> times(Complex<T> a, T wr, T wi) {
    const auto r = broadcast(wr), i = broadcast(wi);
    return {a.re * r - a.im * i, a.re * i + a.im * r};
}
template <class T>
static inline Complex<T> get(const Planes<T>& p, i64 row, i64 x) {
    return {load(p.re + row * p.pitch + x), load(p.im + row * p.pitch + x)};
}
template <class T>
static inline void put(const Planes<T>& p, i64 row, i64 x, Complex<T> v) {
    store(p.re + row * p.pitch + x, v.re);
    store(p.im + row * p.pitch + x, v.im);
}

// Twiddle factors: for each radix-4 stage of length m = n, n/4, ..., for j < m/4, the powers
// w^j, w^2j, w^3j of w = exp(-2 pi i / m) as (re, im) pairs.
static inline i64 twiddle_count(i64 n) {
    i64 count = 0;
    for (i64 m = n; m >= 4; m /= 4) count += 6 * (m / 4);
    return count;
}

// One vector of columns, forwards: natural order in, digit-reversed order out.
template <class T>
static inline void forward(const Planes<T>& p, i64 x, const T* twiddles) {
    i64 m = p.n;
    for (; m >= 4; m /= 4) {
        const i64 q = m / 4;
        for (i64 j = 0; j < q; ++j) {
            const T* w = twiddles + 6 * j;
            for (i64 block = j; block < p.n; block += m) {
                const auto a = get(p, block, x), b = get(p, block + q, x), c = get(p, block + 2 * q, x), d = get(p, block + 3 * q, x);
                const auto s = a + c, t = a - c, u = b + d, v = b - d;
                const Complex<T> iv{v.im, -v.re};  // -i v
                put(p, block, x, s + u);
                put(p, block + q, x, times(t + iv, w[0], w[1]));
                put(p, block + 2 * q, x, times(s - u, w[2], w[3]));
                put(p, block + 3 * q, x, times(t - iv, w[4], w[5]));
            }
        }
        twiddles += 6 * q;
    }
    if (m == 2)
        for (i64 block = 0; block < p.n; block += 2) {
            const auto a = get(p, block, x), b = get(p, block + 1, x);
            put(p, block, x, a + b);
            put(p, block + 1, x, a - b);
        }
}

// ... and back, times n.
template <class T>
static inline void backward(const Planes<T>& p, i64 x, const T* twiddles) {
    i64 m = p.n;
    while (m >= 4) m /= 4;
    if (m == 2)
        for (i64 block = 0; block < p.n; block += 2) {
            const auto a = get(p, block, x), b = get(p, block + 1, x);
            put(p, block, x, a + b);
            put(p, block + 1, x, a - b);
        }
    twiddles += twiddle_count(p.n);
    for (m *= 4; m <= p.n; m *= 4) {
        const i64 q = m / 4;
        twiddles -= 6 * q;
        for (i64 j = 0; j < q; ++j) {
            const T* w = twiddles + 6 * j;
            for (i64 block = j; block < p.n; block += m) {
                const auto a = get(p, block, x), b = times(get(p, block + q, x), w[0], -w[1]);
                const auto c = times(get(p, block + 2 * q, x), w[2], -w[3]), d = times(get(p, block + 3 * q, x), w[4], -w[5]);
                const auto s = a + c, t = a - c, u = b + d, v = b - d;
                const Complex<T> iv{-v.im, v.re};  // i v
                put(p, block, x, s + u);
                put(p, block + q, x, t + iv);
                put(p, block + 2 * q, x, s - u);
                put(p, block + 3 * q, x, t - iv);
            }
        }
    }
}

// Lanes of a and b with bit D of the lane's number exchanged between the two.
template <class T, int D, int Upper, int... I>
static inline typename Vec<T>::type exchange(typename Vec<T>::type a, typename Vec<T>::type b, Lanes<I...>) {
    constexpr int L = static_cast<int>(Vec<T>::lanes);
    if constexpr (Upper == 0)
        return __builtin_shufflevector(a, b, ((I & D) ? L + I - D : I)...);
    else
        return __builtin_shufflevector(a, b, ((I & D) ? L + I : I + D)...);
}

template <class T, int D>
static inline void transpose_step(typename Vec<T>::type* v) {
    constexpr int L = static_cast<int>(Vec<T>::lanes);
    using Each = typename MakeLanes<L>::type;
    CORR2D_UNROLL
    for (int i = 0; i < L; ++i) {
        if (i & D) continue;
        const auto a = v[i], b = v[i + D];
        v[i] = exchange<T, D, 0>(a, b, Each{});
        v[i + D] = exchange<T, D, 1>(a, b, Each{});
    }
}

template <class T>
static inline void transpose_block(typename Vec<T>::type* v) {
    constexpr int L = static_cast<int>(Vec<T>::lanes);
    transpose_step<T, 1>(v);
    if constexpr (L > 2) transpose_step<T, 2>(v);
    if constexpr (L > 4) transpose_step<T, 4>(v);
    if constexpr (L > 8) transpose_step<T, 8>(v);
}

// An n x n plane transposed in place, block by block.
template <class T>
static void transpose(T* p, i64 n, i64 pitch) {
    constexpr i64 L = Vec<T>::lanes;
    using V = typename Vec<T>::type;
    for (i64 y = 0; y < n; y += L)
        for (i64 x = y; x < n; x += L) {
            V a[L], b[L];
            for (i64 i = 0; i < L; ++i) a[i] = load(p + (y + i) * pitch + x);
            transpose_block<T>(a);
            if (x != y) {
                for (i64 i = 0; i < L; ++i) b[i] = load(p + (x + i) * pitch + y);
                transpose_block<T>(b);
                for (i64 i = 0; i < L; ++i) store(p + (y + i) * pitch + x, b[i]);
            }
            for (i64 i = 0; i < L; ++i) store(p + (x + i) * pitch + y, a[i]);
        }
}

template <class T>
static void transpose(const Planes<T>& p) {
    transpose(p.re, p.n, p.pitch);
    transpose(p.im, p.n, p.pitch);
}

// The kernel's spectrum, conjugated (correlation) and divided by n^2, transposed like the
// tiles' spectra are.
template <class T>
static void spectrum_of_kernel(const Planes<T>& p, const T* twiddles) {
    for (i64 x = 0; x < p.n; x += Vec<T>::lanes) forward(p, x, twiddles);
    transpose(p);
    for (i64 x = 0; x < p.n; x += Vec<T>::lanes) forward(p, x, twiddles);
    const T scale = T(1) / (static_cast<T>(p.n) * static_cast<T>(p.n));
    for (i64 y = 0; y < p.n; ++y)
        for (i64 x = 0; x < p.n; ++x) {
            p.re[y * p.pitch + x] *= scale;
            p.im[y * p.pitch + x] *= -scale;
        }
}

// A tile becomes its correlation with the kernel; columns from `columns` on are left undone.
template <class T>
static void correlate_planes(const Planes<T>& p, const Planes<const T>& kernel, const T* twiddles, i64 columns) {
    constexpr i64 L = Vec<T>::lanes;
    for (i64 x = 0; x < p.n; x += L) forward(p, x, twiddles);
    transpose(p);
    for (i64 x = 0; x < p.n; x += L) {  // all of this on columns in the first-level cache
        forward(p, x, twiddles);
        for (i64 y = 0; y < p.n; ++y) {
            const auto z = get(p, y, x);
            const auto kr = load(kernel.re + y * kernel.pitch + x), ki = load(kernel.im + y * kernel.pitch + x);
            put(p, y, x, Complex<T>{z.re * kr - z.im * ki, z.re * ki + z.im * kr});
        }
        backward(p, x, twiddles);
    }
    transpose(p);
    for (i64 x = 0; x < columns; x += L) backward(p, x, twiddles);
}

}}  // namespace corr2d::CORR2D_ISA
