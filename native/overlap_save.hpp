// Tiles for fft.hpp: gathered with their padding, two at a time, and written out again.
//
// A transform spreads everything over its tile, so what the definition keeps local is kept
// so here: pixels that are not finite are taken out and the outputs that see them made NaN;
// tiles far from 1 are scaled by a power of two; integers are rounded back to integers.
#pragma once
#include "fft.hpp"
#include "store.hpp"

namespace corr2d { namespace CORR2D_ISA {

struct TileOutputs {
    i64 y, x, rows, cols;  // dense outputs, before any stride
};

static inline TileOutputs tile_outputs(const Job& job, i64 index) {
    const i64 height = (job.y.out - 1) * job.y.stride + 1, width = (job.x.out - 1) * job.x.stride + 1;
    const i64 step_y = job.transform.n - job.y.span(), step_x = job.transform.n - job.x.span();
    const i64 across = (width + step_x - 1) / step_x;
    const i64 y = index / across * step_y, x = index % across * step_x;
    if (y >= height) return {0, 0, 0, 0};
    return {y, x, min64(step_y, height - y), min64(step_x, width - x)};
}

static inline void block_transform(Job& job) {
    const i64 height = (job.y.out - 1) * job.y.stride + 1, width = (job.x.out - 1) * job.x.stride + 1;
    const i64 step_y = job.transform.n - job.y.span(), step_x = job.transform.n - job.x.span();
    const i64 tiles = ((height + step_y - 1) / step_y) * ((width + step_x - 1) / step_x);
    const i64 item = job.accumulator == Accumulator::f32 ? 4 : 8, n = job.transform.n;
    job.bands = (tiles + 1) / 2;
    job.in_place_rows = false;
    job.arena_bytes = static_cast<std::size_t>(2 * n * job.transform.pitch * item + 3 * n * n + 256);
}

// What a tile holds: its largest magnitude, and whether all of it are integers.
template <class T>
struct Survey {
    decltype(magnitude(T())) largest = 0;
    bool integers = true;

