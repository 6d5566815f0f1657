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

// How many tiles lie across and down, and how far apart.
struct TileGrid {
    i64 height, width, step_y, step_x, down, across;
};

static inline TileGrid tile_grid(const Job& job) {
    TileGrid g;
    g.height = (job.y.out - 1) * job.y.stride + 1;
    g.width = (job.x.out - 1) * job.x.stride + 1;
    g.step_y = job.transform.y.n - job.y.span();
    g.step_x = job.transform.x.n - job.x.span();
    g.down = (g.height + g.step_y - 1) / g.step_y;
    g.across = (g.width + g.step_x - 1) / g.step_x;
    return g;
}

static inline TileOutputs tile_outputs(const TileGrid& g, i64 index) {
    const i64 y = index / g.across * g.step_y, x = index % g.across * g.step_x;
    if (y >= g.height) return {0, 0, 0, 0};
    return {y, x, min64(g.step_y, g.height - y), min64(g.step_x, g.width - x)};
}

// From x to the next multiple of `stride`: to the first output that a stride wants.
static inline i64 to_multiple(i64 x, i64 stride) { return (stride - x % stride) % stride; }

template <class T>
static inline i64 transform_bytes(const Transform& t) {
    const i64 item = sizeof(T), L = Vec<T>::lanes;
    return (ComplexTile<T>::samples(t.y.n, t.x.n) + 2 * L * t.x.n + 2 * round_up(t.x.n, 64)) * item + 64 + 3 * t.y.n * t.x.n + 64;
}

static inline void block_transform(Job& job, int threads) {
    const TileGrid g = tile_grid(job);
    job.bands = (g.down * g.across + 1) / 2;
    job.workers = threads;
    job.in_place_rows = false;
    job.arena_bytes = static_cast<std::size_t>(job.accumulator == Accumulator::f32 ? transform_bytes<float>(job.transform)
                                                                                   : transform_bytes<double>(job.transform));
}

// One half, the real or the imaginary part, of a pair of tiles.
template <class T>
struct HalfTile {
    TileOutputs outputs;
    ComplexTile<T> tile;
    int half;
    unsigned char *bad, *seen;  // a byte per pixel: not finite; of an output whose window holds such
    bool spoilt = false;        // there are such
    bool integers = true;       // all pixels are integers, if anyone asked
    T peak = 0;                 // the largest finite magnitude
    int shift = 0;              // the pixels were scaled by 2^-shift

    T* row(i64 r) const { return tile.data + (2 * r + half) * Vec<T>::lanes; }  // its vectors lie tile.stride() apart
};

// Magnitudes as integers, a vector of them (load.hpp).
template <class T>
struct Peak {
    using Bits = decltype(magnitude(T()));
    typedef Bits Vector __attribute__((vector_size(kVectorBytes)));
    Vector largest{};

    void see(typename Vec<T>::type v) {
        Vector m;
        __builtin_memcpy(&m, &v, sizeof m);
        m &= static_cast<Bits>(~Bits(0) >> 1);
        largest = m > largest ? m : largest;
    }
    T value() const {  // Inf or NaN if one was seen
        Bits most = 0;
        for (i64 i = 0; i < Vec<T>::lanes; ++i) most = largest[i] > most ? largest[i] : most;
        T x;
        __builtin_memcpy(&x, &most, sizeof x);
        return x;
    }
};

// Row r of the tile, zeroes from `n` to `until`; the pixels `ahead` bytes further are asked for.
template <class T>
static inline void put_row(const HalfTile<T>& h, i64 r, const T* row, i64 n, i64 until, Peak<T>& peak, i64 ahead = 0) {
    constexpr i64 L = Vec<T>::lanes;
    const i64 stride = h.tile.stride();
    T* to = h.row(r);
    i64 x = 0;
    for (; x + L <= n; x += L, to += stride) {
        const auto v = load(row + x);
        __builtin_prefetch(reinterpret_cast<const char*>(row + x) + ahead, 0, 3);
        peak.see(v);
        store(to, v);
    }
    if (x < n) {
        T last[L] = {};
        __builtin_memcpy(last, row + x, static_cast<std::size_t>(n - x) * sizeof(T));
        peak.see(load(last));
        store(to, load(last));
        x += L, to += stride;
    }
    for (; x < until; x += L, to += stride) store(to, typename Vec<T>::type{});
}

template <class T>
static bool all_integers(const T* p, i64 n) {
    int odd = 0;
    for (i64 i = 0; i < n; ++i) odd |= rint_(p[i]) != p[i];
    return !odd;
}

