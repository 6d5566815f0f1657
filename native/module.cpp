// The binding: Python's buffers to a Job, checked once; no arithmetic here.
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <thread>

#include "buffers.hpp"
#include "exact.hpp"
#include "fourier.hpp"
#include "gate.hpp"
#include "isa.hpp"
#include "lag_call.hpp"
#include "pool.hpp"
#include "recall.hpp"

namespace nb = nanobind;

namespace corr2d {
namespace {

thread_local Memory memory;
constexpr std::size_t kMemory = 40u << 20;  // for all threads of a call

struct Call {
    Job job;
    void (*band)(const Job&, i64, char*);
    std::atomic<bool> out_of_memory{false};
    static void task(void* context, i64 index) {
        Call& call = *static_cast<Call*>(context);
        char* arena = memory.at_least(call.job.arena_bytes);
        if (!arena)
            call.out_of_memory = true;
        else
            call.band(call.job, index, arena);
    }
};

constexpr i64 kBriefTaps = 400'000;
constexpr i64 kByteSteps = 4;  // of a box over bytes: samples between taps that native/box_bytes.hpp knows

class Filter {
public:
    Filter(nb::handle weights, i64 outputs, i64 inputs, std::pair<i64, i64> size, bool mixing, std::optional<nb::object> column,
           std::optional<nb::object> row, int accumulator, int boundary, std::pair<i64, i64> before,
           std::pair<i64, i64> stride, std::pair<i64, i64> dilation, nb::handle fill, nb::handle bias, i64 group,
           std::pair<i64, i64> transform, int rounding, int places, bool box, bool taps, bool sparse, int across)
        : outputs_(outputs), inputs_(inputs), mixing_(mixing), accumulator_(static_cast<Accumulator>(accumulator)),
          boundary_(static_cast<Boundary>(boundary)),
          y_{0, 0, before.first, size.first, stride.first, dilation.first},
          x_{0, 0, before.second, size.second, stride.second, dilation.second},
          fill_(doubles(fill)), bias_(doubles(bias)), group_(group) {
        const std::vector<double> dense = doubles(weights);
        for (const Axis* a : {&y_, &x_})
            if (a->taps < 1 || a->stride < 1 || a->dilation < 1) throw std::invalid_argument("taps, stride and dilation start at 1");
        const i64 each = outputs * inputs * y_.taps * x_.taps;
        if (outputs < 1 || inputs < 1 || dense.empty() || static_cast<i64>(dense.size()) % each)
            throw std::invalid_argument("weights do not match their shape");
        banks_ = static_cast<i64>(dense.size()) / each;
        if (static_cast<i64>(bias_.size()) != banks_ * outputs || fill_.empty() || (mixing && static_cast<i64>(fill_.size()) != inputs))
            throw std::invalid_argument("one bias per output and one fill per input");
        if (accumulator < 0 || accumulator > 3 || boundary < 0 || boundary > 4) throw std::invalid_argument("unknown code");
        if (banks_ > 1 && (accumulator_ == Accumulator::u16 || column || box)) throw std::invalid_argument("this method takes one kernel");
        places_ = accumulator_ == Accumulator::u16 && !box ? places : 0;
        // A box over bytes sums them as they are; its weight comes afterwards.
        take(dense, accumulator_ == Accumulator::u16 && box ? Accumulator::f32 : accumulator_);
        const i64 kh = y_.taps, kw = x_.taps;
        if (column) {
            const std::vector<double> u = doubles(*column), v = doubles(*row);
            ranks_ = static_cast<i64>(u.size()) / y_.taps;
            if (ranks_ < 1 || static_cast<i64>(u.size()) != ranks_ * y_.taps || static_cast<i64>(v.size()) != ranks_ * x_.taps || mixing || group < 1)
                throw std::invalid_argument("factors do not match the kernel");
            if (across != 0 && (across != 1 || group < (x_.taps + 1) / 2)) throw std::invalid_argument("no such mirror image");
            across_ = across;
            double products = 0;  // partial sums may be larger than the kernel's weights tell
            for (i64 l = 0; l < ranks_; ++l) {
                double down = 0, along = 0;
                for (i64 i = 0; i < y_.taps; ++i) down += std::fabs(u[static_cast<std::size_t>(l * y_.taps + i)]);
                for (i64 j = 0; j < x_.taps; ++j) along += std::fabs(v[static_cast<std::size_t>(l * x_.taps + j)]);
                products += down * std::max(along, across_ ? 2.0 : 1.0);  // two sums are added before a weight comes
            }
            abs_sum_ = std::max(abs_sum_, products);
            column_.assign(u, accumulator_);
            row_.assign(v, accumulator_);
            method_ = Method::separable;
        } else if (transform.first) {
            if (mixing || outputs != 1 || rounding < 0 || rounding > 2) throw std::invalid_argument("only one kernel is transformed");
            method_ = Method::fft;
            prepare_transform(dense, transform, static_cast<Rounding>(rounding), places);
        } else if (box) {
            const bool unknown = accumulator_ == Accumulator::u16 && (kh > 257 || dilation.second > kByteSteps);
            if (mixing || stride != std::pair<i64, i64>(1, 1) || unknown) throw std::invalid_argument("no such box");
            method_ = Method::box;
            abs_sum_ = std::max(abs_sum_, static_cast<double>(kh * kw));  // the pixels are added up before the weight comes
        } else if (taps) {
            if (group < 1) throw std::invalid_argument("a chain has at least one tap");
            method_ = Method::taps;
            list_taps(dense, sparse);
        } else if (kh > 15 || !(group == kh || (group < kh && (group == 1 || group == 2 || group == 4 || group == 5)))) {
            throw std::invalid_argument("no block for this group of kernel rows");
        } else if (across) {
            if (mixing || kh < 3 || std::abs(across) != 1) throw std::invalid_argument("no such mirror image");
            across_ = across;
            abs_sum_ = std::max(abs_sum_, 2.0);  // two pixels are added before a weight comes
        }
    }

