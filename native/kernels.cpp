// The arithmetic, compiled once per instruction set (CORR2D_ISA names the namespace).
// It cuts the output into bands (what a thread takes) and tiles (what stays in cache).
#include "box.hpp"
#include "direct.hpp"
#include "overlap_save.hpp"
#include "pace.hpp"
#include "separable.hpp"
#include "store.hpp"

#define CORR2D_TEXT2(x) #x
#define CORR2D_TEXT(x) CORR2D_TEXT2(x)

namespace corr2d { namespace CORR2D_ISA {

template <class T>
static constexpr DType own_dtype = sizeof(T) == 4 ? DType::f32 : DType::f64;  // not asked of 16-bit sums

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
    return job.y.stride == 1 && job.y.dilation == 1 && !job.weights.mixing && !job.weights.sparse && job.method != Method::box;
}

template <class T>
static Sizes sizes(const Job& job, i64 band_rows, i64 tile_cols, bool in_place) {
    Sizes s;
    const i64 pixels = (tile_cols + job.lanes - 1) / job.lanes;
    s.layout = row_layout(job.x, pixels);
    s.columns = round_up(tile_cols, Vec<T>::lanes * kVectors);
    const i64 row = in_place ? tile_cols + job.x.span() * job.lanes : s.layout.pixels() * job.lanes;
    s.pitch = row_pitch<T>(row + Vec<T>::lanes * 8);
    s.table_rows = (band_rows - 1) * job.y.stride + job.y.span() + 1;
    s.scratch_rows = in_place ? 0 : min64(s.table_rows, in_strips(job) ? kRows - 1 + job.y.taps : band_rows * job.y.taps);
    s.channels = job.weights.mixing ? job.weights.inputs : 1;
    return s;
}

// Samples between lines: rows summed along the columns, and for box two blocks behind them.
template <class T>
static i64 line_pitch(const Job& job, const Sizes& s) {
    return row_pitch<T>(s.pitch + (job.method == Method::box ? 2 * kVectors * Vec<T>::lanes : 0));
}

// Samples of all lines; box keeps those of a whole band, one to work on and a ring of rows.
template <class T>
static i64 line_samples(const Job& job, const Sizes& s, i64 band_rows) {
    if (job.method == Method::box) return (band_rows + 1) * line_pitch<T>(job, s) + ring_vectors(job.y.taps, kVectors) * Vec<T>::lanes;
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

    const bool box = job.method == Method::box;
    const i64 scratch = (box ? 640 : 384) * 1024;  // of the second-level cache; a box goes over it but twice
    constexpr i64 kArena = 16 * 1024 * 1024;
    // A row of a tile is done within a fraction of a second, for signals are heard between rows.
    constexpr i64 kTapsPerRow = 400'000'000;
    const i64 whole = Vec<T>::lanes * job.lanes;  // tiles are whole vectors of whole pixels
    // The lines of separable kernels share the first-level cache with the rows.
    const i64 cols = job.method == Method::separable || box ? 512 : job.in_place_rows && job.method == Method::direct ? 2048 : 1024;
    // ... and interleaved ones whole blocks, so that each begins where stores past the cache are aligned.
    job.tile_cols = round_up(min64(width, cols), width > cols && job.lanes > 1 ? whole * kVectors : whole);
    if (job.method == Method::taps) job.tile_cols = round_up(min64(job.tile_cols, max64(1, kTapsPerRow / job.weights.count)), whole);
    i64 bands_wanted = job.planes >= 4 * threads ? 1 : (4 * threads + job.planes - 1) / job.planes;
    if (threads == 1) bands_wanted = 1;
    const i64 unit = kRows * job.y.dilation;
    i64 rows = min64(job.y.out, box ? max64(96, 2 * job.y.span()) : job.in_place_rows ? 96 : 64);  // a box begins each band anew
    rows = min64(rows, (job.y.out + bands_wanted - 1) / bands_wanted);
    // Bands of like height and whole strips: a rest of a few rows would cost as much as one.
    if (rows > 0) rows = (job.y.out + (job.y.out + rows - 1) / rows - 1) / ((job.y.out + rows - 1) / rows);
    rows = max64(1, rows > unit ? round_up(rows, unit) : rows);
    auto bytes = [&] {
        if (!job.in_place_rows) return arena_bytes<T>(job, rows, job.tile_cols, false);
        job.edge_cols = min64(job.tile_cols, round_up(job.x.span() * job.lanes, whole) + whole);
        return max64(arena_bytes<T>(job, rows, job.tile_cols, true), arena_bytes<T>(job, rows, job.edge_cols, false));
    };
    while (bytes() > scratch && job.tile_cols > 256 * job.lanes) job.tile_cols = round_up(job.tile_cols / 2, whole);
    while (bytes() > 2 * scratch && rows > 2 * unit) rows = round_up(rows / 2, unit);
    while (bytes() > kArena && rows > 1) rows = (rows + 1) / 2;
    while (bytes() > kArena && job.tile_cols > whole) job.tile_cols = round_up(job.tile_cols / 2, whole);
    job.band_rows = rows;
    job.bands = (job.y.out + rows - 1) / rows;
    job.arena_bytes = static_cast<std::size_t>(bytes());
}

static void block(Job& job, int threads) {
    if (job.method == Method::fft)
        block_transform(job, threads);
    else if (job.accumulator == Accumulator::f32)
        block_as<float>(job, threads);
    else if (job.accumulator == Accumulator::u16)
        block_as<Sixteen>(job, threads);
    else
        block_as<double>(job, threads);
}

template <class T>
struct Tile {
    const Job& job;
    Rows<T> rows;
    const i64* offset;
    const T** taps;  // shifted rows
    T* sums;
    T* line;    // separable: rows summed along the columns
    i64 pitch;  // of sums
    i64 line_pitch;
    bool room;   // behind the rows
    bool ahead;  // rows are known before their strip
};

// One strip of R output rows (y, y + dilation, ...) of a tile, for output channel o.
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
            direct_strip<T>({t.rows.table + c * t.rows.rows + top, job.y.dilation, t.offset, kh, kw, job.group, w + c * kh * kw,
                             t.sums, t.pitch, c > 0, t.room, ahead, sink},
                            R, n);
        return;
    }
    if constexpr (sizeof(T) > 2) {
    if (job.method == Method::separable)
        return separable_strip<T>({t.rows.table + top, job.y.dilation, t.offset, kh, kw, job.weights.ranks, job.group,
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

static inline bool all_finite(const float* p, i64 n) {
    std::uint32_t bad = 0;
    for (i64 i = 0; i < n; ++i) {
        std::uint32_t b;
        __builtin_memcpy(&b, p + i, 4);
        bad |= (b & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}

template <class T>
static inline bool all_zero(const typename Vec<T>::type (&v)[kVectors]) {
    T sums[Vec<T>::lanes];
    auto sum = v[0];
    for (int u = 1; u < kVectors; ++u) sum += v[u];
    store(sums, sum);
    int other = 0;
    for (T x : sums) other |= x != T(0);
    return !other;
}

static inline bool is_finite(float x) { return all_finite(&x, 1); }

// Whether float sums of this strip can leave float's range though every pixel is finite.
static bool may_overflow(const Tile<float>& t, i64 y, i64 R) {
    const Job& job = t.job;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y * job.y.stride, rows = (R - 1 + job.y.taps - 1) * job.y.dilation + 1;
    float peak = 0;
    for (i64 c = 0; c < channels; ++c)
        for (i64 r = top; r < top + rows; ++r) {
            const float* row = t.rows.table[c * t.rows.rows + r];
            if (!row) continue;
            for (i64 i = 0; i < t.rows.pixels; ++i) {
                const float x = __builtin_fabsf(row[i]);
                if (x > peak && is_finite(x)) peak = x;
            }
        }
    return peak * job.weights.abs_sum >= 3e38;
}

// Outputs whose float sum is not finite, once more in double: a partial sum may have left
// float's range where the result does not. (Infinite and NaN pixels give the same again.)
static void widen(const Tile<float>& t, i64 o, i64 y, i64 r, i64 n) {
    const Job& job = t.job;
    const i64 kh = job.y.taps, kw = job.x.taps, channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y * job.y.stride + r * job.y.dilation;
    float* sums = t.sums + r * t.pitch;
    for (i64 x = 0; x < n; ++x) {
        if (is_finite(sums[x])) continue;
        const double* w = job.weights.wide + o * channels * kh * kw;
        double sum = 0;
        for (i64 c = 0; c < channels; ++c)
            for (i64 j = 0; j < kw; ++j)
                for (i64 i = 0; i < kh; ++i)
                    sum += *w++ * static_cast<double>(t.rows.table[c * t.rows.rows + top + i * job.y.dilation][x + t.offset[j]]);
        sums[x] = static_cast<float>(sum);
    }
}

template <class T>
static inline bool row_finite(const T* p, i64 n) {
    decltype(magnitude(T())) largest = 0;
    for (i64 i = 0; i < n; ++i) largest = magnitude(p[i]) > largest ? magnitude(p[i]) : largest;
    return largest < magnitude(static_cast<T>(__builtin_inf()));
}

template <class T>
static bool rows_finite(const Tile<T>& t) {
    for (i64 r = 0; r < t.rows.rows * (t.job.weights.mixing ? t.job.weights.inputs : 1); ++r)
        if (t.rows.table[r] && !row_finite(t.rows.table[r], t.rows.pixels)) return false;
    return true;
}

// A sparse kernel skips its zero taps; the definition multiplies them. So an output whose
// window holds a pixel that is not finite becomes NaN here, whichever tap the pixel is under.
template <class T>
static void spoil(const Tile<T>& t, i64 y, i64 r, i64 n) {
    const Job& job = t.job;
    const i64 channels = job.weights.mixing ? job.weights.inputs : 1;
    const i64 top = y * job.y.stride + r * job.y.dilation;
    for (i64 c = 0; c < channels; ++c)
        for (i64 i = 0; i < job.y.taps; ++i) {
            const T* row = t.rows.table[c * t.rows.rows + top + i * job.y.dilation];
            if (row_finite(row, t.rows.pixels)) continue;
            for (i64 j = 0; j < job.x.taps; ++j)
                for (i64 x = 0; x < n; ++x)
                    if (magnitude(row[x + t.offset[j]]) >= magnitude(static_cast<T>(__builtin_inf())))
                        t.sums[r * t.pitch + x] = static_cast<T>(__builtin_nan(""));
        }
}

// Whether sums may be other than finite: of float pixels, or where padding holds NaN.
static bool may_leave_range(const Job& job) {
    for (i64 c = 0; c < job.weights.fills; ++c)
        if (!(job.weights.fill[c] - job.weights.fill[c] == 0)) return true;
    return job.in.dtype >= DType::f16;
}

// Where blocks can put their sums themselves: contiguous samples of a type that they know.
template <class T>
static Sink<T> sink_for(const Job& job, i64 out_step, i64 n) {
    Sink<T> s{Kind::none, job.stream, nullptr, job.out.row_stride, 0, 0, &job.integers, nullptr};
    if (job.weights.mixing) return s;
    const bool whole = job.method == Method::direct ? fills_blocks<T>(job.y.taps, job.group, n)
                                                    : (job.method == Method::separable || job.method == Method::box) && n >= kVectors * Vec<T>::lanes;
    if (!whole) return s;
    if (job.weights.bias[0] != 0) return s;
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
    T *work = t.line + job.band_rows * t.line_pitch, *ring = work + t.line_pitch;
    for (i64 g = 0; g < min64(step, rows); ++g) {
        if (job.stopped()) return;
        box_columns_all(t.rows.table + g, step, (rows - g + step - 1) / step, t.rows.pixels, job.y.taps, weight, ring,
                        t.line + g * t.line_pitch, step * t.line_pitch);
    }
    Sink<T> nowhere = sink;
    nowhere.kind = Kind::none;
    for (i64 r = 0; r < rows; ++r, out += job.out.row_stride) {
        const T* line = t.line + r * t.line_pitch;
        const i64 along = tap_step(t.offset, job.x.taps);
        if (sink.kind != Kind::none) {
            typename Vec<T>::type wrong[kVectors] = {};
            if (may_leave_range(job)) sink.wrong = wrong;
            sink.to = out;
            box_row(line, work, n, job.x.taps, along, weight, t.sums, sink);
            if (!sink.wrong || all_zero<T>(wrong)) continue;
        }
        if (job.stopped()) return;
        box_row(line, work, n, job.x.taps, along, weight, t.sums, nowhere);
        if constexpr (sizeof(T) == 4)
            if (!all_finite(t.sums, n) && may_overflow(t, r, 1)) widen(t, 0, r, 0, n);
        store_sums(job, out, out_step, t.sums, n, 0);
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
    i64 since = 0;  // multiplications since signals were looked for
    Sink<T> sink = sink_for<T>(job, out_step, n), nowhere = sink;
    if constexpr (sizeof(T) > 2)
        if (job.method == Method::box) return box_tile(t, y1 - y0, n, out + y0 * job.out.row_stride + x0 * out_step, out_step, sink);
    nowhere.kind = Kind::none;
    sink.pitch *= step;
    bool spoilt = false;
    if constexpr (sizeof(T) > 2) spoilt = job.weights.sparse && !rows_finite(t);
    for (i64 o = 0; o < outputs; ++o)
        for (i64 g = 0; g < groups; ++g)
            for (i64 y = y0 + g; y < y1; y += most * step) {
                // Too few rows for a block: some of those above once more, to the same bits.
                if (step == 1 && y + most > y1 && y1 - y0 >= most) y = y1 - most;
                const i64 R = min64(most, (y1 - y + step - 1) / step);
                since += R * n * job.y.taps * job.x.taps * s.channels;
                if (since > kPatience) {
                    if (job.stopped()) return;
                    since = 0;
                }
                char* to = out + job.out_offset(o) + y * job.out.row_stride + x0 * out_step;
                if (!at_once) gather.rows(rows, y - y0, y - y0 + R);
                if (sink.kind != Kind::none && R == kRows) {
                    typename Vec<T>::type wrong[kVectors] = {};
                    // Sums of these can leave float's range where the result does not.
                    if (may_leave_range(job)) sink.wrong = wrong;
                    sink.to = to;
                    strip(t, o, y - y0, R, n, sink);
                    if (!sink.wrong || all_zero<T>(wrong)) continue;
                }
                strip(t, o, y - y0, R, n, nowhere);
                for (i64 r = 0; r < R; ++r) {
                    if constexpr (sizeof(T) > 2)
                        if (spoilt) spoil(t, y - y0, r, n);
                    if constexpr (sizeof(T) == 4)
                        if (!all_finite(sums + r * t.pitch, n) && may_overflow(t, y - y0, R)) widen(t, o, y - y0, r, n);
                    store_sums(job, to + r * step * job.out.row_stride, out_step, sums + r * t.pitch, n, o);
                }
            }
}

// How many samples from `x` on until rows of the output are aligned for stores past the
// cache: whole pixels; 0 where rows differ.
static i64 to_alignment(const Job& job, const char* out, i64 x) {
    const i64 size = job.out.col_stride / job.lanes;
    if (!job.stream || size < 1 || job.out.row_stride % kVectorBytes) return 0;
    for (i64 n = 0; n < kVectorBytes * job.lanes; n += job.lanes)
        if ((reinterpret_cast<std::uintptr_t>(out) + static_cast<std::uintptr_t>((x + n) * size)) % kVectorBytes == 0) return n;
    return 0;
}

template <class T>
static void band_as(const Job& job, i64 index, char* memory) {
    // Interleaved channels lie in the same cache lines: one after the other, while those are near.
    const bool together = job.method == Method::fft && job.in.lead == 1 && job.in.stride[0] < job.in.col_stride;
    const i64 which = together ? index % job.planes : index / job.bands, band = together ? index / job.planes : index % job.bands;
    i64 plane = which;
    const i64 y0 = band * job.band_rows, y1 = min64(y0 + job.band_rows, job.y.out);
    const char* in = job.in.data;
    char* out = job.out.data;
    for (int a = job.in.lead - 1; a >= 0; --a) {
        const i64 i = plane % job.in.shape[a];
        plane /= job.in.shape[a];
        in += i * job.in.stride[a];
        out += i * job.out.stride[a];
    }
    if constexpr (sizeof(T) > 2)
        if (job.method == Method::fft) return transform_pair<T>(job, which, in, out, band, memory);
    const LoadRun<T> run = load_run_for<T>(job.in.dtype, job.in.swapped);
    const i64 width = job.x.out * job.lanes;
    // Outputs [inner, outer) see no pixel beyond the sides: whole vectors of them are
    // computed from the image where it lies, the rest from small padded copies.
    i64 inner = 0, outer = 0;
    if (job.in_place_rows) {
        inner = min64(width, max64(0, job.x.before) * job.lanes);
        inner = min64(width, inner + to_alignment(job, out, inner));
        i64 reach = job.x.span() * job.lanes;
        if (job.method == Method::separable || job.method == Method::box) reach = round_up(reach, Vec<T>::lanes);  // sums the columns of whole vectors
        outer = min64(width, (job.in.cols + job.x.before) * job.lanes - reach);
        const i64 unit = Vec<T>::lanes * job.lanes;  // whole vectors and whole pixels
        outer = outer > inner ? inner + (outer - inner) / unit * unit : inner;
    }
    auto pieces = [&](i64 from, i64 until, bool in_place) {
        const i64 cols = job.in_place_rows && !in_place ? job.edge_cols : job.tile_cols;
        for (i64 x = from; x < until; x += cols)
            tile<T>(job, which, in, out, y0, y1, x, min64(cols, until - x), in_place, run, Arena{memory});
    };
    if (outer > inner) {
        pieces(0, inner, false);
        pieces(inner, outer, true);
        pieces(outer, width, false);
    } else {
        const i64 first = width > job.tile_cols ? to_alignment(job, out, 0) : 0;
        pieces(0, first, false);
        pieces(first, width, false);
    }
    if (job.stream) stream_fence();
}

static void band(const Job& job, i64 index, char* arena) {
    if (job.accumulator == Accumulator::f32)
        band_as<float>(job, index, arena);
    else if (job.accumulator == Accumulator::u16)
        band_as<Sixteen>(job, index, arena);
    else
        band_as<double>(job, index, arena);
}

}}  // namespace corr2d::CORR2D_ISA



namespace corr2d {
extern const Isa CORR2D_TABLE;
const Isa CORR2D_TABLE = {CORR2D_TEXT(CORR2D_ISA), &CORR2D_ISA::block, &CORR2D_ISA::band, &CORR2D_ISA::spectrum,
                           &CORR2D_ISA::spectrum_bytes, &CORR2D_ISA::fma_rate};
}  // namespace corr2d
