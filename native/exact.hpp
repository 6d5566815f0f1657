// Integer images under integer kernels whose sums may pass 2^53: 128-bit sums, one
// rounding at the end. Plain loops: exactness is the point, and such work is rare.
#pragma once
#include <type_traits>

#include "boundary.hpp"

namespace corr2d::exact {

using Wide = __int128;

inline Wide load(const char* p, DType dtype, bool swapped) {
    auto as = [&](auto zero) {
        auto x = zero;
        __builtin_memcpy(&x, p, sizeof x);
        if (swapped) {
            if constexpr (sizeof x == 2) x = static_cast<decltype(x)>(__builtin_bswap16(static_cast<std::uint16_t>(x)));
            if constexpr (sizeof x == 4) x = static_cast<decltype(x)>(__builtin_bswap32(static_cast<std::uint32_t>(x)));
            if constexpr (sizeof x == 8) x = static_cast<decltype(x)>(__builtin_bswap64(static_cast<std::uint64_t>(x)));
        }
        return static_cast<Wide>(x);
    };
    switch (dtype) {
        case DType::b1: return *p != 0;
        case DType::u8: return as(std::uint8_t{});
        case DType::s8: return as(std::int8_t{});
        case DType::u16: return as(std::uint16_t{});
        case DType::s16: return as(std::int16_t{});
        case DType::u32: return as(std::uint32_t{});
        case DType::s32: return as(std::int32_t{});
        case DType::u64: return as(std::uint64_t{});
        case DType::s64: return as(std::int64_t{});
        default: return 0;  // the planner sends integers only
    }
}

template <class S>
inline void put(char* p, S s) {
    __builtin_memcpy(p, &s, sizeof s);
}

template <class S>
inline void put_integer(char* p, Wide x) {
    constexpr bool is_signed = std::is_signed_v<S>;
    constexpr int bits = 8 * sizeof(S) - is_signed;
    const Wide max = (static_cast<Wide>(1) << bits) - 1, min = is_signed ? -max - 1 : 0;
    put(p, static_cast<S>(x > max ? max : x < min ? min : x));
}

inline void save(char* p, DType dtype, Wide x) {
    switch (dtype) {
        case DType::u8: return put_integer<std::uint8_t>(p, x);
        case DType::s8: return put_integer<std::int8_t>(p, x);
        case DType::u16: return put_integer<std::uint16_t>(p, x);
        case DType::s16: return put_integer<std::int16_t>(p, x);
        case DType::u32: return put_integer<std::uint32_t>(p, x);
        case DType::s32: return put_integer<std::int32_t>(p, x);
        case DType::u64: return put_integer<std::uint64_t>(p, x);
        case DType::s64: return put_integer<std::int64_t>(p, x);
        case DType::f32: return put(p, static_cast<float>(x));
        case DType::f64: return put(p, static_cast<double>(x));
        default: return;
    }
}

inline void block(Job& job, int) {
    job.in_place_rows = false;
    job.band_rows = 1;
    job.bands = job.y.out;
    job.tile_cols = job.x.out;
    job.arena_bytes = 64;
}

inline void band(const Job& job, i64 index, char*) {
    const Weights& w = job.weights;
    i64 plane = index / job.bands;
    const i64 y = index % job.bands, which = plane;
    const char* in = job.in.data;
    char* out = job.out.data;
    for (int a = job.in.lead - 1; a >= 0; --a) {
        const i64 i = plane % job.in.shape[a];
        plane /= job.in.shape[a];
        in += i * job.in.stride[a];
        out += i * job.out.stride[a];
    }
    const auto* weights = static_cast<const std::int64_t*>(w.dense);
    const i64 outputs = w.mixing ? w.outputs : 1, inputs = w.mixing ? w.inputs : 1, first = which % w.banks * outputs;
    for (i64 o = 0; o < outputs; ++o)
        for (i64 x = 0; x < job.x.out; ++x) {
            if (x % 64 == 0 && job.stopped()) return;
            Wide sum = static_cast<Wide>(w.bias[first + o]);
            for (i64 c = 0; c < inputs; ++c) {
                const std::int64_t* k = weights + ((first + o) * inputs + c) * job.y.taps * job.x.taps;
                const Wide fill = static_cast<Wide>(w.fill[(w.mixing ? c : which) % w.fills]);
                for (i64 i = 0; i < job.y.taps; ++i) {
                    const i64 row = source_index(job.boundary, y * job.y.stride - job.y.before + i * job.y.dilation, job.in.rows);
                    for (i64 j = 0; j < job.x.taps; ++j) {
                        const i64 col = source_index(job.boundary, x * job.x.stride - job.x.before + j * job.x.dilation, job.in.cols);
                        const Wide pixel = row < 0 || col < 0 ? fill
                                                              : load(in + job.in_offset(c) + row * job.in.row_stride + col * job.in.col_stride,
                                                                     job.in.dtype, job.in.swapped);
                        sum += pixel * k[j * job.y.taps + i];
                    }
                }
            }
            save(out + job.out_offset(o) + y * job.out.row_stride + x * job.out.col_stride, job.out.dtype, sum);
        }
}

}  // namespace corr2d::exact
