// The rows that a tile of output needs, as a table of pointers: into the image where
// it can be read as it lies, into a scratch copy where the samples need converting,
// gathering or padding. The arithmetic never sees the difference.
#pragma once
#include "load.hpp"

namespace corr2d { namespace CORR2D_ISA {

// Bump allocation from the arena that `block` sized.
struct Arena {
    char* next;
    template <class T>
    T* take(i64 n) {
        char* p = next;
        next += round_up(n * static_cast<i64>(sizeof(T)), 64);
        return reinterpret_cast<T*>(p);
    }
};

// How a scratch row is laid out. Without stride: the pixels one after the other. With
// stride s: the s phases of the row one after the other, so that the taps still read
// contiguously. With a dilation wider than the tile: one piece per tap.
struct RowLayout {
    i64 pieces, length;  // pixels per piece
    i64 step;            // pixels between neighbours in a piece
    bool per_tap;
    i64 pixels() const { return pieces * length; }
};

static inline RowLayout row_layout(const Axis& x, i64 n) {
    const i64 phases = min64(x.stride, x.span() + 1);
    const i64 length = n + x.span() / x.stride;
    if (phases * length <= x.taps * n || (x.stride == 1 && x.span() <= n)) return {phases, length, x.stride, false};
    return {x.taps, n, x.stride, true};
}

// Where tap j reads, in pixels from the start of the row.
static inline i64 tap_offset(const RowLayout& layout, const Axis& x, i64 j) {
    if (layout.per_tap) return j * layout.length;
    const i64 d = j * x.dilation;
    return d % x.stride * layout.length + d / x.stride;
}

// A pitch that is an odd number of cache lines: neighbouring rows never share a set.
template <class T>
static inline i64 row_pitch(i64 samples) {
    const i64 line = 64 / static_cast<i64>(sizeof(T));
    return (round_up(samples + Vec<T>::lanes, line) / line | 1) * line;
}

// Rows of one tile: band rows [y0, y1), output pixels [x0, x0 + n).
template <class T>
struct Rows {
    const T** table;  // (channels, rows): row r of the table is input row y0 * stride - before + r
    i64 rows;         // table rows per channel
    i64 pixels;       // samples readable in every row
};

template <class T>
static void gather_rows(const Job& job, const char* plane, const T* fills, i64 y0, i64 y1, i64 x0, const RowLayout* layout,
                        LoadRun<T> run, T* scratch, i64 pitch, T* fill_row, Rows<T>& rows) {
    const Axis &ya = job.y, &xa = job.x;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y0 * ya.stride - ya.before, left = x0 * xa.stride - xa.before;
    for (i64 c = 0; c < channels; ++c) {
        const char* base = plane + job.in_offset(c);
        const T** table = rows.table + c * rows.rows;
        const T* fill = fills + c;
        for (i64 r = 0; r < rows.rows; ++r) table[r] = nullptr;
        const T* filled = nullptr;
        for (i64 y = y0; y < y1; ++y)
            for (i64 i = 0; i < ya.taps; ++i) {
                const i64 r = (y - y0) * ya.stride + i * ya.dilation;
                if (table[r]) continue;
                const i64 source = source_index(job.boundary, top + r, job.in.rows);
                if (source < 0) {
                    if (!filled) {
                        T* to = fill_row + c * pitch;
                        for (i64 k = 0; k < rows.pixels; ++k) to[k] = fill[job.lanes > 1 ? k % job.lanes : 0];
                        filled = to;
                    }
                    table[r] = filled;
                    continue;
                }
                const char* row = base + source * job.in.row_stride;
                if (!layout) {
                    table[r] = reinterpret_cast<const T*>(row) + left * job.lanes;
                    continue;
                }
                for (i64 piece = 0; piece < layout->pieces; ++piece) {
                    const i64 first = left + (layout->per_tap ? piece * xa.dilation : piece);
                    load_pixels(scratch + piece * layout->length * job.lanes, row, job, run, first, layout->step,
                                layout->length, fill);
                }
                table[r] = scratch;
                scratch += pitch;
            }
    }
}

}}  // namespace corr2d::CORR2D_ISA