    // The same filter with other weights and biases, where they may be summed as these are; else nothing. With
    // those that it was renewed with: itself.
    const Filter* renewed(nb::handle weights, std::optional<nb::object> bias) const {
        if (method_ != Method::direct || across_ || accumulator_ == Accumulator::u16 || accumulator_ == Accumulator::i128) return nullptr;
        std::vector<char> given;
        append_bytes(given, weights);
        if (bias) append_bytes(given, *bias);
        if (given == given_) return this;
        const std::vector<double> dense = doubles(weights);
        std::vector<double> biases = bias ? doubles(*bias) : std::vector<double>(bias_.size());
        if (static_cast<i64>(dense.size()) != banks_ * outputs_ * inputs_ * y_.taps * x_.taps || biases.size() != bias_.size())
            throw std::invalid_argument("weights do not match their shape");
        std::unique_ptr<Filter> other(new Filter(*this, dense, std::move(biases)));
        const double sum = other->abs_sum_;
        if (!std::all_of(dense.begin(), dense.end(), [](double w) { return std::isfinite(w); })) return nullptr;
        // Smaller or larger ones leave float's range where the result does not (engines/accuracy.py).
        if (accumulator_ == Accumulator::f32 && sum != 0 && !(sum > 0x1p-60 && sum < 0x1p60)) return nullptr;
        other->given_ = std::move(given);
        return other.release();
    }

    void run(nb::handle image, nb::handle out, bool image_bfloat, bool out_bfloat, int threads, i64 stream_bytes, bool add) const {
        Buffer in(image, false, image_bfloat), to(out, true, out_bfloat);
        compute(in.view, in.itemsize(), to.view, to.itemsize(), threads, stream_bytes, add);
    }

