// The arithmetic, compiled once per instruction set (CORR2D_ISA names the namespace).
// A band is what a thread takes; it is computed tile by tile.
#include "lag_spectra.hpp"
#include "lags.hpp"
#include "overlap_save.hpp"
#include "pace.hpp"
#include "tile.hpp"

#define CORR2D_TEXT2(x) #x
#define CORR2D_TEXT(x) CORR2D_TEXT2(x)

namespace corr2d { namespace CORR2D_ISA {

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
    i64 which = index / job.bands, band = index % job.bands;
    // Interleaved channels are transformed one after the other, while their cache lines are near, and never
    // by two threads at a time, which would take the lines they write from one another.
    if (job.method == Method::fft && interleaved(job)) {
        const i64 first = index / (job.planes * job.workers) * job.workers, some = min64(job.workers, job.bands - first);
        const i64 turn = index - first * job.planes;  // among the channels of so many pairs of tiles
        which = turn / some;
        band = first + turn % some;
    }
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
                           &CORR2D_ISA::spectrum_bytes, &CORR2D_ISA::fma_rate, &CORR2D_ISA::lag_block, &CORR2D_ISA::lag_band,
                           &CORR2D_ISA::lag_spectra_band, &CORR2D_ISA::lag_spectra_bytes};
}  // namespace corr2d
