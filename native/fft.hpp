// Two-dimensional correlation by fast Fourier transform, of a tile that stays in the
// second-level cache.
//
// Two real tiles are the real and imaginary part of one complex tile. Transforms run down the
// columns, one column per vector lane, so no lane ever meets another; for the other axis,
// strips of as many rows as a vector has lanes are turned in the first-level cache. Decimation
// in frequency forwards and in time backwards (Van Loan, *Computational Frameworks for the
// FFT*, §1.9) leave the spectrum in digit-reversed order, which nobody needs to undo: the
// kernel's spectrum is in the same order. A length is a product of radices 8, 4 and 3, each a
// pass in registers; after the first pass the rest goes depth first, so that what leaves the
// first-level cache does so once. The last pass, the product with the kernel's spectrum and
// the first pass back are one.
//
// What bounds the speed is stores and additions: a pass of radix 8 is 32 stores (a store takes
// two cycles here), 44 additions and 36 multiplications or multiply-adds in 44 cycles.
//
// Accuracy. Every pass is a unitary matrix times a number, applied with few roundings of each
// value, so in the norm over the tile the error of all passes there and back is at most about
// 4 u log2(rows cols), 48 .. 80 u, times the norm of the tile times sum|k| (Higham, *Accuracy and
// Stability of Numerical Algorithms*, §24.1). That is a proof for the mean square of a tile's
// outputs, not for each: roundings would have to conspire to meet in one. As they do not, the
// error is spread evenly, with a deviation measured as 3 .. 4 u norm(k) rms(tile). The contract's
// 32 u sum|k| max|x| comes nearest where norm(k) = sum|k| and rms = max, one tap over an image of
// random signs: there the worst of 3 million outputs was 19 u in tiles of 1024, 17 u in tiles of
// 128; dense kernels stay below 8 u.
#pragma once
#include "rows.hpp"

