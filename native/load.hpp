// From any sample type, stride and byte order to one contiguous row of the
// accumulator's type, with the padding filled in.
#pragma once
#include <type_traits>

#include "boundary.hpp"
#include "simd.hpp"

namespace corr2d { namespace CORR2D_ISA {

template <class S>
static inline S swap_bytes(S x) {
    if constexpr (sizeof(S) == 2) {
        std::uint16_t b;
        __builtin_memcpy(&b, &x, 2);
        b = __builtin_bswap16(b);
        __builtin_memcpy(&x, &b, 2);
    } else if constexpr (sizeof(S) == 4) {
        std::uint32_t b;
        __builtin_memcpy(&b, &x, 4);
        b = __builtin_bswap32(b);
        __builtin_memcpy(&x, &b, 4);
    } else if constexpr (sizeof(S) == 8) {
        std::uint64_t b;
        __builtin_memcpy(&b, &x, 8);
        b = __builtin_bswap64(b);
        __builtin_memcpy(&x, &b, 8);
    }
    return x;
}

static inline float bits_to_float(std::uint32_t b) {
    float f;
    __builtin_memcpy(&f, &b, 4);
    return f;
}

// Sample types that C++ does not know are wrapped; `value` is what they stand for.
struct Bool8 { std::uint8_t bits; };
struct Half { std::uint16_t bits; };
struct BFloat { std::uint16_t bits; };

template <class S>
static inline S value(S x) { return x; }
static inline float value(Bool8 x) { return x.bits ? 1.0f : 0.0f; }
static inline float value(BFloat x) { return bits_to_float(static_cast<std::uint32_t>(x.bits) << 16); }
// Shifting a half's exponent and fraction into a float's place leaves it 2^112 too
// small, subnormals included; Inf and NaN need the full exponent.
static inline float value(Half x) {
    std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fff) << 13;
    std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000) << 16;
    std::uint32_t finite;
    float scaled = bits_to_float(magnitude) * 0x1p112f;
    __builtin_memcpy(&finite, &scaled, 4);
    std::uint32_t bits = (x.bits & 0x7c00) == 0x7c00 ? (magnitude | 0x7f800000u) : finite;
    return bits_to_float(bits | sign);
}

// The bits of |x| as an integer: ordered like the magnitudes, with Inf and NaN above all, and
// a maximum of integers vectorises where one of floats must mind NaN.
static inline std::uint32_t magnitude(float x) {
    std::uint32_t b;
    __builtin_memcpy(&b, &x, 4);
    return b & 0x7fffffffu;
}
static inline std::uint64_t magnitude(double x) {
    std::uint64_t b;
    __builtin_memcpy(&b, &x, 8);
    return b & 0x7fffffffffffffffu;
}

template <class T>
static constexpr DType own_dtype = sizeof(T) == 4 ? DType::f32 : DType::f64;  // not asked of 16-bit sums

template <class T, class S, bool Swapped>
static inline T sample(const char* p) {
    S s;
    __builtin_memcpy(&s, p, sizeof s);
    if constexpr (Swapped) s = swap_bytes(s);
    return static_cast<T>(value(s));
}

// Bytes to floats, whole vectors of them; how many. Left to itself, GCC 12 goes by way of 16 bits, with twice the shuffles.
template <class T, class S>
static inline i64 widen_bytes([[maybe_unused]] T* to, [[maybe_unused]] const char* from, [[maybe_unused]] i64 n) {
    i64 i = 0;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4 && (std::is_same_v<S, std::uint8_t> || std::is_same_v<S, std::int8_t>))
        for (; i + 16 <= n; i += 16) {
            __m128i few;
            __builtin_memcpy(&few, from + i, sizeof few);
            const __m512i wide = std::is_signed_v<S> ? _mm512_maskz_cvtepi8_epi32(0xffff, few) : _mm512_maskz_cvtepu8_epi32(0xffff, few);
            store(to + i, _mm512_maskz_cvtepi32_ps(0xffff, wide));
        }
#endif
    return i;
}

