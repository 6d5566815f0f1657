// Lag sums: for a rectangle of lags (p, q), the sum over y and x of a[y, x] * b[y + p, x + q].
//
// A tile of a, and what its lags touch of b, are copied and padded with zeros to whole blocks,
// so that no loop has a tail. A block of up to kLagRows x kLagCols lags is summed in registers,
// and so many rows of a lie in registers beside it; a vector of b, loaded once, meets all rows
// that it belongs to: about 0.4 loads a multiply-add.
//
// In a tile each lane of a sum takes kTileRows * kTileVectors = 960 products at most. Those of
// samples in [-128, 127] then stay below 2^24: 8-bit images, around 128, are exact in float.
// Tiles are added up in double.
#pragma once
#include "lag_job.hpp"
#include "load.hpp"

namespace corr2d { namespace CORR2D_ISA {

#if defined(__AVX512F__) || defined(__ARM_NEON)
constexpr int kLagRows = 5, kLagCols = 4, kHeld = 6;  // 20 sums, 6 rows of a and one of b, of 32 registers
#else
constexpr int kLagRows = 5, kLagCols = 2, kHeld = 4;  // 10 + 4 + 1 of 16
#endif
constexpr i64 kTileRows = 60, kTileVectors = 16;  // rows in whole helpings of kHeld
constexpr i64 kMostBands = 256;                   // each keeps sums of its own until the end

// Adds to `to` the sums of lags (0..P-1, 0..Q-1); rows of a come in helpings of kHeld.
template <class T, int P, int Q>
static void lag_sums_block(const T* a, i64 a_pitch, const T* b, i64 b_pitch, i64 rows, i64 cols, double* to, i64 to_pitch) {
    using V = typename Vec<T>::type;
    constexpr i64 L = Vec<T>::lanes;
    constexpr int R = kHeld;
    V sum[P][Q];
    for (int p = 0; p < P; ++p)
        for (int q = 0; q < Q; ++q) sum[p][q] = V{};
    for (i64 y = 0; y < rows; y += R, a += R * a_pitch, b += R * b_pitch)
        for (i64 x = 0; x < cols; x += L) {
            V held[R];
            CORR2D_UNROLL for (int r = 0; r < R; ++r) held[r] = load(a + r * a_pitch + x);
            CORR2D_UNROLL for (int t = 0; t < R + P - 1; ++t) {
                CORR2D_UNROLL for (int q = 0; q < Q; ++q) {
                    const V passing = load(b + t * b_pitch + x + q);
                    CORR2D_UNROLL for (int r = 0; r < R; ++r)
                        if (t - r >= 0 && t - r < P) sum[t - r][q] += held[r] * passing;
                }
            }
        }
    for (int p = 0; p < P; ++p)
        for (int q = 0; q < Q; ++q) {
            double total = 0;
            for (i64 i = 0; i < L; ++i) total += static_cast<double>(sum[p][q][i]);
            to[p * to_pitch + q] += total;
        }
}

template <class T>
using LagBlock = void (*)(const T*, i64, const T*, i64, i64, i64, double*, i64);

template <class T, int P>
static LagBlock<T> lag_block_of(i64 cols) {
    if constexpr (kLagCols > 2) {
        if (cols == 4) return &lag_sums_block<T, P, kLagCols>;
        if (cols == 3) return &lag_sums_block<T, P, kLagCols - 1>;
    }
    return cols == 2 ? &lag_sums_block<T, P, 2> : &lag_sums_block<T, P, 1>;
}

template <class T>
static LagBlock<T> lag_block_of(i64 rows, i64 cols) {
    switch (rows) {
        case 1: return lag_block_of<T, 1>(cols);
        case 2: return lag_block_of<T, 2>(cols);
        case 3: return lag_block_of<T, 3>(cols);
        case 4: return lag_block_of<T, 4>(cols);
        default: return lag_block_of<T, kLagRows>(cols);
    }
}

// Rows of a tile lie so far apart; an odd number of vectors, or they would meet in one cache set.
template <class T>
static i64 lag_pitch(i64 cols) {
    const i64 vectors = round_up(cols, Vec<T>::lanes) / Vec<T>::lanes;
    return (vectors | 1) * Vec<T>::lanes;
}

template <class T>
static void lag_block_as(LagJob& job) {
    constexpr i64 L = Vec<T>::lanes;
    // Small planes share a tile: each of a is followed by zeros as far as its lags reach.
    const i64 room = kTileVectors * L;
    job.abreast = job.b.cols <= room ? min64(max64(1, job.planes), max64(1, room / max64(1, job.b.cols))) : 1;
    job.tile_cols = job.abreast > 1 ? job.a.cols : min64(room, job.a.cols);
    job.groups = (job.planes + job.abreast - 1) / job.abreast;
    job.strips = (job.a.rows + kTileRows - 1) / kTileRows;
    job.units = job.groups * job.strips;
    job.unit_run = max64(1, (job.units + kMostBands - 1) / kMostBands);
    job.bands = (job.units + job.unit_run - 1) / job.unit_run;
    const i64 width = job.abreast > 1 ? job.abreast * job.b.cols : job.tile_cols;
    const i64 a_pitch = lag_pitch<T>(width), b_pitch = lag_pitch<T>(round_up(width, L) + job.lag_cols - 1);
    job.arena_bytes = sizeof(T) * static_cast<std::size_t>(kTileRows * a_pitch + (kTileRows + job.lag_rows - 1) * b_pitch);
}

static void lag_block(LagJob& job) {
    if (job.single)
        lag_block_as<float>(job);
    else
        lag_block_as<double>(job);
}

static inline const char* plane_of(const View& view, i64 plane) {
    const char* p = view.data;
    for (int a = view.lead - 1; a >= 0; --a) {
        p += plane % view.shape[a] * view.stride[a];
        plane /= view.shape[a];
    }
    return p;
}

// Rows y.. and columns x.. of a plane, less the origin, into a tile at `to`.
template <class T>
static void lag_load(const View& view, i64 plane, i64 y, i64 x, i64 rows, i64 cols, T origin, LoadRun<T> run, T* to, i64 pitch) {
    const char* from = plane_of(view, plane) + y * view.row_stride + x * view.col_stride;
    for (i64 i = 0; i < rows; ++i, from += view.row_stride, to += pitch) {
        run(to, from, view.col_stride, cols);
        if (origin != 0)
            for (i64 j = 0; j < cols; ++j) to[j] -= origin;
    }
}

template <class T>
static void lag_unit(const LagJob& job, i64 unit, char* arena, double* to) {
    constexpr i64 L = Vec<T>::lanes;
    const LoadRun<T> load_a = load_run_for<T>(job.a.dtype, job.a.swapped), load_b = load_run_for<T>(job.b.dtype, job.b.swapped);
    const i64 first = unit / job.strips * job.abreast, planes = min64(job.abreast, job.planes - first);
    const i64 y = unit % job.strips * kTileRows, rows = min64(kTileRows, job.a.rows - y);
    const i64 held_rows = round_up(rows, kHeld), b_rows = rows + job.lag_rows - 1;
    for (i64 x = 0; x < job.a.cols; x += job.tile_cols) {
        if (job.stopped()) return;
        const i64 cols = min64(job.tile_cols, job.a.cols - x), step = cols + job.lag_cols - 1;
        const i64 used = round_up(planes > 1 ? planes * step : cols, L);
        const i64 a_pitch = lag_pitch<T>(used), b_pitch = lag_pitch<T>(used + job.lag_cols - 1);
        T* a = reinterpret_cast<T*>(arena);
        T* b = a + kTileRows * a_pitch;
        __builtin_memset(a, 0, sizeof(T) * static_cast<std::size_t>(held_rows * a_pitch));
        __builtin_memset(b, 0, sizeof(T) * static_cast<std::size_t>((held_rows + job.lag_rows - 1) * b_pitch));
        for (i64 i = 0; i < planes; ++i) {
            lag_load<T>(job.a, first + i, y, x, rows, cols, static_cast<T>(job.a_origin), load_a, a + i * step, a_pitch);
            lag_load<T>(job.b, first + i, y, x, b_rows, step, static_cast<T>(job.b_origin), load_b, b + i * step, b_pitch);
        }
        for (i64 p = 0; p < job.lag_rows; p += kLagRows)
            for (i64 q = 0; q < job.lag_cols; q += kLagCols) {
                if (job.stopped()) return;
                const LagBlock<T> block = lag_block_of<T>(min64(kLagRows, job.lag_rows - p), min64(kLagCols, job.lag_cols - q));
                block(a, a_pitch, b + p * b_pitch + q, b_pitch, held_rows, used, to + p * job.lag_cols + q, job.lag_cols);
            }
    }
}

static void lag_band(const LagJob& job, i64 band, char* arena) {
    double* to = job.partial + band * job.lag_rows * job.lag_cols;
    for (i64 unit = band * job.unit_run, end = min64(unit + job.unit_run, job.units); unit < end; ++unit)
        if (job.single)
            lag_unit<float>(job, unit, arena, to);
        else
            lag_unit<double>(job, unit, arena, to);
}

}}  // namespace corr2d::CORR2D_ISA
