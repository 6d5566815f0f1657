// One tile: rows in, sums, results out.
#pragma once
#include "nonfinite.hpp"
#include "store.hpp"
#include "sum.hpp"

namespace corr2d { namespace CORR2D_ISA {

// One strip of R output rows (y, y + dilation, ...) of a tile, for output channel o of all banks.
template <class T>
static void strip(const Tile<T>& t, i64 o, i64 y, i64 R, i64 n, const Sink<T>& sink) {
    const Job& job = t.job;
    const i64 kh = job.y.taps, kw = job.x.taps;
    const i64 top = y * job.y.stride;
    // Whether the rows of the next strip are in the table: fetched while this one is computed.
    const bool ahead = t.ahead && top + (2 * kRows + kh - 1) * job.y.dilation <= t.rows.rows;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const T* w = static_cast<const T*>(job.weights.dense) + o * channels * kh * kw;
    if (sizeof(T) == 2 || job.method == Method::direct) {
        for (i64 c = 0; c < channels; ++c)
            direct_strip<T>({t.rows.table + c * t.rows.rows + top, job.y.dilation, t.offset, kh, kw, job.group, job.across, w + c * kh * kw,
                             t.sums, t.pitch, c > 0, t.room, ahead, sink},
                            R, n);
        return;
    }
    if constexpr (sizeof(T) > 2) {
        if (job.method == Method::separable)
            return separable_strip<T>({t.rows.table + top, job.y.dilation, t.offset, kh, kw, job.weights.ranks, job.group, job.across > 0,
                                       static_cast<const T*>(job.weights.column), static_cast<const T*>(job.weights.row), t.line, t.line_pitch,
                                       t.rows.pixels, t.taps, t.sums, t.pitch, t.room, ahead, sink},
                                      R, n);
        const i64 count = job.weights.count;
        for (i64 r = 0; r < R; ++r) {
            for (i64 k = 0; k < count; ++k) {
                const Tap& tap = job.weights.taps[k];
                t.taps[k] = t.rows.table[tap.c * t.rows.rows + top + (r + tap.i) * job.y.dilation] + t.offset[tap.j];
            }
            sum_rows(t.taps, static_cast<const T*>(job.weights.listed) + o * count, 1, count, job.group, t.sums + r * t.pitch, n);
        }
    }
}

// Where blocks can put their sums themselves: contiguous samples of a type that they know.
template <class T>
static Sink<T> sink_for(const Job& job, i64 out_step, i64 n, i64 o) {
    Sink<T> s{Kind::none, job.stream, nullptr, job.out.row_stride, 0, 0, &job.integers, nullptr, 0};
    if (job.weights.mixing) return s;
    const bool whole = job.method == Method::direct ? fills_blocks<T>(job.y.taps, job.group, job.across, n)
                                                    : (job.method == Method::separable || job.method == Method::box) && n >= kVectors * Vec<T>::lanes;
    if (!whole) return s;
    if (job.weights.bias[o] != 0 && job.out.dtype != own_dtype<T>) return s;  // sums are rounded to integers with their bias
    s.bias = static_cast<T>(job.weights.bias[o]);
    Kind kind = Kind::none;
    if (sizeof(T) > 2 && job.out.dtype == own_dtype<T>) kind = Kind::own;
    if (sizeof(T) == 2 && job.out.dtype == DType::f32) kind = Kind::floats;
    if (sizeof(T) <= 4) switch (job.out.dtype) {
            case DType::u8: kind = Kind::bytes, s.low = 0, s.high = 255; break;
            case DType::s8: kind = Kind::bytes, s.low = -128, s.high = 127; break;
            case DType::u16: kind = Kind::words, s.low = 0, s.high = 65535; break;
            case DType::s16: kind = Kind::words, s.low = -32768, s.high = 32767; break;
            default: break;
        }
    if (sizeof(T) == 2 && kind != Kind::floats && !job.integers.narrow) kind = Kind::none;
    if (kind != Kind::none && out_step == sink_item<T>(kind)) s.kind = kind;
    return s;
}

// Sums in memory to the caller's samples.
template <class T>
static void store_sums(const Job& job, char* to, i64 step, T* sums, i64 n, i64 o) {
    if constexpr (sizeof(T) == 2) {
        constexpr i64 L = Vec<Sixteen>::lanes, F = Vec<float>::lanes;
        float wide[2 * F];
        for (i64 x = 0; x < n; x += L) {  // sums have whole vectors
            typename Vec<float>::type v[2];
            widen_sums(load(sums + x), job.integers, v);
            store(wide, v[0]);
            store(wide + F, v[1]);
            store_row(job, to + x * step, step, wide, min64(L, n - x), 0.0f);
        }
    } else {
        store_row(job, to, step, sums, n, static_cast<T>(job.weights.bias[o]));
    }
}

// Multiplications, well below a millisecond of them, between looks for signals.
constexpr i64 kPatience = 4'000'000;

// A tile of a box: all its lines, then row by row.
template <class T>
static void box_tile(const Tile<T>& t, i64 rows, i64 n, char* out, i64 out_step, Sink<T> sink) {
    const Job& job = t.job;
    const i64 step = job.y.dilation;
    const T weight = *static_cast<const T*>(job.weights.dense);
    const i64 cache_line = kCacheLine / static_cast<i64>(sizeof(T));
    const i64 aside = (cache_line - to_cache_line(t.rows.table[t.rows.rows / 2])) % cache_line;  // lines lie as the rows do
    T *lines = t.line + aside, *eights = t.line + job.band_rows * t.line_pitch, *parts = eights + t.line_pitch;
    T *strip_eights = parts + t.line_pitch, *strip_parts = strip_eights + strip_samples<T>(job.band_rows + job.y.taps);
    using Each = typename MakeLanes<16>::type;
    for (i64 g = 0; g < min64(step, rows); ++g) {
        if (job.stopped()) return;
        box_columns_all(t.rows.table + g, step, (rows - g + step - 1) / step, t.rows.pixels, job.y.taps, weight,
                        strip_eights, strip_parts, lines + g * t.line_pitch, step * t.line_pitch);
    }
    Sink<T> nowhere = sink;
    nowhere.kind = Kind::none;
    const bool watched = may_leave_range(job);
    for (i64 r = 0; r < rows; ++r, out += job.out.row_stride) {
        const T* line = lines + r * t.line_pitch;
        const i64 along = tap_step(t.offset, job.x.taps);
        if (sink.kind != Kind::none) {
            typename Vec<T>::type wrong = {};
            if (watched) sink.wrong = &wrong;
            sink.to = out;
            box_row(line, eights, parts, n, job.x.taps, along, weight, t.sums, sink, Each{});
            if (!sink.wrong || all_zero<T>(wrong)) continue;
        }
        if (job.stopped()) return;
        box_row(line, eights, parts, n, job.x.taps, along, weight, t.sums, nowhere, Each{});
        if constexpr (sizeof(T) == 4)
            if (!all_finite(t.sums, n) && may_overflow(t, r, 1)) widen(t, 0, r, t.sums, n);
        store_sums(job, out, out_step, t.sums, n, 0);
    }
}

// ... and of one over bytes, whose rows are brought in strip by strip: sums and weight stay so small that no
// result leaves float's range.
template <class Bring>
static void byte_box_tile(const Tile<Sixteen>& t, i64 rows, i64 n, char* out, i64 out_step, Sink<float> sink, Bring bring) {
    const Job& job = t.job;
    const i64 step = job.y.dilation, taps = job.y.taps, width = t.rows.pixels;
    const i64 along = tap_step(t.offset, job.x.taps);
    const float weight = *static_cast<const float*>(job.weights.dense);
    Sixteen* column = t.line;
    Counts* counts = reinterpret_cast<Counts*>(column + t.line_pitch) + Vec<Counts>::lanes;
    float* sums = reinterpret_cast<float*>(counts + t.line_pitch);
    for (i64 g = 0; g < min64(step, rows); ++g) {
        const i64 strip = step == 1 ? kRows : rows;
        for (i64 x = 0; x < round_up(width, Vec<Sixteen>::lanes); ++x) column[x] = 0;
        for (i64 y = g; y < rows; y += step) {
            if ((y - g) % strip == 0) {
                if (job.stopped()) return;
                bring(y, min64(y + strip, rows));
            }
            const Sixteen* const* row = t.rows.table + y;
            for (i64 i = y == g ? 0 : taps - 1; i < taps; ++i) roll<true>(column, row[i * step], width);
            sink.to = out + y * job.out.row_stride;
            byte_row(column, counts, n, job.x.taps, along, weight, sums, sink);
            if (sink.kind == Kind::none) store_row(job, sink.to, out_step, sums, n, static_cast<float>(job.weights.bias[0]));
            roll<false>(column, row[0], width);
        }
    }
}

// Output samples [x0, x0 + n) of band rows [y0, y1).
template <class T>
static void tile(const Job& job, i64 plane, const char* in, char* out, i64 y0, i64 y1, i64 x0, i64 n, bool in_place,
                 LoadRun<T> run, Arena arena) {
    const Sizes s = sizes<T>(job, job.band_rows, job.in_place_rows && !in_place ? job.edge_cols : job.tile_cols, in_place);
    const i64 pixels = (n + job.lanes - 1) / job.lanes;
    const RowLayout layout = row_layout(job.x, pixels);
    Rows<T> rows;
    rows.table = arena.take<const T*>(s.channels * s.table_rows);
    rows.rows = (y1 - y0 - 1) * job.y.stride + job.y.span() + 1;
    rows.pixels = in_place ? n + job.x.span() * job.lanes : layout.pixels() * job.lanes;
    for (i64 r = 0; r < s.channels * rows.rows; ++r) rows.table[r] = nullptr;
    i64* offset = arena.take<i64>(job.x.taps);
    for (i64 j = 0; j < job.x.taps; ++j)
        offset[j] = job.lanes * (in_place ? j * job.x.dilation : tap_offset(layout, job.x, j));
    const T** taps = arena.take<const T*>(tap_pointers(job));
    T* fill_row = arena.take<T>(s.channels * s.pitch);
    T* sums = arena.take<T>((kRows + 1) * row_pitch<T>(s.columns));
    T* line = arena.take<T>(line_samples<T>(job, s, job.band_rows));
    const i64 fills = job.weights.mixing ? s.channels : job.lanes;
    T* fill = arena.take<T>(fills);
    for (i64 c = 0; c < fills; ++c) {
        const double f = job.weights.fill[(job.lanes > 1 || job.weights.mixing ? c : plane) % job.weights.fills];
        fill[c] = sizeof(T) == 2 ? static_cast<T>(static_cast<i64>(f)) : static_cast<T>(f);
    }
    i64* sources = arena.take<i64>(in_place ? 0 : s.layout.length);
    T* scratch = arena.take<T>(s.channels * s.scratch_rows * s.pitch);
    const bool at_once = in_place || !in_strips(job);
    Gather<T> gather{job, in, fill, y0, x0 / job.lanes, in_place ? nullptr : &layout, run, scratch, s.channels * s.scratch_rows, s.pitch, fill_row};
    gather.find_sources(sources);
    if (at_once) gather.rows(rows, 0, y1 - y0);
    const Tile<T> t{job, rows, offset, taps, sums, line, row_pitch<T>(s.columns), line_pitch<T>(job, s), !in_place, in_place};
    const i64 outputs = job.weights.mixing ? job.weights.outputs : 1;
    const i64 out_step = job.lanes > 1 ? job.out.col_stride / job.lanes : job.out.col_stride;
    const i64 groups = job.y.stride == 1 ? min64(job.y.dilation, y1 - y0) : 1;
    const i64 step = job.y.stride == 1 ? job.y.dilation : 1;
    const i64 most = job.y.stride == 1 ? kRows : 1;
    const bool low = step == 1 && most == kRows && job.method == Method::direct && has_low_blocks<T>(job.y.taps, job.group, job.across, n);
    i64 since = 0;  // multiplications since signals were looked for
    const i64 first = plane % job.weights.banks * outputs;  // of this plane's output channels, among all banks'
    if (job.method == Method::box) {
        char* to = out + y0 * job.out.row_stride + x0 * out_step;
        if constexpr (sizeof(T) == 2)
            return byte_box_tile(t, y1 - y0, n, to, out_step, sink_for<float>(job, out_step, n, 0), [&](i64 from, i64 until) {
                if (!at_once) gather.rows(rows, from, until);
            });
        else
            return box_tile(t, y1 - y0, n, to, out_step, sink_for<T>(job, out_step, n, 0));
    }
    Sink<T> sink = sink_for<T>(job, out_step, n, first), nowhere = sink;
    nowhere.kind = Kind::none;
    sink.pitch *= step;
    // Sums of these can leave their range where the result does not.
    const bool watched = needs_range<T>(job) && may_leave_range(job);
    bool spoilt = false;
    if constexpr (sizeof(T) > 2) spoilt = job.weights.sparse && !rows_finite(t);
    for (i64 o = 0; o < outputs; ++o)
        for (i64 g = 0; g < groups; ++g)
            for (i64 y = y0 + g, R = 0; y < y1; y += R * step) {
                R = most;
                if (low && (y1 - y <= kFewRows || y1 - y == 2 * kFewRows)) R = kFewRows;
                // Too few rows for a block: some of those above once more, to the same bits.
                if (step == 1 && y + R > y1 && y1 - y0 >= R) y = y1 - R;
                R = min64(R, (y1 - y + step - 1) / step);
                since += R * n * job.y.taps * job.x.taps * s.channels;
                if (since > kPatience) {
                    if (job.stopped()) return;
                    since = 0;
                }
                char* to = out + job.out_offset(o) + y * job.out.row_stride + x0 * out_step;
                if (!at_once) gather.rows(rows, y - y0, y - y0 + R);
                if (sink.kind != Kind::none && (R == kRows || (low && R == kFewRows))) {
                    typename Vec<T>::type wrong = {};
                    if (watched) sink.wrong = &wrong;
                    sink.to = to;
                    strip(t, first + o, y - y0, R, n, sink);
                    if (!sink.wrong || all_zero<T>(wrong)) continue;
                }
                strip(t, first + o, y - y0, R, n, nowhere);
                for (i64 r = 0; r < R; ++r) {
                    if constexpr (sizeof(T) > 2)
                        if (spoilt) spoil(t, y - y0, r, n);
                    if constexpr (sizeof(T) > 2)
                        if (needs_range<T>(job) && !all_finite(sums + r * t.pitch, n) && may_overflow(t, y - y0, R))
                            widen(t, first + o, (y - y0) * job.y.stride + r * job.y.dilation, sums + r * t.pitch, n);
                    store_sums(job, to + r * step * job.out.row_stride, out_step, sums + r * t.pitch, n, first + o);
                }
            }
}

}}  // namespace corr2d::CORR2D_ISA