    void compute(const View& in, i64 in_item, const View& out, i64 out_item, int threads, i64 stream_bytes, bool add = false) const {
        Call call;
        Job& job = call.job;
        job.method = method_;
        job.accumulator = accumulator_;
        job.boundary = boundary_;
        job.add = add;
        if (add && (method_ != Method::fft || out.dtype != (accumulator_ == Accumulator::f32 ? DType::f32 : DType::f64)))
            throw std::invalid_argument("only sums in out's own type are added to it");
        job.group = group_;
        job.across = across_;
        job.transform = transform_;
        if (accumulator_ == Accumulator::u16 && method_ == Method::box && in.dtype != DType::u8 && in.dtype != DType::b1)
            throw std::invalid_argument("sums of bytes are of bytes");
        if (accumulator_ == Accumulator::u16 && method_ != Method::box) job.integers = integers(in.dtype, out.dtype);
        job.weights = {banks_, outputs_, inputs_, mixing_, dense_.data(), wide_.data(), abs_sum_, ranks_, column_.data(), row_.data(),
                       taps_.data(), static_cast<i64>(taps_.size()), listed_.data(), sparse_, fill_.data(),
                       static_cast<i64>(fill_.size()), bias_.data()};
        job.in = in;
        job.out = out;
        job.y = y_;
        job.x = x_;
        job.y.in = job.in.rows;
        job.x.in = job.in.cols;
        job.y.out = job.out.rows;
        job.x.out = job.out.cols;
        job.lanes = 1;
        job.in_parts = job.out_parts = 1;
        job.in_channel = job.out_channel = job.in_part = job.out_part = 0;
        if (job.in.lead != job.out.lead || job.in.lead < 2 * mixing_) throw std::invalid_argument("image and out differ in their axes");
        if (mixing_) {
            const int c = job.in.lead - 2;
            job.in_parts = job.in.shape[c + 1];
            job.out_parts = job.out.shape[c + 1];
            if (job.in.shape[c] * job.in_parts != inputs_ || job.out.shape[c] * job.out_parts != outputs_)
                throw std::invalid_argument("channels do not match the kernel");
            job.in_channel = job.in.stride[c];
            job.in_part = job.in.stride[c + 1];
            job.out_channel = job.out.stride[c];
            job.out_part = job.out.stride[c + 1];
            job.in.lead -= 2, job.out.lead -= 2;
        }
        for (int a = 0; a < job.in.lead; ++a)
            if (job.in.shape[a] != job.out.shape[a]) throw std::invalid_argument("image and out differ in their leading axes");
        if (job.out.dtype == DType::b1 || job.out.swapped) throw std::invalid_argument("out has a sample type that is not written");
        merge_lanes(job, in_item, out_item);
        job.planes = 1;
        for (int a = 0; a < job.in.lead; ++a) job.planes *= job.in.shape[a];
        if (job.planes % banks_) throw std::invalid_argument("planes do not match the kernels");
        if (job.planes == 0 || job.lanes == 0 || job.y.out == 0 || job.x.out == 0) return;
        if (boundary_ != Boundary::constant && (job.y.in == 0 || job.x.in == 0))
            throw std::invalid_argument("an empty image has no border pixels to extend");
        const i64 out_bytes = job.planes * job.lanes * job.y.out * job.x.out * out_item;
        const bool brief = threads <= 1 && is_brief(job);
        job.stopped = brief ? &never : &Pool::stopped;
        job.stream = out_bytes >= stream_bytes;
        if (threads < 1) threads = 1;
        if (accumulator_ == Accumulator::i128) {
            exact::block(job, threads);
            call.band = &exact::band;
        } else {
            isa_->block(job, threads);
            call.band = isa_->band;
        }
        // Many threads with large tiles would take more memory than the calls may.
        threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(threads), 1 + (kMemory - std::min(kMemory, spectrum_.size)) / job.arena_bytes));
        bool finished = true;
        if (brief) {
            for (i64 i = 0; i < job.planes * job.bands; ++i) Call::task(&call, i);
        } else {
            const Inside inside;
            nb::gil_scoped_release release;
            finished = Pool::shared().run(job.planes * job.bands, threads, &Call::task, &call, &signal_came);
        }
        if (!finished) throw nb::python_error();
        if (call.out_of_memory) throw std::bad_alloc();
    }

    std::size_t bytes() const {
        return dense_.bytes() + column_.bytes() + row_.bytes() + listed_.bytes() + twiddles_.bytes() + spectrum_.size +
               wide_.size() * sizeof(double) + taps_.size() * sizeof(Tap) + given_.size();
    }

private:
    Filter(const Filter& like, const std::vector<double>& dense, std::vector<double> bias)
        : isa_(like.isa_), banks_(like.banks_), outputs_(like.outputs_), inputs_(like.inputs_), mixing_(like.mixing_),
          method_(like.method_), accumulator_(like.accumulator_), boundary_(like.boundary_), y_(like.y_), x_(like.x_),
          fill_(like.fill_), bias_(std::move(bias)), group_(like.group_) {
        take(dense, accumulator_);
    }

