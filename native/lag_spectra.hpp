// Lag sums of many lags, by tiles of a linear, not circular, Fourier transform (fft.hpp).
//
// A tile of a is followed by zeros as far as the lags reach, and meets what they see of b: their
// lag sums are the inverse of conj(A) B. That is linear, so spectra of all tiles are added up and
// one transform back, at the end of a band, gives the sums.
//
// Two tiles go as the real and the imaginary part of one. With a = a1 + i a2 and b = b1 + i b2, the sums
// of conj(a) b are those of a1 b1 + a2 b2, which is what is wanted, in the real part; what the tiles
// have in common with each other is in the imaginary part, and is dropped.
#pragma once
#include "lag_job.hpp"
#include "overlap_save.hpp"

namespace corr2d { namespace CORR2D_ISA {

static std::size_t lag_spectra_bytes(const LagSpectra& job) {
    constexpr i64 L = Vec<double>::lanes;
    const i64 ny = job.y.n, nx = job.x.n;
    return sizeof(double) * static_cast<std::size_t>(ComplexTile<double>::samples(ny, nx) + 2 * ny * nx * (1 + job.firsts) + 2 * L * nx + round_up(nx, 64)) + 5 * 64;
}

// Up to so many pixels of a picture from (y, x) on, less its origin, as one half of the tile; zeros below and, up to column `until`, beside them.
static void put_half(const View& view, double origin, i64 y, i64 x, i64 rows, i64 cols, const ComplexTile<double>& tile, int half, i64 until, double* row) {
    const HalfTile<double> h{{0, 0, 0, 0}, tile, half, nullptr, nullptr};
    const LoadRun<double> run = load_run_for<double>(view.dtype, view.swapped);
    Peak<double> unused;
    rows = max64(0, min64(rows, view.rows - y));
    cols = max64(0, min64(cols, view.cols - x));
    for (i64 r = 0; r < rows; ++r) {
        run(row, view.data + (y + r) * view.row_stride + x * view.col_stride, view.col_stride, cols);
        if (origin != 0)
            for (i64 i = 0; i < cols; ++i) row[i] -= origin;
        put_row(h, r, row, cols, until, unused);
    }
    for (i64 r = rows; r < tile.rows; ++r) put_row(h, r, row, 0, until, unused);
}

static void lag_spectra_band(const LagSpectra& job, i64 band, char* memory) {
    constexpr i64 L = Vec<double>::lanes, block = 2 * L * L;
    const i64 ny = job.y.n, nx = job.x.n, strips = ny / L, length = 2 * L * nx;
    Arena arena{memory};
    const ComplexTile<double> tile{arena.take<double>(ComplexTile<double>::samples(ny, nx)), ny, nx};
    double *seen = arena.take<double>(2 * ny * nx), *sums = arena.take<double>(job.firsts * 2 * ny * nx);
    double *strip = arena.take<double>(length), *row = arena.take<double>(round_up(nx, 64));
    __builtin_memset(sums, 0, static_cast<std::size_t>(job.firsts * 2 * ny * nx) * sizeof(double));
    struct {
        void ask(i64) {}
    } nothing;
    // Both tiles of a pair, and the transform of their first `until` columns down.
    auto fill = [&](const View& view, double origin, i64 pair, i64 rows, i64 cols, i64 until) {
        for (int half = 0; half < 2; ++half) {
            const i64 index = 2 * pair + half, there = index < job.tiles;
            put_half(view, origin, index / job.across * job.step_y, index % job.across * job.step_x, there * rows, cols, tile, half, until, row);
        }
        for (i64 c = 0; c * L < until; ++c) forward(tile.block(c), job.y.passes);
    };
    const i64 until = round_up(job.step_x, L);
    for (i64 pair = band * job.run, end = min64(pair + job.run, (job.tiles + 1) / 2); pair < end; ++pair) {
        if (job.stopped()) return;
        fill(job.b, job.b_origin, pair, ny, nx, nx);
        for (i64 s = 0; s < strips; ++s) {
            turn(tile, s, nx, seen + s * length, nothing);
            forward(seen + s * length, job.x.passes);
        }
        for (i64 f = 0; f < job.firsts; ++f) {
            fill(job.a[f], job.a_origins[f], pair, job.step_y, job.step_x, until);
            for (i64 s = 0; s < strips; ++s) {
                turn(tile, s, until, strip, nothing);
                forward(strip, job.x.passes);
                double *to = sums + (f * strips + s) * length, *from = seen + s * length;
                for (i64 i = 0; i < nx; ++i) {
                    const Complex<double> a = get(strip, i);
                    put(to, i, get(to, i) + times<true>(get(from, i), a.re, a.im));
                }
            }
        }
    }
    const double scale = 1.0 / static_cast<double>(ny * nx);
    for (i64 f = 0; f < job.firsts; ++f) {
        if (job.stopped()) return;
        for (i64 s = 0; s < strips; ++s) {
            double* from = sums + (f * strips + s) * length;
            backward(from, job.x.passes);
            for (i64 c = 0; c * L < job.lag_cols; ++c) transpose_block(from + c * block, tile.block(c) + s * block);
        }
        for (i64 c = 0; c * L < job.lag_cols; ++c) backward(tile.block(c), job.y.passes);
        double* to = job.partial + (band * job.firsts + f) * job.lag_rows * job.lag_cols;
        for (i64 p = 0; p < job.lag_rows; ++p)
            for (i64 q = 0; q < job.lag_cols; ++q) to[p * job.lag_cols + q] = tile.block(q / L)[2 * L * p + q % L] * scale;
    }
}

}}  // namespace corr2d::CORR2D_ISA
