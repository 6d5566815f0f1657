// What lag sums are asked for, as plain data: lag[p, q] = sum over planes, y and x of
// a[y, x] * b[y + p, x + q].
#pragma once
#include "filter.hpp"

namespace corr2d {

struct LagJob {
    View a, b;                   // b has lags - 1 more rows and columns than a
    double a_origin, b_origin;   // subtracted from every sample
    bool single;                 // float products, summed in float over one tile; else double
    i64 planes, lag_rows, lag_cols;
    bool (*stopped)();
    double* partial;             // (bands, lag_rows, lag_cols)
    // Filled in by an instruction set's `lag_block`, from shapes alone: sums do not depend on threads.
    i64 abreast, groups;         // planes side by side in a tile, and such groups
    i64 strips, units, unit_run; // strips of rows in a group; units = groups * strips; units to a band
    i64 bands, tile_cols;
    std::size_t arena_bytes;
};

// The same of several a and one b, all of two axes, through spectra.
struct LagSpectra {
    const View* a;
    const double* a_origins;
    i64 firsts;
    View b;
    double b_origin;
    Fourier y, x;                // of doubles
    i64 lag_rows, lag_cols;      // of the a that b exceeds most
    i64 step_y, step_x, across;  // tiles of a: how far apart, and how many side by side
    i64 tiles, run, bands;       // pairs of tiles to a band
    bool (*stopped)();
    double* partial;             // (bands, firsts, lag_rows, lag_cols)
};

}  // namespace corr2d
