// How the output is cut: into bands (what a thread takes) and tiles (what stays in cache), and
// how much memory a tile needs.
#pragma once
#include "box.hpp"
#include "box_bytes.hpp"
#include "direct.hpp"
#include "separable.hpp"

namespace corr2d { namespace CORR2D_ISA {

// Everything a tile needs beside its rows; all sizes follow from the job.
struct Sizes {
    RowLayout layout;
    i64 columns;      // samples of a tile's output row, in whole vectors
    i64 pitch;        // samples between scratch rows
    i64 table_rows;   // input rows that a band spans
    i64 scratch_rows; // ... of which this many are held at a time
    i64 channels;
};

// Whether strips need rows one after the other, a strip's worth at a time.
static bool in_strips(const Job& job) {
    return job.y.stride == 1 && job.y.dilation == 1 && !job.weights.mixing && !job.weights.sparse &&
           (job.method != Method::box || job.accumulator == Accumulator::u16);
}

template <class T>
static Sizes sizes(const Job& job, i64 band_rows, i64 tile_cols, bool in_place) {
    Sizes s;
    const i64 pixels = (tile_cols + job.lanes - 1) / job.lanes;
    s.layout = row_layout(job.x, pixels);
    s.columns = round_up(tile_cols, Vec<T>::lanes * kVectors);
    const i64 row = in_place ? tile_cols + job.x.span() * job.lanes : s.layout.pixels() * job.lanes;
    s.pitch = row_pitch<T>(row + Vec<T>::lanes * 9);  // blocks read and copies write beyond a row's end; its pixels begin with a line
    s.table_rows = (band_rows - 1) * job.y.stride + job.y.span() + 1;
    s.scratch_rows = in_place ? 0 : min64(s.table_rows, in_strips(job) ? kRows - 1 + job.y.taps : band_rows * job.y.taps);
    s.channels = job.weights.mixing ? job.weights.inputs : 1;
    return s;
}

// Samples between lines: rows summed along the columns, and for box a cache line before them and two blocks behind.
template <class T>
static i64 line_pitch(const Job& job, const Sizes& s) {
    return row_pitch<T>(s.pitch + (job.method == Method::box ? kCacheLine / static_cast<i64>(sizeof(T)) + 2 * kVectors * Vec<T>::lanes : 0));
}

// Samples of all lines; box keeps those of a whole band, and two to work on along them and down a strip; over bytes
// running sums down and along, and what they give.
template <class T>
static i64 line_samples(const Job& job, const Sizes& s, i64 band_rows) {
    if (job.method == Method::box && sizeof(T) == 2) return 3 * line_pitch<T>(job, s) + 2 * (Vec<Counts>::lanes + row_pitch<float>(s.columns));
    if (job.method == Method::box) return (band_rows + 2) * line_pitch<T>(job, s) + 2 * strip_samples<T>(band_rows + job.y.taps);
    return job.weights.ranks * kRows * line_pitch<T>(job, s);
}

// How many shifted rows are summed at once.
static i64 tap_pointers(const Job& job) {
    return job.method == Method::taps ? job.weights.count : max64(job.y.taps, job.x.taps * max64(1, job.weights.ranks));
}

template <class T>
static i64 arena_bytes(const Job& job, i64 band_rows, i64 tile_cols, bool in_place) {
    const Sizes s = sizes<T>(job, band_rows, tile_cols, in_place);
    const i64 rows = s.channels * (s.scratch_rows + 1) * s.pitch        // scratch and fill rows
                     + (kRows + 1) * row_pitch<T>(s.columns)            // sums
                     + line_samples<T>(job, s, band_rows)               // lines between passes
                     + s.channels + job.lanes;                          // fill values
    const i64 tables = s.channels * s.table_rows + tap_pointers(job) + job.x.taps + (in_place ? 0 : s.layout.length);
    return rows * static_cast<i64>(sizeof(T)) + tables * 8 + 64 * 16;
}

template <class T>
static void block_as(Job& job, int threads) {
    const i64 width = job.x.out * job.lanes;
    const i64 in_size = static_cast<i64>(sizeof(T));
    const bool contiguous = job.in.col_stride == in_size * job.lanes;
    const bool aligned = reinterpret_cast<std::uintptr_t>(job.in.data) % sizeof(T) == 0 &&
                         job.in.row_stride % in_size == 0 && job.in_channel % in_size == 0 && job.in_part % in_size == 0;
    bool lead_aligned = true;
    for (int a = 0; a < job.in.lead; ++a) lead_aligned &= job.in.stride[a] % in_size == 0;
    // Rows a multiple of 4 KiB apart share a few cache sets. Copying them to a padded tile
    // was measured slower than the misses for every kernel from 3 x 3 to 15 x 15 and 5 + 5 to
    // 63 + 63, once the next strip's rows were fetched ahead.
    job.in_place_rows = sizeof(T) > 2 && job.in.dtype == own_dtype<T> && !job.in.swapped && contiguous && aligned && lead_aligned &&
                        job.x.stride == 1 && job.x.span() <= 512 && width >= 1024;

    const bool box = job.method == Method::box && sizeof(T) > 2;
    const bool runs = job.method == Method::box && sizeof(T) == 2;
    const i64 scratch = (box ? 640 : 384) * 1024;  // of the second-level cache; a box goes over it but twice
    constexpr i64 kArena = 16 * 1024 * 1024;
    // A row of a tile is done within a fraction of a second, for signals are heard between rows.
    constexpr i64 kTapsPerRow = 400'000'000;
    const i64 whole = Vec<T>::lanes * job.lanes;  // tiles are whole vectors of whole pixels
    // The lines of separable kernels share the first-level cache with the rows.
    const i64 cols = job.method == Method::separable ? 512 : job.in_place_rows && job.method == Method::direct ? 2048 : 1024;
    // ... and interleaved ones whole blocks, so that each begins where stores past the cache are aligned.
    job.tile_cols = round_up(min64(width, cols), width > cols && job.lanes > 1 ? whole * kVectors : whole);
    if (job.method == Method::taps) job.tile_cols = round_up(min64(job.tile_cols, max64(1, kTapsPerRow / job.weights.count)), whole);
    i64 bands_wanted = job.planes >= 4 * threads ? 1 : (4 * threads + job.planes - 1) / job.planes;
    if (threads == 1) bands_wanted = 1;
    const i64 unit = kRows * job.y.dilation;
    i64 rows = job.in_place_rows ? 96 : 64;
    if (box) rows = max64(96, 2 * job.y.span());  // which begins each band anew
    if (runs) rows = max64(256, 4 * job.y.span());  // ... and holds few of its rows at a time
    rows = min64(min64(job.y.out, rows), (job.y.out + bands_wanted - 1) / bands_wanted);
    // Bands of like height and whole strips: a rest of a few rows would cost as much as one.
    if (rows > 0) rows = (job.y.out + (job.y.out + rows - 1) / rows - 1) / ((job.y.out + rows - 1) / rows);
    rows = max64(1, rows > unit ? round_up(rows, unit) : rows);
    auto bytes = [&] {
        if (!job.in_place_rows) return arena_bytes<T>(job, rows, job.tile_cols, false);
        job.edge_cols = min64(job.tile_cols, round_up(job.x.span() * job.lanes, whole) + whole);
        return max64(arena_bytes<T>(job, rows, job.tile_cols, true), arena_bytes<T>(job, rows, job.edge_cols, false));
    };
    while (bytes() > scratch && job.tile_cols > 256 * job.lanes) job.tile_cols = round_up(job.tile_cols / 2, whole);
    while (bytes() > 2 * scratch && rows > 2 * unit && !in_strips(job)) rows = round_up(rows / 2, unit);
    // Where the kernel's own reach fills the arena, smaller tiles save no memory, and load its reach for
    // fewer outputs: with 1501 x 1501 taps, all of 1501 x 1501 pixels for eight.
    while (bytes() > kArena && rows > max64(1, job.y.span() / 4)) rows = (rows + 1) / 2;
    while (bytes() > kArena && job.tile_cols > max64(whole, job.x.span() / 4)) job.tile_cols = round_up(job.tile_cols / 2, whole);
    job.band_rows = rows;
    job.bands = (job.y.out + rows - 1) / rows;
    job.arena_bytes = static_cast<std::size_t>(bytes());
}

}}  // namespace corr2d::CORR2D_ISA