    // The weights, kernel by kernel, in the order of the sums and a type.
    void take(const std::vector<double>& dense, Accumulator type) {
        std::vector<double> transposed(dense.size());
        const i64 kh = y_.taps, kw = x_.taps, taps = inputs_ * kh * kw;
        for (i64 k = 0; k < banks_ * outputs_ * inputs_; ++k)
            for (i64 i = 0; i < kh; ++i)
                for (i64 j = 0; j < kw; ++j)
                    transposed[static_cast<std::size_t>(k * kh * kw + j * kh + i)] =
                        dense[static_cast<std::size_t>(k * kh * kw + i * kw + j)];
        if (type == Accumulator::u16)
            for (double& w : transposed) (w = std::ldexp(w, places_)) > 0 ? positive_ += static_cast<i64>(w) : negative_ += static_cast<i64>(w);
        dense_.assign(transposed, type);
        for (i64 o = 0; o < banks_ * outputs_; ++o) {
            double sum = 0;
            for (i64 k = 0; k < taps; ++k) sum += std::fabs(dense[static_cast<std::size_t>(o * taps + k)]);
            abs_sum_ = std::max(abs_sum_, sum);
        }
        if (accumulator_ == Accumulator::f32) wide_ = std::move(transposed);
    }

    // Work of less than about 20 microseconds: handing the GIL over and looking for signals
    // would cost a tenth of it.
    bool is_brief(const Job& job) const {
        if (method_ == Method::fft || accumulator_ == Accumulator::i128) return false;
        const i64 taps = method_ == Method::separable ? y_.taps + x_.taps : method_ == Method::taps ? 4 * job.weights.count : inputs_ * y_.taps * x_.taps;
        const i64 pixels = job.y.in * job.x.in * inputs_, outputs = job.y.out * job.x.out * outputs_;
        const i64 planes = job.planes * job.lanes;
        // Each factor is small before they are multiplied: a broadcast image may be of any size.
        return taps < kBriefTaps && planes < kBriefTaps && outputs < kBriefTaps && pixels < kBriefTaps &&
               planes * (outputs * (taps + 8) + 8 * pixels) < kBriefTaps;
    }

    // How sums modulo 2^16 of these samples are read and rounded to those.
    Integers integers(DType in, DType out) const {
        const i64 least = in == DType::s8 ? -128 : 0, most = in == DType::u8 ? 255 : in == DType::s8 ? 127 : 1;
        const i64 lowest = positive_ * least + negative_ * most, highest = positive_ * most + negative_ * least;
        if (highest - lowest > 65535) throw std::invalid_argument("sums may leave 16 bits");
        i64 low = 0, high = 0;  // what the output's type holds
        switch (out) {
            case DType::u8: high = 255; break;
            case DType::s8: low = -128, high = 127; break;
            case DType::u16: high = 65535; break;
            case DType::s16: low = -32768, high = 32767; break;
            default: break;
        }
        const i64 floor = std::max(lowest, low), ceiling = std::min(highest, high << places_);
        const bool narrow = floor <= ceiling && (places_ == 0 || (places_ <= 8 && floor >= 0 && low == 0 && ceiling + 128 <= 65535));
        auto sixteen = [](i64 x) { return static_cast<std::uint16_t>(x); };
        const float scale = std::ldexp(1.0f, -places_);
        return {sixteen(lowest), sixteen(floor - lowest), sixteen(ceiling - lowest), places_, narrow, scale, static_cast<float>(lowest) * scale};
    }

