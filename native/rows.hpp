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

// Brings rows in, all at once or strip by strip. Scratch rows are reused in turn, so that
// those of a strip stay in the first-level cache between their conversion and their use.
template <class T>
struct Gather {
    const Job& job;
    const char* plane;
    const T* fills;
    i64 y0, x0;
    const RowLayout* layout;  // null: rows are read where they lie
    LoadRun<T> run;
    T* scratch;
    i64 slots, pitch;  // scratch rows, and samples between them
    T* fill_row;
    // Of rows that are one run of pixels: `head` pixels from elsewhere, `body` as they lie, the
    // rest from elsewhere; `source` says where those come from (-1: fill), heads first.
    bool simple = false;
    bool whole = false;  // ... and whose samples are the sums' own, side by side: whole vectors are copied
    i64 head = 0, body = 0;
    i64* source = nullptr;
    i64 slot = 0, brought = 0, filled_channel = -1;

    void find_sources(i64* room) {
        simple = layout && layout->pieces == 1 && layout->step == 1;
        if (!simple) return;
        whole = sizeof(T) > 2 && job.in.dtype == own_dtype<T> && !job.in.swapped && job.lanes == 1 && job.in.col_stride == static_cast<i64>(sizeof(T));
        const i64 left = x0 - job.x.before, n = layout->length;
        head = min64(n, max64(0, -left));
        body = max64(0, min64(n, job.in.cols - left) - head);
        source = room;
        for (i64 i = 0; i < head; ++i) *room++ = source_index(job.boundary, left + i, job.in.cols);
        for (i64 i = head + body; i < n; ++i) *room++ = source_index(job.boundary, left + i, job.in.cols);
    }

    void copy_row(T* to, const char* row, const T* fill) const {
        if (!simple) {
            for (i64 piece = 0; piece < layout->pieces; ++piece) {
                const i64 first = x0 * job.x.stride - job.x.before + (layout->per_tap ? piece * job.x.dilation : piece);
                load_pixels(to + piece * layout->length * job.lanes, row, job, run, first, layout->step, layout->length, fill);
            }
            return;
        }
        if (whole) return copy_whole(to, row, row, *fill);
        const i64 lanes = job.lanes, pixel = job.in.col_stride, sample_step = lanes > 1 ? pixel / lanes : pixel;
        const i64* from = source;
        auto elsewhere = [&](i64 first, i64 until) {
            for (i64 i = first; i < until; ++i) {
                const i64 at = *from++;
                if (at >= 0)
                    run(to + i * lanes, row + at * pixel, sample_step, lanes);
                else
                    for (i64 c = 0; c < lanes; ++c) to[i * lanes + c] = fill[c];
            }
        };
        elsewhere(0, head);
        if (body) run(to + head * lanes, row + (x0 - job.x.before + head) * pixel, sample_step, body * lanes);
        elsewhere(head + body, layout->length);
    }

    // Half of what a narrow row cost was its calls and loops: short runs are written as vectors, a little beyond
    // their end, for there is room, and what comes next overwrites it. `to` lies so that the image's own pixels begin
    // with a cache line: what crosses lines is written twice. `next` is a row that will be wanted soon.
    CORR2D_INLINE void copy_whole(T* to, const char* row, const char* next, T fill) const {
        constexpr i64 L = Vec<T>::lanes, item = sizeof(T);
        const i64 end = head + body, left = (x0 - job.x.before + head) * item;
        const char *samples = row + left, *later = next + left;
        const i64* from = source;
        auto elsewhere = [&](i64 first, i64 until, i64 lines) {
            if (job.boundary == Boundary::constant) {
                const auto filled = typename Vec<T>::type{} + fill;
                for (i64 i = lines; i < until; i += L) store(to + i, filled);
                return;
            }
            for (i64 i = first; i < until; ++i) __builtin_memcpy(to + i, row + *from++ * item, item);
        };
        elsewhere(0, head, -spare());
        if (body >= L) {
            for (i64 i = head; i < end - L; i += L) {
                __builtin_memcpy(to + i, samples + (i - head) * item, kVectorBytes);
                __builtin_prefetch(later + (i - head) * item, 0, 3);
            }
            __builtin_memcpy(to + end - L, samples + (body - L) * item, kVectorBytes);
            __builtin_prefetch(later + (body - 1) * item, 0, 3);
        } else {
            for (i64 i = 0; i < body; ++i) __builtin_memcpy(to + head + i, samples + i * item, item);
        }
        elsewhere(end, layout->length, end);
    }

