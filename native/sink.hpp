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
    typename Vec<T>::type* wrong;  // other than zero once a sum is not finite; null: not asked
    T bias;                        // added last, in Kind::own
};

template <class T>
static inline i64 sink_item(Kind kind) {
    return kind == Kind::bytes ? 1 : kind == Kind::words ? 2 : kind == Kind::floats ? 4 : static_cast<i64>(sizeof(T));
}

static inline bool streams(const char* p) { return reinterpret_cast<std::uintptr_t>(p) % kVectorBytes == 0; }

// Packs side by side as one: narrow results fill a vector only together, and a store past the
// cache must write whole lines.
template <class N, int... I>
static inline auto joined(N a, N b, Lanes<I...>) {
    return __builtin_shufflevector(a, b, I...);
}
template <int Count, class N>
static inline auto join(const N* n) {
    if constexpr (Count == 1) {
        return *n;
    } else {
        const auto a = join<Count / 2>(n), b = join<Count / 2>(n + Count / 2);
        return joined(a, b, typename MakeLanes<Count * static_cast<int>(sizeof(N) / sizeof((*n)[0]))>::type{});
    }
}

// `Count` packs of results, side by side.
template <int Count, class N>
static inline void write(char* to, bool stream, const N* n) {
    constexpr int together = sizeof(N) < kVectorBytes ? kVectorBytes / static_cast<int>(sizeof(N)) : 1;
    if constexpr (Count % together == 0) {
        if (stream && streams(to)) {
            CORR2D_UNROLL
            for (int i = 0; i < Count; i += together) {
                const auto whole = join<together>(n + i);
                stream_vector(to + i * static_cast<i64>(sizeof(N)), &whole);
            }
            return;
        }
    }
    CORR2D_UNROLL
    for (int i = 0; i < Count; ++i) __builtin_memcpy(to + i * static_cast<i64>(sizeof(N)), &n[i], sizeof(N));
}

#if defined(__AVX2__)
// Rounded half to even and saturated by the instructions for it. They put two vectors' results side by side
// lane by lane, 16 bytes each: one permutation at the end restores the order.
#if defined(__AVX512F__)
using Whole = __m512i;
static inline Whole to_ints(__m512 x) { return _mm512_maskz_cvtps_epi32(0xffff, x); }  // the mask as in simd.hpp
static inline Whole to_words(Whole a, Whole b, bool negative) { return negative ? _mm512_packs_epi32(a, b) : _mm512_packus_epi32(a, b); }
static inline Whole to_bytes(Whole a, Whole b, bool negative) { return negative ? _mm512_packs_epi16(a, b) : _mm512_packus_epi16(a, b); }
static inline Whole in_order(Whole words) {
    return _mm512_maskz_permutexvar_epi64(0xff, _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7), words);
}
static inline Whole bytes_in_order(Whole bytes) {
    return _mm512_maskz_permutexvar_epi32(0xffff, _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), bytes);
}
#else
using Whole = __m256i;
static inline Whole to_ints(__m256 x) { return _mm256_cvtps_epi32(x); }
static inline Whole to_words(Whole a, Whole b, bool negative) { return negative ? _mm256_packs_epi32(a, b) : _mm256_packus_epi32(a, b); }
static inline Whole to_bytes(Whole a, Whole b, bool negative) { return negative ? _mm256_packs_epi16(a, b) : _mm256_packus_epi16(a, b); }
static inline Whole in_order(Whole words) { return _mm256_permute4x64_epi64(words, 0xd8); }
static inline Whole bytes_in_order(Whole bytes) {
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
#endif

template <class S>
CORR2D_INLINE static void emit_packed(const Sink<float>& s, char* to, const typename Vec<float>::type* v) {
    using V = typename Vec<float>::type;
    const V most = broadcast(s.high);  // what is larger would become the least integer; what is smaller does so rightly
    const bool negative = s.low < 0;
    Whole n[kVectors];
    CORR2D_UNROLL
    for (int u = 0; u < kVectors; ++u) n[u] = to_ints(v[u] < most ? v[u] : most);
    if constexpr (sizeof(S) == 2) {
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; u += 2) n[u / 2] = in_order(to_words(n[u], n[u + 1], negative));
        write<kVectors / 2>(to, s.stream, n);
    } else {
        // Signed words first, whatever the bytes: those saturate again.
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; u += 2) n[u / 2] = to_words(n[u], n[u + 1], true);
        const Whole bytes = bytes_in_order(to_bytes(n[0], n[kVectors / 2 - 1], negative));
        if constexpr (kVectors == 4) {
            write<1>(to, s.stream, &bytes);
        } else {
            __builtin_memcpy(to, &bytes, kVectorBytes / 2);
        }
    }
}
#endif

