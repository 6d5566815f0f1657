// From a row of sums to the caller's samples: bias, one rounding (half to even),
// saturation, any stride.
#pragma once
#include "load.hpp"

namespace corr2d { namespace CORR2D_ISA {

// double -> float such that a second rounding, to fewer bits, is as good as one:
// round to odd (Boldo & Melquiond 2008). A float stays as it is.
static inline float to_odd(float x) { return x; }
static inline float to_odd(double x) {
    float f = static_cast<float>(x);
    std::uint32_t b;
    __builtin_memcpy(&b, &f, 4);
    const bool finite = (b & 0x7f800000u) != 0x7f800000u;
    if (finite && static_cast<double>(f) != x && !(b & 1)) {
        const bool grew = __builtin_fabs(static_cast<double>(f)) > __builtin_fabs(x);
        b = grew ? b - 1 : b + 1;
    }
    return bits_to_float(b);
}

static inline BFloat to_bfloat(float f) {
    std::uint32_t b;
    __builtin_memcpy(&b, &f, 4);
    if ((b & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((b >> 16) | 0x40)};
    return {static_cast<std::uint16_t>((b + 0x7fff + ((b >> 16) & 1)) >> 16)};
}

static inline Half to_half(float f) {
    std::uint32_t b;
    __builtin_memcpy(&b, &f, 4);
    const std::uint32_t sign = (b >> 16) & 0x8000, magnitude = b & 0x7fffffff;
    std::uint32_t half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00;  // NaN
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00;  // 65520 and above round to infinity
    } else if (magnitude < 0x38800000u) {
        // Subnormal: adding 0.5 puts the half's last bit at the float's, and rounds.
        float shifted = bits_to_float(magnitude) + 0.5f;
        __builtin_memcpy(&half, &shifted, 4);
        half -= 0x3f000000u;
    } else {
        half = (magnitude + 0xfff + ((magnitude >> 13) & 1) - 0x38000000u) >> 13;
    }
    return {static_cast<std::uint16_t>(half | sign)};
}

static inline float rint_(float x) { return __builtin_rintf(x); }
static inline double rint_(double x) { return __builtin_rint(x); }

// Rounded half to even and saturated; NaN, which no integer means, becomes 0.
template <class S, class T>
static inline S to_integer(T x) {
    constexpr bool is_signed = static_cast<S>(-1) < static_cast<S>(0);
    constexpr int bits = 8 * sizeof(S);
    constexpr T scale = static_cast<T>(bits == 64 ? 0x1p63 : bits == 32 ? 0x1p31 : bits == 16 ? 0x1p15 : 0x1p7);
    constexpr T low = is_signed ? -scale : T(0);
    constexpr T limit = is_signed ? scale : 2 * scale;  // first value too large
    const S max = is_signed ? static_cast<S>(~(S(1) << (bits - 1))) : static_cast<S>(~S(0));
    const S min = is_signed ? static_cast<S>(S(1) << (bits - 1)) : S(0);
    T r = rint_(x);
    if constexpr (sizeof(S) < sizeof(T)) {  // limit - 1 is exact in T: clamp without branches
        r = r == r ? r : T(0);
        r = r > low ? r : low;
        r = r < limit - 1 ? r : limit - 1;
        return static_cast<S>(static_cast<std::int64_t>(r));
    } else {
        if (!(r == r)) return 0;
        if (r >= limit) return max;
        if (r <= low) return min;
        return static_cast<S>(r);
    }
}
// The narrow ones through int32, which vectorises.
template <class S>
static inline S to_narrow(float x) {
    constexpr bool is_signed = static_cast<S>(-1) < static_cast<S>(0);
    constexpr float low = is_signed ? -float(1 << (8 * sizeof(S) - 1)) : 0.0f;
    constexpr float high = is_signed ? float((1 << (8 * sizeof(S) - 1)) - 1) : float((1 << (8 * sizeof(S))) - 1);
    float r = rint_(x);
    r = r == r ? r : 0.0f;
    r = r > low ? r : low;
    r = r < high ? r : high;
    return static_cast<S>(static_cast<std::int32_t>(r));
}

template <class S, class T>
static inline S convert(T x) {
    if constexpr (static_cast<S>(0.5) != static_cast<S>(0))
        return static_cast<S>(x);
    else if constexpr (sizeof(S) <= 2 && sizeof(T) == 4)
        return to_narrow<S>(x);
    else
        return to_integer<S>(x);
}

// Contiguous samples vectorise; others are converted side by side first, then spread.
template <class S, class T>
static void store_any(char* to, i64 step, const T* from, i64 n) {
    constexpr i64 size = sizeof(S), chunk = 256;
    if (step == size) {
        for (i64 i = 0; i < n; ++i) {
            const S s = convert<S>(from[i]);
            __builtin_memcpy(to + i * size, &s, sizeof s);
        }
        return;
    }
    S side[chunk];
    for (; n > 0; from += chunk, to += chunk * step, n -= chunk) {
        const i64 count = min64(n, chunk);
        for (i64 i = 0; i < count; ++i) side[i] = convert<S>(from[i]);
        for (i64 i = 0; i < count; ++i) __builtin_memcpy(to + i * step, &side[i], sizeof(S));
    }
}

template <class T>
static void stream_run(char* to, const T* from, i64 n) {
    const i64 bytes = n * static_cast<i64>(sizeof(T));
    const char* source = reinterpret_cast<const char*>(from);
    i64 head = static_cast<i64>((kVectorBytes - reinterpret_cast<std::uintptr_t>(to) % kVectorBytes) % kVectorBytes);
    head = min64(head, bytes);
    __builtin_memcpy(to, source, static_cast<std::size_t>(head));
    i64 i = head;
    for (; i + kVectorBytes <= bytes; i += kVectorBytes) stream_vector(to + i, source + i);
    __builtin_memcpy(to + i, source + i, static_cast<std::size_t>(bytes - i));
}

// n sums into the caller's row. The output is always in this machine's byte order.
template <class T>
static void store_row(const Job& job, char* to, i64 step, T* from, i64 n, T bias) {
    if (bias != T(0))
        for (i64 i = 0; i < n; ++i) from[i] += bias;
    constexpr DType own = sizeof(T) == 4 ? DType::f32 : DType::f64;
    if (job.out.dtype == own && step == static_cast<i64>(sizeof(T))) {
        if (job.stream)
            stream_run(to, from, n);
        else
            __builtin_memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
        return;
    }
    switch (job.out.dtype) {
        case DType::u8: return store_any<std::uint8_t>(to, step, from, n);
        case DType::s8: return store_any<std::int8_t>(to, step, from, n);
        case DType::u16: return store_any<std::uint16_t>(to, step, from, n);
        case DType::s16: return store_any<std::int16_t>(to, step, from, n);
        case DType::u32: return store_any<std::uint32_t>(to, step, from, n);
        case DType::s32: return store_any<std::int32_t>(to, step, from, n);
        case DType::u64: return store_any<std::uint64_t>(to, step, from, n);
        case DType::s64: return store_any<std::int64_t>(to, step, from, n);
        case DType::f32: return store_any<float>(to, step, from, n);
        case DType::f64: return store_any<double>(to, step, from, n);
        case DType::f16:
            for (i64 i = 0; i < n; ++i) {
                const Half h = to_half(to_odd(from[i]));
                __builtin_memcpy(to + i * step, &h, 2);
            }
            return;
        case DType::bf16:
            for (i64 i = 0; i < n; ++i) {
                const BFloat h = to_bfloat(to_odd(from[i]));
                __builtin_memcpy(to + i * step, &h, 2);
            }
            return;
        case DType::b1:
            return;  // refused by the binding
    }
}

}}  // namespace corr2d::CORR2D_ISA