namespace corr2d { namespace CORR2D_ISA {

template <class T>
struct Complex {
    typename Vec<T>::type re, im;
};

template <class T>
static inline Complex<T> operator+(Complex<T> a, Complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T>
static inline Complex<T> operator-(Complex<T> a, Complex<T> b) { return {a.re - b.re, a.im - b.im}; }

// a + i b or a - i b.
template <bool Plus, class T>
static inline Complex<T> add_turned(Complex<T> a, Complex<T> b) {
    if constexpr (Plus)
        return {a.re - b.im, a.im + b.re};
    else
        return {a.re + b.im, a.im - b.re};
}

// a w, or a times the conjugate of w.
template <bool Conjugate, class T>
static inline Complex<T> times(Complex<T> a, typename Vec<T>::type wr, typename Vec<T>::type wi) {
    if constexpr (Conjugate)
        return {a.re * wr + a.im * wi, a.im * wr - a.re * wi};
    else
        return {a.re * wr - a.im * wi, a.im * wr + a.re * wi};
}

// Complex vector i of a column: real parts, then imaginary parts.
template <class T>
static inline Complex<T> get(const T* p, i64 i) {
    constexpr i64 L = Vec<T>::lanes;
    return {load(p + 2 * L * i), load(p + 2 * L * i + L)};
}
template <class T>
static inline void put(T* p, i64 i, Complex<T> z) {
    constexpr i64 L = Vec<T>::lanes;
    store(p + 2 * L * i, z.re);
    store(p + 2 * L * i + L, z.im);
}

// Fourier transforms of a few points, forwards (exp(-2 pi i / R)) or back, in natural order.
template <bool Back, class T>
static inline void butterfly(Complex<T> (&z)[3]) {
    const auto s = z[1] + z[2], d = z[1] - z[2];
    const Complex<T> m{z[0].re - T(0.5) * s.re, z[0].im - T(0.5) * s.im};
    const T h = static_cast<T>(0.866025403784438646763723);
    z[0] = z[0] + s;
    const Complex<T> plus{m.re - h * d.im, m.im + h * d.re}, minus{m.re + h * d.im, m.im - h * d.re};
    z[1] = Back ? plus : minus;
    z[2] = Back ? minus : plus;
}

template <bool Back, class T>
static inline void four(Complex<T>& a, Complex<T>& b, Complex<T>& c, Complex<T>& d) {
    const auto s = a + c, t = a - c, u = b + d, v = b - d;
    a = s + u;
    b = add_turned<Back>(t, v);
    c = s - u;
    d = add_turned<!Back>(t, v);
}

template <bool Back, class T>
static inline void butterfly(Complex<T> (&z)[4]) {
    four<Back>(z[0], z[1], z[2], z[3]);
}

// The odd outputs' factors sqrt(1/2) (1 -+ i) go into the last additions, which become
// multiply-adds.
template <bool Back, class T>
static inline void butterfly(Complex<T> (&z)[8]) {
    Complex<T> a = z[0] + z[4], b = z[1] + z[5], c = z[2] + z[6], d = z[3] + z[7];
    const auto p = z[0] - z[4], q = z[1] - z[5], r = z[2] - z[6], x = z[3] - z[7];
    four<Back>(a, b, c, d);
    const auto s = add_turned<Back>(p, r), t = add_turned<!Back>(p, r);
    const auto e = add_turned<Back>(q, x), f = add_turned<!Back>(q, x);
    const auto u = add_turned<Back>(e, e), v = add_turned<!Back>(f, f);
    const T h = static_cast<T>(0.707106781186547524400844);
    z[0] = a;
    z[2] = b;
    z[4] = c;
    z[6] = d;
    z[1] = {s.re + h * u.re, s.im + h * u.im};
    z[5] = {s.re - h * u.re, s.im - h * u.im};
    z[3] = {t.re - h * v.re, t.im - h * v.im};
    z[7] = {t.re + h * v.re, t.im + h * v.im};
}

// One butterfly of a pass: points q apart. Twiddle factors w^1 ... w^(R-1) as (re, im) pairs;
// they are 1 where Turned is false.
template <bool Back, bool Turned, class T, int... I>
static inline void pass_at(const T* from, T* to, i64 q, const T* w, Lanes<I...>) {
    Complex<T> z[sizeof...(I)] = {get(from, I * q)...};
    if constexpr (Back && Turned)
        ((z[I] = I ? times<true>(z[I], broadcast(w[2 * (I ? I - 1 : 0)]), broadcast(w[2 * (I ? I - 1 : 0) + 1])) : z[I]), ...);
    butterfly<Back>(z);
    if constexpr (!Back && Turned)
        ((z[I] = I ? times<false>(z[I], broadcast(w[2 * (I ? I - 1 : 0)]), broadcast(w[2 * (I ? I - 1 : 0) + 1])) : z[I]), ...);
    (put(to, I * q, z[I]), ...);
}

// A pass over radix * q points.
template <bool Back, int Radix, class T>
static inline void pass(T* p, i64 q, const T* w) {
    using Each = typename MakeLanes<Radix>::type;
    pass_at<Back, false>(p, p, q, w, Each{});
    for (i64 j = 1; j < q; ++j) {
        w += 2 * (Radix - 1);
        pass_at<Back, true>(p + 2 * Vec<T>::lanes * j, p + 2 * Vec<T>::lanes * j, q, w, Each{});
    }
}

template <bool Back, class T>
static void pass(T* p, const Pass& s) {
    const T* w = static_cast<const T*>(s.twiddles);
    if (s.radix == 8)
        pass<Back, 8>(p, s.apart, w);
    else if (s.radix == 4)
        pass<Back, 4>(p, s.apart, w);
    else
        pass<Back, 3>(p, s.apart, w);
}

// One column of vectors, natural order to digit-reversed order and back, times its length.
template <class T>
static void forward(T* p, const Pass* s) {
    pass<false>(p, *s);
    if (s->apart > 1)
        for (i64 k = 0; k < s->radix; ++k) forward(p + k * s->apart * 2 * Vec<T>::lanes, s + 1);
}

template <class T>
static void backward(T* p, const Pass* s) {
    if (s->apart > 1)
        for (i64 k = 0; k < s->radix; ++k) backward(p + k * s->apart * 2 * Vec<T>::lanes, s + 1);
    pass<true>(p, *s);
}

// The last pass, the product with the spectrum and the first pass back.
template <class T, int... I>
static inline void meet(T* p, const T* spectrum, Lanes<I...>) {
    Complex<T> z[sizeof...(I)] = {get(p, I)...};
    butterfly<false>(z);
    ((z[I] = times<false>(z[I], get(spectrum, I).re, get(spectrum, I).im)), ...);
    butterfly<true>(z);
    (put(p, I, z[I]), ...);
}

template <class T>
static void filter_column(T* p, const T* spectrum, const Pass* s) {
    if (s->apart == 1) {
        if (s->radix == 8)
            meet(p, spectrum, typename MakeLanes<8>::type{});
        else if (s->radix == 4)
            meet(p, spectrum, typename MakeLanes<4>::type{});
        else
            meet(p, spectrum, typename MakeLanes<3>::type{});
        return;
    }
    pass<false>(p, *s);
    const i64 part = s->apart * 2 * Vec<T>::lanes;
    for (i64 k = 0; k < s->radix; ++k) filter_column(p + k * part, spectrum + k * part, s + 1);
    pass<true>(p, *s);
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

// L complex vectors become the L columns of the matrix whose rows they were.
template <class T>
static inline void transpose_block(const T* from, T* to) {
    constexpr i64 L = Vec<T>::lanes;
    CORR2D_UNROLL
    for (int part = 0; part < 2; ++part) {
        typename Vec<T>::type v[L];
        CORR2D_UNROLL
        for (i64 i = 0; i < L; ++i) v[i] = load(from + (2 * i + part) * L);
        transpose_step<T, 1>(v);
        if constexpr (L > 2) transpose_step<T, 2>(v);
        if constexpr (L > 4) transpose_step<T, 4>(v);
        if constexpr (L > 8) transpose_step<T, 8>(v);
        CORR2D_UNROLL
        for (i64 i = 0; i < L; ++i) store(to + (2 * i + part) * L, v[i]);
    }
}

// A complex tile of y.n rows and x.n columns, in blocks of as many columns as a vector has
// lanes: each is y.n complex vectors, then a gap that keeps strips out of each other's way
// in the cache.
template <class T>
struct ComplexTile {
    static constexpr i64 L = Vec<T>::lanes;
    T* data;
    i64 rows, cols;

    static constexpr i64 gap = 2 * L * L;
    static i64 samples(i64 rows, i64 cols) { return (2 * L * rows + gap) * (cols / L); }
    i64 stride() const { return 2 * L * rows + gap; }
    T* block(i64 c) const { return data + c * stride(); }
};

// Strip s of the tile, its rows turned into the columns of `strip`: those of the first `in`
// columns, zeroes for the others. `ahead` asks for memory that will be needed later: a few
// lines at a time, as a core waits when it asks for many at once.
template <class T, class Ahead>
static inline void turn(const ComplexTile<T>& tile, i64 s, i64 in, T* strip, Ahead& ahead) {
    constexpr i64 L = Vec<T>::lanes, block = 2 * L * L;
    i64 c = 0;
    for (; c * L < in; ++c) {
        transpose_block(tile.block(c) + s * block, strip + c * block);
        ahead.ask(3 * L / 4);
    }
    __builtin_memset(strip + c * block, 0, static_cast<std::size_t>((tile.cols / L - c) * block) * sizeof(T));
}

// A tile becomes its correlation with the kernel. Of its columns the first `in` are not zero,
// and the first `out` are wanted.
template <class T, class Ahead>
static void correlate_tile(const ComplexTile<T>& tile, const Transform& transform, i64 in, i64 out, T* strip, Ahead& ahead) {
    constexpr i64 L = Vec<T>::lanes, block = 2 * L * L;
    const T* spectrum = static_cast<const T*>(transform.spectrum);
    for (i64 c = 0; c * L < in; ++c) {
        forward(tile.block(c), transform.y.passes);
        ahead.ask(tile.rows / 2);
    }
    for (i64 s = 0; s < tile.rows / L; ++s) {
        turn(tile, s, in, strip, ahead);
        filter_column(strip, spectrum + s * 2 * L * tile.cols, transform.x.passes);
        for (i64 c = 0; c * L < out; ++c) {
            transpose_block(strip + c * block, tile.block(c) + s * block);
            ahead.ask(3 * L / 4);
        }
    }
    for (i64 c = 0; c * L < out; ++c) {
        backward(tile.block(c), transform.y.passes);
        ahead.ask(tile.rows / 2);
    }
}

// The spectrum of the kernel in `tile`, none of it beyond column `in`: conjugated (correlation),
// divided by the number of points, in the order of tiles of T.
template <class T>
static void spectrum_of(const ComplexTile<double>& tile, const Transform& transform, i64 in, double* strip, T* to) {
    constexpr i64 L = Vec<double>::lanes, wide = Vec<T>::lanes;
    for (i64 c = 0; c * L < in; ++c) forward(tile.block(c), transform.y.passes);
    const double scale = 1.0 / static_cast<double>(tile.rows * tile.cols);
    struct {
        void ask(i64) {}
    } nothing;
    for (i64 s = 0; s < tile.rows / L; ++s) {
        turn(tile, s, in, strip, nothing);
        forward(strip, transform.x.passes);
        for (i64 x = 0; x < tile.cols; ++x)
            for (i64 l = 0; l < L; ++l) {
                const i64 y = s * L + l;
                T* z = to + 2 * wide * (y / wide * tile.cols + x) + y % wide;
                z[0] = static_cast<T>(strip[2 * L * x + l] * scale);
                z[wide] = static_cast<T>(-strip[2 * L * x + L + l] * scale);
            }
    }
}

static std::size_t spectrum_bytes(i64 ny, i64 nx) {
    return static_cast<std::size_t>(ComplexTile<double>::samples(ny, nx) + 2 * Vec<double>::lanes * nx) * sizeof(double);
}

// From the kernel's weights, in memory of spectrum_bytes.
static void spectrum(const Transform& transform, const Axis& y, const Axis& x, const double* weights, bool single, char* memory,
                     void* to) {
    constexpr i64 L = Vec<double>::lanes;
    const ComplexTile<double> tile{reinterpret_cast<double*>(memory), transform.y.n, transform.x.n};
    const i64 samples = ComplexTile<double>::samples(tile.rows, tile.cols), in = x.span() + 1;
    __builtin_memset(memory, 0, static_cast<std::size_t>(samples) * sizeof(double));
    for (i64 i = 0; i < y.taps; ++i)
        for (i64 j = 0; j < x.taps; ++j) {
            const i64 column = j * x.dilation;
            tile.block(column / L)[2 * L * i * y.dilation + column % L] = weights[i * x.taps + j];
        }
    if (single)
        spectrum_of(tile, transform, in, tile.data + samples, static_cast<float*>(to));
    else
        spectrum_of(tile, transform, in, tile.data + samples, static_cast<double*>(to));
}

}}  // namespace corr2d::CORR2D_ISA
