// Where a block of sums goes, straight from registers: sums that take another trip through
// memory cost as much as a 3 x 3 kernel.
#pragma once
#include "load.hpp"

namespace corr2d { namespace CORR2D_ISA {

// own: the accumulator's type. bytes, words: integers of one and two bytes, rounded half to
// even and saturated. floats: float32 from exact 16-bit sums. none: into a buffer of sums,
// for everything that needs a second look (store.hpp).
enum class Kind : std::uint8_t { none, own, bytes, words, floats };

template <class T>
struct Sink {
    Kind kind;
    bool stream;                   // past the cache, where a row is aligned
    char* to;                      // row r of the strip begins at to + r * pitch
    i64 pitch;                     // bytes
    float low, high;               // bytes, words: what the type holds
    const Integers* integers;      // how 16-bit sums are read
    typename Vec<T>::type* wrong;  // becomes other than zero where a sum is not finite; null: not asked
};

template <class T>
static inline i64 sink_item(Kind kind) {
    return kind == Kind::bytes ? 1 : kind == Kind::words ? 2 : kind == Kind::floats ? 4 : static_cast<i64>(sizeof(T));
}

static inline bool streams(const char* p) { return reinterpret_cast<std::uintptr_t>(p) % kVectorBytes == 0; }

// U vectors of sums, side by side.
template <class T, int U>
static inline void emit_own(char* to, bool stream, const typename Vec<T>::type* v) {
    if (stream) {
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) stream_vector(to + u * kVectorBytes, &v[u]);
    } else {
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) __builtin_memcpy(to + u * kVectorBytes, &v[u], kVectorBytes);
    }
}

// Floats to narrow integers. Adding 1.5 * 2^23 leaves the number rounded half to even in
// the low bits, in two's complement; `x > low` is false for NaN, which becomes 0.
template <class S, int U>
static inline void emit_narrow(char* to, const typename Vec<float>::type* v, float low, float high) {
    using V = typename Vec<float>::type;
    constexpr i64 L = Vec<float>::lanes;
    typedef std::uint32_t Words __attribute__((vector_size(kVectorBytes)));
    typedef S Narrow __attribute__((vector_size(L * sizeof(S))));
    const V least = broadcast(low), most = broadcast(high), magic = broadcast(0x1.8p23f);
    CORR2D_UNROLL
    for (int u = 0; u < U; ++u) {
        V x = v[u] == v[u] ? v[u] : V{};
        x = x > least ? x : least;
        x = x < most ? x : most;
        x += magic;
        Words bits;
        __builtin_memcpy(&bits, &x, sizeof bits);
        const Narrow n = __builtin_convertvector(bits, Narrow);
        __builtin_memcpy(to + u * static_cast<i64>(sizeof n), &n, sizeof n);
    }
}

using Sixteen = std::uint16_t;

template <class S, int U>
static inline void emit_integers(char* to, const typename Vec<Sixteen>::type* v, const Integers& how) {
    using V = typename Vec<Sixteen>::type;
    constexpr i64 L = Vec<Sixteen>::lanes;
    typedef S Narrow __attribute__((vector_size(L * sizeof(S))));
    const V lowest = broadcast(how.lowest), floor = broadcast(how.floor), ceiling = broadcast(how.ceiling);
    const int shift = how.shift;
    const V below_half = broadcast(static_cast<Sixteen>(shift ? (1 << (shift - 1)) - 1 : 0));
    CORR2D_UNROLL
    for (int u = 0; u < U; ++u) {
        V x = v[u] - lowest;
        x = x > floor ? x : floor;
        x = x < ceiling ? x : ceiling;
        x += lowest;
        if (shift) x = (x + below_half + ((x >> shift) & 1)) >> shift;  // half to even
        const Narrow n = __builtin_convertvector(x, Narrow);
        __builtin_memcpy(to + u * static_cast<i64>(sizeof n), &n, sizeof n);
    }
}

template <int... I>
static inline auto lower_half(typename Vec<Sixteen>::type v, Lanes<I...>) {
    return __builtin_shufflevector(v, v, I...);
}
template <int... I>
static inline auto upper_half(typename Vec<Sixteen>::type v, Lanes<I...>) {
    return __builtin_shufflevector(v, v, (I + static_cast<int>(sizeof...(I)))...);
}

// One vector of 16-bit sums is two of floats, exactly.
static inline void widen_sums(typename Vec<Sixteen>::type v, const Integers& how, typename Vec<float>::type* to) {
    using F = typename Vec<float>::type;
    constexpr int L = static_cast<int>(Vec<float>::lanes);
    typedef std::int32_t Ints __attribute__((vector_size(kVectorBytes)));
    const auto x = v - broadcast(how.lowest);
    const F scale = broadcast(how.scale), origin = broadcast(how.origin);
    using Each = typename MakeLanes<L>::type;
    const Ints a = __builtin_convertvector(lower_half(x, Each{}), Ints), b = __builtin_convertvector(upper_half(x, Each{}), Ints);
    to[0] = __builtin_convertvector(a, F) * scale + origin;
    to[1] = __builtin_convertvector(b, F) * scale + origin;
}

template <class T, int U>
static inline void emit_row(const Sink<T>& s, char* to, const typename Vec<T>::type* v) {
    if constexpr (sizeof(T) == 2) {
        if (s.kind == Kind::bytes) return emit_integers<std::uint8_t, U>(to, v, *s.integers);
        if (s.kind == Kind::words) return emit_integers<std::uint16_t, U>(to, v, *s.integers);
        typename Vec<float>::type wide[2 * U];
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) widen_sums(v[u], *s.integers, wide + 2 * u);
        emit_own<float, 2 * U>(to, s.stream && streams(to), wide);
    } else {
        if constexpr (sizeof(T) == 4) {
            if (s.kind == Kind::bytes) return emit_narrow<std::uint8_t, U>(to, v, s.low, s.high);
            if (s.kind == Kind::words) return emit_narrow<std::uint16_t, U>(to, v, s.low, s.high);
        }
        emit_own<T, U>(to, s.stream && streams(to), v);
    }
}

// The finished block of R rows at column x.
template <class T, int R, int U>
static inline void emit(const Sink<T>& s, i64 x, const typename Vec<T>::type (&acc)[R][U]) {
    if constexpr (sizeof(T) == 4) {
        if (s.wrong) {
            typename Vec<T>::type w = *s.wrong;
            CORR2D_UNROLL
            for (int r = 0; r < R; ++r) {
                CORR2D_UNROLL
                for (int u = 0; u < U; ++u) w += acc[r][u] - acc[r][u];
            }
            *s.wrong = w;
        }
    }
    char* to = s.to + x * sink_item<T>(s.kind);
    CORR2D_UNROLL
    for (int r = 0; r < R; ++r) emit_row<T, U>(s, to + r * s.pitch, acc[r]);
}

}}  // namespace corr2d::CORR2D_ISA