    // Every tap, or those that are not zero for some output: the weights of each output in turn.
    void list_taps(const std::vector<double>& weights, bool sparse) {
        const i64 kh = y_.taps, kw = x_.taps, size = inputs_ * kh * kw;
        auto weight = [&](i64 o, const Tap& t) { return weights[static_cast<std::size_t>(o * size + (t.c * kh + t.i) * kw + t.j)]; };
        for (i64 c = 0; c < inputs_; ++c)
            for (i64 j = 0; j < kw; ++j)
                for (i64 i = 0; i < kh; ++i) {
                    const Tap tap{c, i, j};
                    bool used = !sparse;
                    for (i64 o = 0; o < banks_ * outputs_ && !used; ++o) used = weight(o, tap) != 0;
                    if (used) taps_.push_back(tap);
                }
        sparse_ = static_cast<i64>(taps_.size()) < size;
        if (taps_.empty()) taps_.push_back({0, 0, 0});
        std::vector<double> listed;
        for (i64 o = 0; o < banks_ * outputs_; ++o)
            for (const Tap& tap : taps_) listed.push_back(weight(o, tap));
        listed_.assign(listed, accumulator_);
    }

    // The kernel's spectrum, in double and rounded once.
    void prepare_transform(const std::vector<double>& weights, std::pair<i64, i64> size, Rounding rounding, int places) {
        const auto [ny, nx] = size;
        if (!is_transform_length(ny, 1024) || !is_transform_length(nx, 1024)) throw std::invalid_argument("no transform of this length");
        if (y_.span() >= ny || x_.span() >= nx) throw std::invalid_argument("the kernel is larger than the transform");
        std::vector<double> factors, scaled = weights;
        transform_ = {passes(ny, factors), passes(nx, factors), nullptr, 0, rounding, places};
        std::frexp(abs_sum_, &transform_.exponent);
        if (std::abs(transform_.exponent) <= 40) transform_.exponent = 0;  // no product of tile and spectrum leaves float's range
        for (double& w : scaled) w = std::ldexp(w, -transform_.exponent);
        const bool single = accumulator_ == Accumulator::f32;
        Memory work;
        char* space = work.at_least(isa_->spectrum_bytes(ny, nx));
        const i64 each = 2 * ny * nx * (single ? 4 : 8);
        transform_.spectrum = spectrum_.at_least(static_cast<std::size_t>(banks_ * each));
        if (!space || !transform_.spectrum) throw std::bad_alloc();
        point(transform_.x, point(transform_.y, static_cast<const double*>(factors.data())));
        for (i64 b = 0; b < banks_; ++b)
            isa_->spectrum(transform_, y_, x_, scaled.data() + b * y_.taps * x_.taps, single, space, spectrum_.data + b * each);
        twiddles_.assign(factors, accumulator_);
        if (single)
            point(transform_.x, point(transform_.y, static_cast<const float*>(twiddles_.data())));
        else
            point(transform_.x, point(transform_.y, static_cast<const double*>(twiddles_.data())));
    }

    // Trailing axes whose samples lie between the pixels of a row, in both arrays, are
    // filtered as one wide row: RGB, and the real and imaginary parts of complex pixels.
    void merge_lanes(Job& job, i64 in_item, i64 out_item) const {
        if (mixing_ || banks_ > 1 || x_.stride != 1 || accumulator_ == Accumulator::i128 || method_ == Method::fft) return;
        i64 lanes = 1;
        for (int a = job.in.lead - 1; a >= 0; --a) {
            if (job.in.shape[a] != 1) {
                if (job.in.stride[a] != lanes * in_item || job.out.stride[a] != lanes * out_item) return;
                lanes *= job.in.shape[a];
            }
            if (lanes > 256 || (method_ == Method::box && accumulator_ == Accumulator::u16 && lanes * x_.dilation > kByteSteps)) return;
            if (lanes > 1 && job.in.col_stride == lanes * in_item && job.out.col_stride == lanes * out_item) {
                job.lanes = lanes;
                job.in.lead = job.out.lead = a;
                return;
            }
        }
    }

    const Isa* isa_ = chosen_isa();  // the order of a spectrum is that of its vectors
    i64 banks_ = 1, outputs_, inputs_;
    bool mixing_;
    Method method_ = Method::direct;
    Accumulator accumulator_;
    Boundary boundary_;
    Axis y_, x_;
    std::vector<double> fill_, bias_, wide_;
    std::vector<char> given_;  // what `renewed` made it of
    double abs_sum_ = 0;
    i64 group_, ranks_ = 0;
    int across_ = 0;
    Store dense_, column_, row_, listed_, twiddles_;
    Memory spectrum_;
    std::vector<Tap> taps_;
    bool sparse_ = false;
    Transform transform_{};
    int places_ = 0;  // u16: binary places of the weights, and the sums of either sign
    i64 positive_ = 0, negative_ = 0;
};

}  // namespace