    // Samples before a scratch row that bring its pixels to a cache line: vectors across two take twice as long to store.
    i64 spare() const { return simple ? round_up(head * job.lanes, Vec<T>::lanes) - head * job.lanes : 0; }

    // Rows up to `until`, one after the other, those that are there left out. By means of a copy, of which the compiler
    // knows that no store changes it.
    void whole_rows(Rows<T>& rows, i64 from, i64 until) {
        const Gather here = *this;
        const i64 top = y0 - job.y.before, stride = job.in.row_stride, last = job.in.rows - kRows;
        const T fill = *fills;
        i64 r = max64(from, brought), next = slot;
        for (; r < until; ++r) {
            const i64 at = top + r;
            if (at < 0 || at >= job.in.rows) {
                slot = next;
                row(rows, 0, r);
                next = slot;
                continue;
            }
            T* to = here.scratch + next * here.pitch + here.spare();
            next = next + 1 == here.slots ? 0 : next + 1;
            const char* lies = here.plane + at * stride;
            here.copy_whole(to, lies, at < last && r + kRows < rows.rows ? lies + kRows * stride : lies, fill);
            rows.table[r] = to;
        }
        slot = next;
        brought = r;
    }

    // The rows that output rows [from, until) of the band need.
    void rows(Rows<T>& rows, i64 from, i64 until) {
        const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
        if (whole && channels == 1 && job.y.stride == 1 && job.y.dilation == 1) return whole_rows(rows, from, until + job.y.taps - 1);
        for (i64 c = 0; c < channels; ++c) {
            if (job.y.stride == 1 && job.y.dilation == 1) {  // one after the other
                for (i64 r = from; r < until + job.y.taps - 1; ++r) row(rows, c, r);
            } else {
                for (i64 y = from; y < until; ++y)
                    for (i64 i = 0; i < job.y.taps; ++i) row(rows, c, y * job.y.stride + i * job.y.dilation);
            }
        }
    }

private:
    CORR2D_INLINE void row(Rows<T>& rows, i64 c, i64 r) {
        const T*& entry = rows.table[c * rows.rows + r];
        if (!entry) bring(rows, entry, c, r);
    }

    void bring(const Rows<T>& rows, const T*& entry, i64 c, i64 r) {
        const i64 top = y0 * job.y.stride - job.y.before, ahead = r + kRows;
        const char* base = c ? plane + job.in_offset(c) : plane;
        const i64 at = source_index(job.boundary, top + r, job.in.rows);
        const T* fill = fills + c;
        if (at < 0) {
            T* filled = fill_row + c * pitch;
            if (filled_channel != c)
                for (i64 k = 0; k < rows.pixels; ++k) filled[k] = fill[job.lanes > 1 ? k % job.lanes : 0];
            filled_channel = c;
            entry = filled;
            return;
        }
        const char* from = base + at * job.in.row_stride;
        if (!layout) {
            entry = reinterpret_cast<const T*>(from) + (x0 * job.x.stride - job.x.before) * job.lanes;
            return;
        }
        // The same columns of the next strip's rows, which the hardware does not foresee.
        if (simple && body && at + kRows < job.in.rows && ahead < rows.rows && job.in.col_stride <= 64) {
            const char* next = from + kRows * job.in.row_stride + (x0 - job.x.before + head) * job.in.col_stride;
            for (i64 b = 0; b < body * job.in.col_stride; b += 64) __builtin_prefetch(next + b, 0, 3);
        }
        T* to = scratch + slot * pitch + spare();
        slot = slot + 1 == slots ? 0 : slot + 1;
        copy_row(to, from, fill);
        entry = to;
    }
};

}}  // namespace corr2d::CORR2D_ISA