// The pixels under a tile, padded by the boundary, then by zeroes up to column `until`. Where
// `TakeOut`, pixels that are not finite become zero and are marked.
template <bool TakeOut, class T>
static void gather_tile(const Job& job, i64 plane, const char* base, HalfTile<T>& h, i64 until, T* buffer, T* fill) {
    const TileOutputs& t = h.outputs;
    const i64 rows = t.rows ? t.rows + job.y.span() : 0, cols = t.cols ? t.cols + job.x.span() : 0;
    const i64 left = t.x - job.x.before, n = job.transform.x.n;
    const bool ask = job.transform.rounding == Rounding::if_integers;
    const LoadRun<T> run = load_run_for<T>(job.in.dtype, job.in.swapped);
    constexpr DType own = sizeof(T) == 4 ? DType::f32 : DType::f64;
    const bool ready = job.in.dtype == own && !job.in.swapped && job.in.col_stride == static_cast<i64>(sizeof(T)) && left >= 0 &&
                       left + cols <= job.in.cols;
    *fill = static_cast<T>(job.weights.fill[plane % job.weights.fills]);
    h.integers = true;
    Peak<T> peak;
    for (i64 r = 0; r < rows; ++r) {
        const i64 source = source_index(job.boundary, t.y - job.y.before + r, job.in.rows);
        const char* from = base + source * job.in.row_stride;
        const T* row = buffer;
        if (source < 0)
            for (i64 i = 0; i < cols; ++i) buffer[i] = *fill;
        else if (ready && reinterpret_cast<std::uintptr_t>(from) % sizeof(T) == 0)
            row = reinterpret_cast<const T*>(from) + left;  // as it lies
        else
            load_pixels(buffer, from, job, run, left, 1, cols, fill);
        if constexpr (TakeOut) {
            for (i64 x = 0; x < cols; ++x) {
                const T v = row[x];
                const bool finite = v - v == 0;
                h.bad[r * n + x] = !finite;
                buffer[x] = finite ? v : 0;
            }
            row = buffer;
        }
        if (ask && h.integers) h.integers = all_integers(row, cols);
        put_row(h, r, row, cols, until, peak, row == buffer ? 0 : 6 * job.in.row_stride);
    }
    for (i64 r = rows; r < job.transform.y.n; ++r) put_row(h, r, buffer, 0, until, peak);
    h.peak = peak.value();
    h.spoilt = TakeOut;
}