const void* filter_of(PyObject* object) {
    return nb::isinstance<Filter>(object) ? nb::inst_ptr<Filter>(object) : nullptr;
}

std::size_t filter_bytes(const void* filter) { return static_cast<const Filter*>(filter)->bytes(); }

bool run_filter(const void* filter, const View& in, i64 in_item, const View& out, i64 out_item, int threads, i64 stream_bytes) {
    try {
        static_cast<const Filter*>(filter)->compute(in, in_item, out, out_item, threads, stream_bytes);
        return true;
    } catch (nb::python_error& error) {
        error.restore();
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const std::exception& error) {
        PyErr_SetString(PyExc_ValueError, error.what());
    }
    return false;
}

}  // namespace corr2d

NB_MODULE(_native, m) {
    using namespace corr2d;
    nb::set_leak_warnings(false);  // plans kept until the end are no leak, and users need not read of them
    m.doc() = "corr2d's compiled arithmetic (private)";
    nb::class_<Filter>(m, "Filter")
        .def(nb::init<nb::handle, i64, i64, std::pair<i64, i64>, bool, std::optional<nb::object>, std::optional<nb::object>, int, int,
                      std::pair<i64, i64>, std::pair<i64, i64>, std::pair<i64, i64>, nb::handle, nb::handle, i64, std::pair<i64, i64>, int, int, bool, bool, bool, int>(),
             nb::arg("weights"), nb::arg("outputs"), nb::arg("inputs"), nb::arg("size"), nb::arg("mixing"), nb::arg("column").none(),
             nb::arg("row").none(), nb::arg("accumulator"), nb::arg("boundary"), nb::arg("before"), nb::arg("stride"),
             nb::arg("dilation"), nb::arg("fill"), nb::arg("bias"), nb::arg("group"), nb::arg("transform"), nb::arg("rounding"), nb::arg("places"),
             nb::arg("box"), nb::arg("taps"), nb::arg("sparse"), nb::arg("across"))
        .def("run", &Filter::run, nb::arg("image"), nb::arg("out"), nb::arg("image_bfloat"), nb::arg("out_bfloat"), nb::arg("threads"),
             nb::arg("stream_bytes"), nb::arg("add") = false)
        .def("renewed", &Filter::renewed, nb::arg("weights"), nb::arg("bias").none(), nb::rv_policy::take_ownership);
    if (!add_recall(m.ptr())) throw nb::python_error();
    m.def("isa", [] { return std::string(chosen_isa()->name); });
    m.def("available_isas", [] {
        std::vector<std::string> names;
        for (const Isa* isa : available_isas()) names.emplace_back(isa->name);
        return names;
    });
    m.def("use_isa", [](const std::string& name) {
        for (const Isa* isa : available_isas())
            if (name == isa->name) {
                chosen_isa() = isa;
                return;
            }
        throw std::invalid_argument("this machine does not run " + name);
    });
    m.def("lag_sums", &lag_sums, nb::arg("a"), nb::arg("b"), nb::arg("out"), nb::arg("a_origin"), nb::arg("b_origin"), nb::arg("single"),
          nb::arg("threads"));
    m.def("lag_spectra", &lag_spectra, nb::arg("firsts"), nb::arg("b"), nb::arg("out"), nb::arg("a_origins"), nb::arg("b_origin"), nb::arg("size"),
          nb::arg("threads"));
    m.def("fma_rate", [](double seconds) { return chosen_isa()->fma_rate(seconds); }, nb::call_guard<nb::gil_scoped_release>());
    pthread_atfork(nullptr, nullptr, [] { gate.reset(); });
    m.def("enter", [] { gate.enter(); });
    m.def("leave", [] { gate.leave(); });
    m.def("lend_team", [](std::uintptr_t address) { Pool::lend(reinterpret_cast<Pool::Parallel>(address)); }, nb::arg("address"));
    m.def("join_team", &Pool::join_team, nb::arg("threads"));
    m.def("shutdown", [] {
        gate.close();
        Pool::shared().shutdown();
    }, nb::call_guard<nb::gil_scoped_release>());
}