// n samples, Every of them apart: a constant step vectorises.
template <class T, class S, bool Swapped, i64 Every>
static void load_every(T* to, const char* from, i64 n) {
    if constexpr (Every == 1) {
        const i64 done = widen_bytes<T, S>(to, from, n);
        to += done, from += done * static_cast<i64>(sizeof(S)), n -= done;
    }
    for (i64 i = 0; i < n; ++i) to[i] = sample<T, S, Swapped>(from + i * Every * static_cast<i64>(sizeof(S)));
}

// n samples, `step` bytes apart: side by side, one channel of two, three or four, or any.
template <class T, class S, bool Swapped>
static void load_run(T* to, const char* from, i64 step, i64 n) {
    switch (step % static_cast<i64>(sizeof(S)) ? 0 : step / static_cast<i64>(sizeof(S))) {
        case 1: return load_every<T, S, Swapped, 1>(to, from, n);
        case 2: return load_every<T, S, Swapped, 2>(to, from, n);
        case 3: return load_every<T, S, Swapped, 3>(to, from, n);
        case 4: return load_every<T, S, Swapped, 4>(to, from, n);
    }
    for (i64 i = 0; i < n; ++i) to[i] = sample<T, S, Swapped>(from + i * step);
}

template <class T>
using LoadRun = void (*)(T*, const char*, i64, i64);

template <class T>
static LoadRun<T> load_run_for(DType dtype, bool swapped) {
    if constexpr (sizeof(T) == 2) {  // sums modulo 2^16: of samples of one byte
        return dtype == DType::b1   ? &load_run<T, Bool8, false>
               : dtype == DType::u8 ? &load_run<T, std::uint8_t, false>
                                    : &load_run<T, std::int8_t, false>;
    }
#define CORR2D_LOAD(D, S) case DType::D: return swapped ? &load_run<T, S, true> : &load_run<T, S, false>;
    switch (dtype) {
        case DType::b1: return &load_run<T, Bool8, false>;
        case DType::u8: return &load_run<T, std::uint8_t, false>;
        case DType::s8: return &load_run<T, std::int8_t, false>;
        CORR2D_LOAD(u16, std::uint16_t)
        CORR2D_LOAD(s16, std::int16_t)
        CORR2D_LOAD(u32, std::uint32_t)
        CORR2D_LOAD(s32, std::int32_t)
        CORR2D_LOAD(u64, std::uint64_t)
        CORR2D_LOAD(s64, std::int64_t)
        CORR2D_LOAD(f16, Half)
        CORR2D_LOAD(bf16, BFloat)
        CORR2D_LOAD(f32, float)
        CORR2D_LOAD(f64, double)
    }
#undef CORR2D_LOAD
    return nullptr;
}

// Pixels first, first + step, ... (n of them) of one row, `lanes` samples a pixel;
// pixels outside [0, cols) follow the boundary, `fill` having one value per lane.
template <class T>
static void load_pixels(T* to, const char* row, const Job& job, LoadRun<T> run, i64 first, i64 step, i64 n,
                        const T* fill) {
    const i64 cols = job.in.cols, lanes = job.lanes, pixel = job.in.col_stride;
    const i64 sample_step = lanes > 1 ? pixel / lanes : pixel;
    i64 inside = first >= 0 ? 0 : min64(n, (-first + step - 1) / step);         // first i inside
    i64 outside = first >= cols ? inside : min64(n, (cols - 1 - first) / step + 1);  // first i beyond
    if (outside < inside) outside = inside;
    for (int side = 0; side < 2; ++side) {
        const i64 from = side ? outside : 0, until = side ? n : inside;
        for (i64 i = from; i < until; ++i) {
            const i64 source = source_index(job.boundary, first + i * step, cols);
            if (source < 0)
                for (i64 c = 0; c < lanes; ++c) to[i * lanes + c] = fill[c];
            else
                run(to + i * lanes, row + source * pixel, sample_step, lanes);
        }
    }
    if (outside > inside) {
        const char* from = row + (first + inside * step) * pixel;
        if (lanes > 1)  // only with step 1: the samples are contiguous
            run(to + inside * lanes, from, sample_step, (outside - inside) * lanes);
        else
            run(to + inside, from, pixel * step, outside - inside);
    }
}

}}  // namespace corr2d::CORR2D_ISA