// seen[y * n + x] becomes 1 for every output whose window holds a bad pixel: an OR along the
// columns, then along the rows.
template <class T>
static void mark_seen(const Job& job, const HalfTile<T>& h) {
    const i64 n = job.transform.x.n, cols = h.outputs.cols + job.x.span();
    for (i64 y = 0; y < h.outputs.rows; ++y) {
        unsigned char* to = h.seen + y * n;
        for (i64 x = 0; x < cols; ++x) to[x] = 0;
        for (i64 i = 0; i < job.y.taps; ++i)
            for (i64 x = 0; x < cols; ++x) to[x] |= h.bad[(y + i * job.y.dilation) * n + x];
        for (i64 x = 0; x < h.outputs.cols; ++x)  // in place: only columns to the right are read
            for (i64 j = 1; j < job.x.taps; ++j) to[x] |= to[x + j * job.x.dilation];
    }
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

// Row r of a tile's outputs into `row`, those that the stride wants; returns how many.
template <class T>
static i64 finish_row(const Job& job, const HalfTile<T>& h, i64 r, T* row) {
    const TileOutputs& t = h.outputs;
    const T* from = h.row(r);
    for (i64 x = 0; x < t.cols; x += Vec<T>::lanes, from += h.tile.stride()) store(row + x, load(from));
    if (h.spoilt)
        for (i64 x = 0; x < t.cols; ++x)
            if (h.seen[r * job.transform.x.n + x]) row[x] = static_cast<T>(__builtin_nan(""));
    i64 count = t.cols;
    if (job.x.stride > 1) {
        count = 0;
        for (i64 x = to_multiple(t.x, job.x.stride); x < t.cols; x += job.x.stride) row[count++] = row[x];
    }
    scale_row(row, count, job.transform.exponent + h.shift);
    const bool integers = job.transform.rounding == Rounding::always ||
                          (job.transform.rounding == Rounding::if_integers && h.integers &&
                           static_cast<double>(h.peak) * job.weights.abs_sum < 0x1p44);
    if (integers) {
        scale_row(row, count, job.transform.places);
        for (i64 i = 0; i < count; ++i) row[i] = rint_(row[i]);
        scale_row(row, count, -job.transform.places);
    }
    return count;
}

// What the output, of the sums' own type, holds already: a part of a large kernel's sums.
template <class T>
static void add_row(const char* held, i64 step, T* row, i64 n) {
    for (i64 i = 0; i < n; ++i) {
        T before;
        __builtin_memcpy(&before, held + i * step, sizeof before);
        row[i] += before;
    }
}

// The outputs of a pair, row by row; of tiles side by side both at once, as whole cache lines
// are cheaper to write than parts.
template <class T>
static void scatter_pair(const Job& job, char* out, const HalfTile<T> (&halves)[2], T* row, T bias) {
    const TileOutputs &a = halves[0].outputs, &b = halves[1].outputs;
    const bool beside = a.y == b.y && a.x + a.cols == b.x && a.rows == b.rows;
    for (int i = 0; i < 2 - beside; ++i) {
        const TileOutputs& t = halves[i].outputs;
        char* to = out + (t.x + to_multiple(t.x, job.x.stride)) / job.x.stride * job.out.col_stride;
        for (i64 r = to_multiple(t.y, job.y.stride); r < t.rows; r += job.y.stride) {
            i64 count = finish_row(job, halves[i], r, row);
            if (beside) count += finish_row(job, halves[1], r, row + count);
            char* row_of_out = to + (t.y + r) / job.y.stride * job.out.row_stride;
            if (job.add) add_row(row_of_out, job.out.col_stride, row, count);
            store_row(job, row_of_out, job.out.col_stride, row, count, bias);
        }
    }
}

// Channels of one pixel lie side by side, in the same cache lines.
static inline bool interleaved(const Job& job) { return job.in.lead == 1 && job.in.stride[0] < job.in.col_stride; }

// The pixels of the pair of tiles that this thread will probably take next: their cache lines,
// which the hardware does not foresee, are asked for while this pair is transformed.
struct PixelsAhead {
    const char *tile[2], *line;
    i64 row_stride, rows, bytes;  // of a tile
    int half;
    i64 row;

    void ask(i64 lines) {
        for (; lines > 0 && half < 2; --lines) {
            __builtin_prefetch(line, 0, 2);
            line += 64;
            if (line < tile[half] + row * row_stride + bytes) continue;
            if (++row == rows) {
                row = 0;
                if (++half == 2) return;
            }
            line = tile[half] + row * row_stride;
        }
    }
};

static inline PixelsAhead pixels_ahead(const Job& job, const TileGrid& grid, const char* in, i64 plane, i64 pair) {
    PixelsAhead p{{in, in}, in, job.in.row_stride, 0, 0, 2, 0};
    const i64 item = job.in.col_stride, next = 2 * (pair + job.workers);
    if (item < 1 || item > 16 || next >= grid.down * grid.across) return p;
    if (interleaved(job) && plane + 1 < job.planes) return p;  // the next is this pair's next channel, which is here
    for (int h = 0; h < 2; ++h) {
        const TileOutputs t = tile_outputs(grid, min64(next + h, grid.down * grid.across - 1));
        const i64 y = min64(max64(t.y - job.y.before, 0), job.in.rows - 1), x = min64(max64(t.x - job.x.before, 0), job.in.cols - 1);
        p.tile[h] = in + y * job.in.row_stride + x * item;
        p.rows = max64(p.rows, min64(job.transform.y.n, job.in.rows - y));
        p.bytes = max64(p.bytes, min64(job.transform.x.n, job.in.cols - x) * item);
    }
    p.line = p.tile[0];
    p.half = 0;
    return p;
}

// Two tiles of one plane.
template <class T>
static void transform_pair(const Job& job, i64 plane, const char* in, char* out, i64 pair, char* memory) {
    Transform transform = job.transform;
    const i64 ny = transform.y.n, nx = transform.x.n, L = Vec<T>::lanes, bank = plane % job.weights.banks;
    transform.spectrum = static_cast<const T*>(transform.spectrum) + bank * 2 * ny * nx;
    const TileGrid grid = tile_grid(job);
    Arena arena{memory};
    const ComplexTile<T> tile{arena.take<T>(ComplexTile<T>::samples(ny, nx)), ny, nx};
    T* strip = arena.take<T>(2 * L * nx);
    T *row = arena.take<T>(2 * round_up(nx, 64)), *fill = arena.take<T>(1);
    unsigned char* marks = arena.take<unsigned char>(3 * ny * nx);
    HalfTile<T> halves[2] = {{tile_outputs(grid, 2 * pair), tile, 0, marks, marks + ny * nx},
                             {tile_outputs(grid, 2 * pair + 1), tile, 1, marks, marks + 2 * ny * nx}};
    const i64 widest = max64(halves[0].outputs.cols, halves[1].outputs.cols), until = round_up(widest + job.x.span(), L);
    bool far = false;  // from 1
    for (HalfTile<T>& h : halves) {
        gather_tile<false>(job, plane, in, h, until, row, fill);
        if (h.peak - h.peak != 0) {  // Inf or NaN
            gather_tile<true>(job, plane, in, h, until, row, fill);
            mark_seen(job, h);
        }
        far |= h.peak > T(0x1p40) || (h.peak > 0 && h.peak < T(0x1p-40));
    }
    // Both or neither: the rounding errors of the one spill into the other.
    for (int i = 0; far && i < 2; ++i) {
        HalfTile<T>& h = halves[i];
        __builtin_frexp(static_cast<double>(h.peak > 0 ? h.peak : halves[1 - i].peak), &h.shift);
        for (i64 r = 0; r < ny; ++r)
            for (i64 x = 0; x < until; x += L) scale_row(h.row(r) + x / L * tile.stride(), L, -h.shift);
    }
    PixelsAhead ahead = pixels_ahead(job, grid, in, plane, pair);
    correlate_tile(tile, transform, until, widest, strip, ahead);
    scatter_pair(job, out, halves, row, static_cast<T>(job.weights.bias[bank]));
}

}}  // namespace corr2d::CORR2D_ISA
