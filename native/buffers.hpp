// Memory from Python and for the arithmetic: buffers as views, weights in the accumulator's
// type, working memory that threads keep.
#pragma once
#include <nanobind/nanobind.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "filter.hpp"

namespace nb = nanobind;

namespace corr2d {
namespace {

// A Python buffer held open, described as a View.
class Buffer {
public:
    Buffer(nb::handle object, bool writable, bool bfloat) {
        const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (PyObject_GetBuffer(object.ptr(), &buffer_, flags)) throw nb::python_error();
        try {
            describe(bfloat);
        } catch (...) {
            PyBuffer_Release(&buffer_);
            throw;
        }
    }
    ~Buffer() { PyBuffer_Release(&buffer_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;

    i64 itemsize() const { return buffer_.itemsize; }
    View view;

private:
    void describe(bool bfloat) {
        if (buffer_.ndim < 2 || buffer_.ndim > kMaxDims) throw std::invalid_argument("expected 2 to 32 axes");
        view.data = static_cast<char*>(buffer_.buf);
        view.lead = buffer_.ndim - 2;
        for (int a = 0; a < buffer_.ndim; ++a) {
            view.shape[a] = buffer_.shape[a];
            view.stride[a] = buffer_.strides[a];
        }
        view.rows = view.shape[view.lead];
        view.cols = view.shape[view.lead + 1];
        view.row_stride = view.stride[view.lead];
        view.col_stride = view.stride[view.lead + 1];
        const char* f = buffer_.format ? buffer_.format : "B";
        bool foreign = false;
        for (; *f == '<' || *f == '>' || *f == '=' || *f == '@' || *f == '!' || *f == '^'; ++f) foreign |= *f == '>' || *f == '!';
        view.swapped = foreign && buffer_.itemsize > 1;  // this code is built for little-endian machines
        if (f[0] == 0 || f[1] != 0) throw std::invalid_argument("unsupported sample format");
        const i64 size = buffer_.itemsize;
        auto pick = [&](DType one, DType two, DType four, DType eight) {
            return size == 1 ? one : size == 2 ? two : size == 4 ? four : eight;
        };
        switch (*f) {
            case '?': view.dtype = DType::b1; break;
            case 'B': case 'H': case 'I': case 'L': case 'Q': case 'N':
                view.dtype = pick(DType::u8, DType::u16, DType::u32, DType::u64); break;
            case 'b': case 'h': case 'i': case 'l': case 'q': case 'n':
                view.dtype = pick(DType::s8, DType::s16, DType::s32, DType::s64); break;
            case 'e': view.dtype = DType::f16; break;
            case 'f': view.dtype = DType::f32; break;
            case 'd': view.dtype = DType::f64; break;
            default: throw std::invalid_argument("unsupported sample format");
        }
        if (bfloat) {
            if (size != 2) throw std::invalid_argument("bfloat16 samples have two bytes");
            view.dtype = DType::bf16;
        }
    }
    Py_buffer buffer_;
};

std::vector<double> doubles(nb::handle object) {
    Py_buffer b;
    if (PyObject_GetBuffer(object.ptr(), &b, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) throw nb::python_error();
    const char format = b.format ? b.format[0] : 'B';
    std::vector<double> copy;
    if (format == 'd') copy.assign(static_cast<double*>(b.buf), static_cast<double*>(b.buf) + b.len / 8);
    if (format == 'f') copy.assign(static_cast<float*>(b.buf), static_cast<float*>(b.buf) + b.len / 4);
    PyBuffer_Release(&b);
    if (format != 'd' && format != 'f') throw std::invalid_argument("weights must be contiguous float64 or float32");
    return copy;
}

// What was given, to tell whether it is given again: its type and its bytes.
void append_bytes(std::vector<char>& to, nb::handle object) {
    Py_buffer b;
    if (PyObject_GetBuffer(object.ptr(), &b, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) throw nb::python_error();
    to.push_back(b.format ? b.format[0] : 'B');
    const char* bytes = static_cast<const char*>(b.buf);
    to.insert(to.end(), bytes, bytes + b.len);
    PyBuffer_Release(&b);
}

// Weights in the accumulator's type.
class Store {
public:
    void assign(const std::vector<double>& from, Accumulator accumulator) {
        if (accumulator == Accumulator::f32) floats_.assign(from.begin(), from.end());
        if (accumulator == Accumulator::f64) doubles_ = from;
        if (accumulator == Accumulator::i128) integers_.assign(from.begin(), from.end());
        if (accumulator == Accumulator::u16)  // modulo 2^16
            for (double w : from) sixteens_.push_back(static_cast<std::uint16_t>(static_cast<i64>(w)));
    }
    const void* data() const {
        if (!floats_.empty()) return floats_.data();
        if (!doubles_.empty()) return doubles_.data();
        if (!sixteens_.empty()) return sixteens_.data();
        return integers_.data();
    }
    std::size_t bytes() const { return floats_.size() * 4 + doubles_.size() * 8 + integers_.size() * 8 + sixteens_.size() * 2; }

private:
    std::vector<float> floats_;
    std::vector<double> doubles_;
    std::vector<std::int64_t> integers_;
    std::vector<std::uint16_t> sixteens_;
};

// One thread's working memory, kept between calls.
struct Memory {
    char* data = nullptr;
    std::size_t size = 0;
    ~Memory() { std::free(data); }
    char* at_least(std::size_t wanted) {
        if (wanted > size) {
            std::free(data);
            size = 0;
            wanted = (wanted + 4095) / 4096 * 4096;
            data = static_cast<char*>(std::aligned_alloc(4096, wanted));
            if (data) size = wanted;
        }
        return data;
    }
};

}  // namespace
}  // namespace corr2d
