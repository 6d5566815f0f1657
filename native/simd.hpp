// One vector type per element type, as wide as the instruction set this file is
// compiled for. Only GCC/Clang vector extensions: the compiler picks the instructions.
#pragma once
#include "filter.hpp"

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>  // for what has no portable spelling: non-temporal stores, one shift, widening and packing bytes
#define CORR2D_X86 1
#endif

// A register block only is one if its loops vanish: unrolled by order, not by luck.
#define CORR2D_UNROLL _Pragma("GCC unroll 32")

// ... and what is handed sums in registers must be inlined, or they go through memory.
#define CORR2D_INLINE __attribute__((always_inline)) inline

namespace corr2d { namespace CORR2D_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kRows = 6, kVectors = 4;  // 24 accumulators + 4 inputs + 1 weight of 32 registers
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kRows = 6, kVectors = 2;  // 12 + 2 + 1 of 16
#elif defined(__ARM_NEON)
constexpr int kVectorBytes = 16;
constexpr int kRows = 6, kVectors = 4;  // of 32
#else
constexpr int kVectorBytes = 16;
constexpr int kRows = 6, kVectors = 2;  // of 16
#endif

template <class T>
struct Vec {
    typedef T type __attribute__((vector_size(kVectorBytes)));
    static constexpr i64 lanes = kVectorBytes / static_cast<i64>(sizeof(T));
};

template <class T>
static inline typename Vec<T>::type load(const T* p) {
    typename Vec<T>::type v;
    __builtin_memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
static inline void store(T* p, typename Vec<T>::type v) {
    __builtin_memcpy(p, &v, sizeof v);
}

// Nothing is done to v, and the compiler does not know it: what it would fold, it may not.
template <class V>
static inline void keep(V& v) {
#if defined(__AVX512F__)
    asm("" : "+v"(v));
#elif defined(CORR2D_X86)
    asm("" : "+x"(v));
#elif defined(__ARM_NEON)
    asm("" : "+w"(v));
#endif
}

// x - 0 is x for every x, signed zeros included, so this folds to one broadcast. It is kept
// in a register: left alone, GCC makes it a memory operand of each multiply-add, and the load
// ports, not the multipliers, set the pace.
template <class T>
static inline typename Vec<T>::type broadcast(T x) {
    typename Vec<T>::type v = x - typename Vec<T>::type{};
    keep(v);
    return v;
}

// The lane numbers 0, 1, ... as a pack, for shuffles.
template <int... I>
struct Lanes {};
template <int N, int... I>
struct MakeLanes : MakeLanes<N - 1, N - 1, I...> {};
template <int... I>
struct MakeLanes<0, I...> {
    using type = Lanes<I...>;
};

template <int S, class V, int... I>
static inline V shuffled(V a, V b, Lanes<I...>) {
    return __builtin_shufflevector(a, b, (I + S)...);
}

// Elements S, S + 1, ... of a and b side by side. Of the shuffle GCC 12 makes a permutation
// that loads its index each time, which is no faster than loading the samples.
template <class T, int S>
static inline typename Vec<T>::type shifted(typename Vec<T>::type a, typename Vec<T>::type b) {
#if defined(__AVX512F__)
    // With a mask of ones, which vanishes: GCC 12 warns of the plain one's header.
    const auto moved = _mm512_maskz_alignr_epi32(0xffff, (__m512i)b, (__m512i)a, S * static_cast<int>(sizeof(T)) / 4);
    return (typename Vec<T>::type)moved;
#else
    return shuffled<S>(a, b, typename MakeLanes<static_cast<int>(Vec<T>::lanes)>::type{});
#endif
}

// Write whole vectors past the cache; `p` must be aligned to kVectorBytes.
static inline void stream_vector(void* p, const void* from) {
#if defined(__AVX512F__)
    _mm512_stream_si512(static_cast<__m512i*>(p), _mm512_loadu_si512(from));
#elif defined(__AVX__)
    _mm256_stream_si256(static_cast<__m256i*>(p), _mm256_loadu_si256(static_cast<const __m256i*>(from)));
#elif defined(CORR2D_X86)
    _mm_stream_si128(static_cast<__m128i*>(p), _mm_loadu_si128(static_cast<const __m128i*>(from)));
#else
    __builtin_memcpy(p, from, kVectorBytes);
#endif
}

static inline void stream_fence() {
#if defined(CORR2D_X86)
    _mm_sfence();
#endif
}

static inline i64 min64(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 max64(i64 a, i64 b) { return a > b ? a : b; }
static inline i64 round_up(i64 a, i64 to) { return (a + to - 1) / to * to; }

}}  // namespace corr2d::CORR2D_ISA
