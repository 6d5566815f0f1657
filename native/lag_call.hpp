// The binding of lag sums: stacks of planes in, rectangles of sums out.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "buffers.hpp"
#include "fourier.hpp"
#include "gate.hpp"
#include "isa.hpp"
#include "lag_job.hpp"
#include "pool.hpp"

namespace corr2d {
namespace {

struct LagCall {
    LagJob job;
    const Isa* isa = chosen_isa();
    std::atomic<bool> out_of_memory{false};
    static void task(void* context, i64 index) {
        LagCall& call = *static_cast<LagCall*>(context);
        static thread_local Memory arena;
        if (char* memory = arena.at_least(call.job.arena_bytes))
            call.isa->lag_band(call.job, index, memory);
        else
            call.out_of_memory = true;
    }
};

constexpr i64 kBriefProducts = 400'000;  // about 20 microseconds

void lag_sums(nb::handle a, nb::handle b, nb::handle out, double a_origin, double b_origin, bool single, int threads) {
    Buffer first(a, false, false), second(b, false, false), to(out, true, false);
    LagCall call;
    LagJob& job = call.job;
    job.a = first.view;
    job.b = second.view;
    job.a_origin = a_origin;
    job.b_origin = b_origin;
    job.single = single;
    job.lag_rows = job.b.rows - job.a.rows + 1;
    job.lag_cols = job.b.cols - job.a.cols + 1;
    const View& sums = to.view;
    if (job.a.lead != job.b.lead || sums.lead || sums.dtype != DType::f64 || sums.col_stride != 8 || sums.row_stride != 8 * sums.cols)
        throw std::invalid_argument("two stacks of planes, and contiguous float64 for their sums");
    if (job.lag_rows < 1 || job.lag_cols < 1 || sums.rows != job.lag_rows || sums.cols != job.lag_cols)
        throw std::invalid_argument("b is larger than a by the lags less one");
    job.planes = 1;
    for (int i = 0; i < job.a.lead; ++i) {
        if (job.a.shape[i] != job.b.shape[i]) throw std::invalid_argument("a and b differ in their planes");
        job.planes *= job.a.shape[i];
    }
    const i64 lags = job.lag_rows * job.lag_cols;
    double* total = reinterpret_cast<double*>(sums.data);
    std::fill(total, total + lags, 0.0);
    if (job.planes == 0 || job.a.rows == 0 || job.a.cols == 0) return;
    call.isa->lag_block(job);
    std::vector<double> partial(static_cast<std::size_t>(job.bands * lags));
    job.partial = partial.data();
    const bool brief = job.bands == 1 && job.planes * job.b.rows * job.b.cols < kBriefProducts && job.planes * job.a.rows * job.a.cols * lags < kBriefProducts;
    job.stopped = brief ? &never : &Pool::stopped;
    bool finished = true;
    if (brief) {
        LagCall::task(&call, 0);
    } else {
        const Inside inside;
        nb::gil_scoped_release release;
        finished = Pool::shared().run(job.bands, std::max(1, threads), &LagCall::task, &call, &signal_came);
    }
    if (!finished) throw nb::python_error();
    if (call.out_of_memory) throw std::bad_alloc();
    for (i64 band = 0; band < job.bands; ++band)  // in order, whoever summed them
        for (i64 i = 0; i < lags; ++i) total[i] += partial[static_cast<std::size_t>(band * lags + i)];
}

struct SpectraCall {
    LagSpectra job;
    const Isa* isa = chosen_isa();
    std::size_t bytes = 0;
    std::atomic<bool> out_of_memory{false};
    static void task(void* context, i64 index) {
        SpectraCall& call = *static_cast<SpectraCall*>(context);
        Memory arena;  // megabytes: not kept
        if (char* memory = arena.at_least(call.bytes))
            call.isa->lag_spectra_band(call.job, index, memory);
        else
            call.out_of_memory = true;
    }
};

constexpr i64 kMostSpectra = 16;  // bands, each of which ends with transforms back
constexpr i64 kLongest = 2048;    // transform

void lag_spectra(const std::vector<nb::object>& firsts, nb::handle b, nb::handle out, const std::vector<double>& a_origins, double b_origin,
                 std::pair<i64, i64> size, int threads) {
    Buffer second(b, false, false), to(out, true, false);
    std::vector<std::unique_ptr<Buffer>> buffers;
    std::vector<View> views;
    SpectraCall call;
    LagSpectra& job = call.job;
    job.b = second.view;
    i64 rows = 0, cols = 0;
    job.lag_rows = job.lag_cols = 1;
    for (const nb::object& a : firsts) {
        const View& view = buffers.emplace_back(std::make_unique<Buffer>(a, false, false))->view;
        if (view.lead || job.b.lead || view.rows > job.b.rows || view.cols > job.b.cols) throw std::invalid_argument("planes, none larger than b");
        views.push_back(view);
        rows = std::max(rows, view.rows);
        cols = std::max(cols, view.cols);
        job.lag_rows = std::max(job.lag_rows, job.b.rows - view.rows + 1);
        job.lag_cols = std::max(job.lag_cols, job.b.cols - view.cols + 1);
    }
    job.firsts = static_cast<i64>(views.size());
    const View& sums = to.view;
    const bool whole = sums.dtype == DType::f64 && sums.col_stride == 8 && sums.row_stride == 8 * sums.cols && sums.lead == 1 &&
                       sums.stride[0] == sums.row_stride * sums.rows;
    if (!whole || sums.shape[0] != job.firsts || sums.rows != job.lag_rows || sums.cols != job.lag_cols || a_origins.size() != views.size())
        throw std::invalid_argument("contiguous float64 for the sums of each a");
    const auto [ny, nx] = size;
    if (!is_transform_length(ny, kLongest) || !is_transform_length(nx, kLongest)) throw std::invalid_argument("no transform of this length");
    if (ny < job.lag_rows || nx < job.lag_cols) throw std::invalid_argument("more lags than the transform has points");
    job.a = views.data();
    job.a_origins = a_origins.data();
    job.b_origin = b_origin;
    std::vector<double> factors;
    job.y = passes(ny, factors);
    job.x = passes(nx, factors);
    point(job.x, point(job.y, static_cast<const double*>(factors.data())));
    job.step_y = ny - job.lag_rows + 1;
    job.step_x = nx - job.lag_cols + 1;
    job.across = (cols + job.step_x - 1) / job.step_x;
    job.tiles = (rows + job.step_y - 1) / job.step_y * job.across;
    const i64 pairs = (job.tiles + 1) / 2, lags = job.firsts * job.lag_rows * job.lag_cols;
    double* total = reinterpret_cast<double*>(sums.data);
    std::fill(total, total + lags, 0.0);
    if (!pairs || !lags) return;
    job.run = (pairs + kMostSpectra - 1) / kMostSpectra;
    job.bands = (pairs + job.run - 1) / job.run;
    std::vector<double> partial(static_cast<std::size_t>(job.bands * lags));
    job.partial = partial.data();
    job.stopped = &Pool::stopped;
    call.bytes = call.isa->lag_spectra_bytes(job);
    bool finished;
    {
        const Inside inside;
        nb::gil_scoped_release release;
        finished = Pool::shared().run(job.bands, std::max(1, threads), &SpectraCall::task, &call, &signal_came);
    }
    if (!finished) throw nb::python_error();
    if (call.out_of_memory) throw std::bad_alloc();
    for (i64 band = 0; band < job.bands; ++band)  // in order, whoever summed them
        for (i64 i = 0; i < lags; ++i) total[i] += partial[static_cast<std::size_t>(band * lags + i)];
}

}  // namespace
}  // namespace corr2d