    bool finite() const { return largest < magnitude(static_cast<T>(__builtin_inf())); }
    T peak() const {
        T x;
        __builtin_memcpy(&x, &largest, sizeof x);
        return x;
    }
};

template <class T>
static void survey_row(const T* p, i64 n, bool look_for_integers, Survey<T>& s) {
    auto largest = s.largest;
    for (i64 i = 0; i < n; ++i) {
        const auto m = magnitude(p[i]);
        largest = m > largest ? m : largest;
    }
    s.largest = largest;
    if (look_for_integers && s.integers) {
        int odd = 0;
        for (i64 i = 0; i < n; ++i) odd |= rint_(p[i]) != p[i];
        s.integers = !odd;
    }
}

// The pixels under a tile, padded by the boundary, then by zeros.
template <class T>
static Survey<T> gather_tile(const Job& job, i64 plane, const char* base, const TileOutputs& t, T* to, LoadRun<T> run) {
    const i64 n = job.transform.n, pitch = job.transform.pitch;
    const i64 rows = t.rows ? t.rows + job.y.span() : 0, cols = t.cols ? t.cols + job.x.span() : 0;
    const T fill = static_cast<T>(job.weights.fill[plane % job.weights.fills]);
    Survey<T> survey;
    for (i64 r = 0; r < rows; ++r) {
        T* row = to + r * pitch;
        const i64 source = source_index(job.boundary, t.y - job.y.before + r, job.in.rows);
        if (source < 0)
            for (i64 i = 0; i < cols; ++i) row[i] = fill;
        else
            load_pixels(row, base + source * job.in.row_stride, job, run, t.x - job.x.before, 1, cols, &fill);
        survey_row(row, cols, job.transform.rounding == Rounding::if_integers, survey);
        for (i64 i = cols; i < n; ++i) row[i] = 0;
    }
    for (i64 r = rows; r < n; ++r) __builtin_memset(to + r * pitch, 0, static_cast<std::size_t>(n) * sizeof(T));
    return survey;
}

// Zeroes the pixels that are not finite; seen[y * n + x] becomes 1 for every output whose
// window holds one: an OR along the columns, then along the rows. Returns the finite peak.
template <class T>
static T take_out(const Job& job, const TileOutputs& t, T* p, unsigned char* bad, unsigned char* seen) {
    const i64 n = job.transform.n, pitch = job.transform.pitch;
    const i64 rows = t.rows + job.y.span(), cols = t.cols + job.x.span();
    Survey<T> kept;
    for (i64 y = 0; y < rows; ++y) {
        for (i64 x = 0; x < cols; ++x) {
            T& v = p[y * pitch + x];
            const bool finite = v - v == 0;
            bad[y * n + x] = !finite;
            if (!finite) v = 0;
        }
        survey_row(p + y * pitch, cols, false, kept);
    }
    for (i64 y = 0; y < t.rows; ++y) {
        unsigned char* to = seen + y * n;
        for (i64 x = 0; x < cols; ++x) to[x] = 0;
        for (i64 i = 0; i < job.y.taps; ++i)
            for (i64 x = 0; x < cols; ++x) to[x] |= bad[(y + i * job.y.dilation) * n + x];
        for (i64 x = 0; x < t.cols; ++x)  // in place: only columns to the right are read
            for (i64 j = 1; j < job.x.taps; ++j) to[x] |= to[x + j * job.x.dilation];
    }
    return kept.peak();
}

// p * 2^exponent, in steps that float can hold.
template <class T>
static void scale_row(T* p, i64 n, int exponent) {
    while (exponent) {
        const int step = exponent > 100 ? 100 : exponent < -100 ? -100 : exponent;
        const T factor = static_cast<T>(__builtin_ldexp(1.0, step));
        for (i64 i = 0; i < n; ++i) p[i] *= factor;
        exponent -= step;
    }
}

// Two tiles of one plane.
template <class T>
static void transform_pair(const Job& job, i64 plane, const char* in, char* out, i64 pair, char* memory) {
    const Transform& transform = job.transform;
    const i64 n = transform.n, pitch = transform.pitch;
    T* planes[2] = {reinterpret_cast<T*>(memory), reinterpret_cast<T*>(memory) + n * pitch};
    unsigned char* bad = reinterpret_cast<unsigned char*>(planes[1] + n * pitch);
    unsigned char* seen[2] = {bad + n * n, bad + 2 * n * n};
    const LoadRun<T> run = load_run_for<T>(job.in.dtype, job.in.swapped);
    TileOutputs tiles[2];
    Survey<T> surveys[2];
    int shift[2] = {0, 0};
    for (int h = 0; h < 2; ++h) {
        tiles[h] = tile_outputs(job, 2 * pair + h);
        surveys[h] = gather_tile(job, plane, in, tiles[h], planes[h], run);
        T peak = surveys[h].peak();
        if (!surveys[h].finite()) peak = take_out(job, tiles[h], planes[h], bad, seen[h]);
        if (peak > T(0x1p40) || (peak > 0 && peak < T(0x1p-40))) {
            __builtin_frexp(static_cast<double>(peak), &shift[h]);
            for (i64 r = 0; r < n; ++r) scale_row(planes[h] + r * pitch, n, -shift[h]);
        }
    }
    const i64 widest = max64(tiles[0].cols, tiles[1].cols);
    correlate_planes(Planes<T>{planes[0], planes[1], n, pitch},
                     Planes<const T>{static_cast<const T*>(transform.re), static_cast<const T*>(transform.im), n, pitch},
                     static_cast<const T*>(transform.twiddles), round_up(widest, Vec<T>::lanes));
    for (int h = 0; h < 2; ++h) {
        const TileOutputs& t = tiles[h];
        const bool integers = transform.rounding == Rounding::always ||
                              (transform.rounding == Rounding::if_integers && surveys[h].finite() && surveys[h].integers &&
                               static_cast<double>(surveys[h].peak()) * job.weights.abs_sum < 0x1p44);
        const i64 sy = job.y.stride, sx = job.x.stride;
        const i64 first = (sx - t.x % sx) % sx;  // dense column of the tile's first output
        for (i64 r = (sy - t.y % sy) % sy; r < t.rows; r += sy) {
            T* row = planes[h] + r * pitch;
            if (!surveys[h].finite())
                for (i64 x = 0; x < t.cols; ++x)
                    if (seen[h][r * n + x]) row[x] = static_cast<T>(__builtin_nan(""));
            i64 count = t.cols;
            if (sx > 1) {
                count = 0;
                for (i64 x = first; x < t.cols; x += sx) row[count++] = row[x];
            }
            scale_row(row, count, transform.exponent + shift[h]);
            if (integers) {
                scale_row(row, count, transform.places);
                for (i64 i = 0; i < count; ++i) row[i] = rint_(row[i]);
                scale_row(row, count, -transform.places);
            }
            char* to = out + (t.y + r) / sy * job.out.row_stride + (t.x + first) / sx * job.out.col_stride;
            store_row(job, to, job.out.col_stride, row, count, static_cast<T>(job.weights.bias[0]));
        }
    }
}

}}  // namespace corr2d::CORR2D_ISA