// Floats to narrow integers. Adding 1.5 * 2^23 leaves the number rounded half to even in
// the low bits, in two's complement. (NaN is not for here: `wrong` tells.)
template <class S, int U>
CORR2D_INLINE static void emit_narrow(const Sink<float>& s, char* to, const typename Vec<float>::type* v) {
#if defined(__AVX2__)
    if constexpr (U == kVectors) return emit_packed<S>(s, to, v);
#endif
    using V = typename Vec<float>::type;
    constexpr i64 L = Vec<float>::lanes;
    typedef std::uint32_t Words __attribute__((vector_size(kVectorBytes)));
    typedef S Narrow __attribute__((vector_size(L * sizeof(S))));
    const V least = broadcast(s.low), most = broadcast(s.high), magic = broadcast(0x1.8p23f);
    Narrow n[U];
    CORR2D_UNROLL
    for (int u = 0; u < U; ++u) {
        V x = v[u] > least ? v[u] : least;
        x = x < most ? x : most;
        x += magic;
        Words bits;
        __builtin_memcpy(&bits, &x, sizeof bits);
        keep(bits);  // GCC 12 would take the low bytes one by one
        n[u] = __builtin_convertvector(bits, Narrow);
    }
    write<U>(to, s.stream, n);
}

using Sixteen = std::uint16_t;

template <class S, int U>
static inline void emit_integers(const Sink<Sixteen>& s, char* to, const typename Vec<Sixteen>::type* v) {
    using V = typename Vec<Sixteen>::type;
    constexpr i64 L = Vec<Sixteen>::lanes;
    typedef S Narrow __attribute__((vector_size(L * sizeof(S))));
    const Integers& how = *s.integers;
    const V lowest = broadcast(how.lowest), floor = broadcast(how.floor), ceiling = broadcast(how.ceiling);
    const int shift = how.shift;
    const V below_half = broadcast(static_cast<Sixteen>(shift ? (1 << (shift - 1)) - 1 : 0));
    Narrow n[U];
    CORR2D_UNROLL
    for (int u = 0; u < U; ++u) {
        V x = v[u] - lowest;
        x = x > floor ? x : floor;
        x = x < ceiling ? x : ceiling;
        x += lowest;
        keep(x);
        if (shift) x = (x + below_half + ((x >> shift) & 1)) >> shift;  // half to even
        n[u] = __builtin_convertvector(x, Narrow);
    }
    write<U>(to, s.stream, n);
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

// Zeros, or NaN beside a sum that is not finite. (Or beside large ones that together leave their range: whoever looks
// again finds them as they were.)
template <class T, int U>
static inline typename Vec<T>::type doubt(const typename Vec<T>::type* v) {
    auto sum = v[0];
    CORR2D_UNROLL
    for (int u = 1; u < U; ++u) sum += v[u];
    return sum - sum;
}

// U vectors of one row's sums.
template <class T, int U>
static inline void emit(const Sink<T>& s, char* to, const typename Vec<T>::type* v) {
    if constexpr (sizeof(T) == 2) {
        if (s.kind == Kind::bytes) return emit_integers<std::uint8_t, U>(s, to, v);
        if (s.kind == Kind::words) return emit_integers<std::uint16_t, U>(s, to, v);
        typename Vec<float>::type wide[2 * U];
        CORR2D_UNROLL
        for (int u = 0; u < U; ++u) widen_sums(v[u], *s.integers, wide + 2 * u);
        write<2 * U>(to, s.stream, wide);
    } else {
        if (s.wrong) *s.wrong += doubt<T, U>(v);
        if constexpr (sizeof(T) == 4) {
            if (s.kind == Kind::bytes) return emit_narrow<std::uint8_t, U>(s, to, v);
            if (s.kind == Kind::words) return emit_narrow<std::uint16_t, U>(s, to, v);
        }
        if (s.bias != 0) {
            typename Vec<T>::type biased[U];
            CORR2D_UNROLL
            for (int u = 0; u < U; ++u) biased[u] = v[u] + s.bias;
            return write<U>(to, s.stream, biased);
        }
        write<U>(to, s.stream, v);
    }
}

// Takes over a sink's watch for sums that are not finite, in registers for the length of a row.
template <class T>
struct Watch {
    using V = typename Vec<T>::type;
    V* const wrong;
    V seen = {};

    explicit Watch(Sink<T>& sink) : wrong(sink.wrong) { sink.wrong = nullptr; }
    CORR2D_INLINE void see(const V* v) {
        if constexpr (sizeof(T) > 2) seen += doubt<T, kVectors>(v);
    }
    ~Watch() {
        if (wrong) *wrong += seen;
    }
};

}}  // namespace corr2d::CORR2D_ISA
