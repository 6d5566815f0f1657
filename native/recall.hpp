// Calls with the words of an earlier call: from Python's arguments straight to the filter.
#pragma once
#include <Python.h>

#include "filter.hpp"

namespace corr2d {

// What the binding knows of its filters.
const void* filter_of(PyObject* object);  // null: not a filter
std::size_t filter_bytes(const void* filter);
// False: a Python error is set.
bool run_filter(const void* filter, const View& in, i64 in_item, const View& out, i64 out_item, int threads, i64 stream_bytes);

// Adds `recall`, `remember` and `forget` to the module; false: a Python error is set.
bool add_recall(PyObject* module);

}  // namespace corr2d
