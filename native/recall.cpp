// A filter of a small image takes a microsecond, reading its arguments anew takes fifty. So
// a call with the words, shapes and weights of an earlier one is looked up here and goes
// straight to its filter; anything that is not plain goes to its plan, or the slow way.
// All of this holds the GIL; only a filter that takes its time runs without it.
#include "recall.hpp"

#include <nanobind/nanobind.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#include <numpy/arrayobject.h>

namespace nb = nanobind;

namespace corr2d {
namespace {

constexpr Py_ssize_t kWords = 11;         // turned, padding, ..., threads: _api.py's order
constexpr std::size_t kAllWords = 13;     // and a Kernel's anchor and bias
constexpr npy_intp kTaps = 1024;          // larger kernels are compared no faster than planned
constexpr std::size_t kSets = 32, kWays = 16;
constexpr std::size_t kBytes = 32u << 20;  // what filters kept here may hold

PyArrayObject* as_array(PyObject* object) { return reinterpret_cast<PyArrayObject*>(object); }
bool is_array(PyObject* object) { return Py_TYPE(object) == &PyArray_Type; }  // no subclass

// Sample type and byte order; -1: not numbers.
int type_code(PyArrayObject* a) {
    const int type = PyArray_TYPE(a);
    if (type > NPY_CLONGDOUBLE && type != NPY_HALF) return -1;
    return 2 * type + (PyArray_ISBYTESWAPPED(a) ? 1 : 0);
}

DType sample_type(PyArrayObject* a) {
    const npy_intp size = PyArray_ITEMSIZE(a);
    auto pick = [&](DType one, DType two, DType four, DType eight) {
        return size == 1 ? one : size == 2 ? two : size == 4 ? four : eight;
    };
    switch (PyArray_DESCR(a)->kind) {
        case 'b': return DType::b1;
        case 'u': return pick(DType::u8, DType::u16, DType::u32, DType::u64);
        case 'i': return pick(DType::s8, DType::s16, DType::s32, DType::s64);
        default: return pick(DType::f16, DType::f16, DType::f32, DType::f64);
    }
}

// Words that can never change, so that a reference is as good as a copy.
bool is_constant(PyObject* word) {
    if (word == Py_None || PyBool_Check(word) || PyUnicode_CheckExact(word) || PyLong_CheckExact(word) || PyFloat_CheckExact(word)) return true;
    if (PyType_Check(word)) return !(reinterpret_cast<PyTypeObject*>(word)->tp_flags & Py_TPFLAGS_HEAPTYPE);  // float, np.uint8
    if (PyArray_DescrCheck(word)) {
        const int type = reinterpret_cast<PyArray_Descr*>(word)->type_num;
        if (type >= NPY_OBJECT && type != NPY_HALF) return false;
        const nb::object canonical = nb::steal(reinterpret_cast<PyObject*>(PyArray_DescrFromType(type)));
        return canonical.ptr() == word;
    }
    if (!PyTuple_CheckExact(word)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(word); ++i)
        if (!is_constant(PyTuple_GET_ITEM(word, i))) return false;
    return true;
}

// Whether a word says what a constant one says: 1, 1.0 and True do not, nor do 0.0 and -0.0.
bool same_word(PyObject* word, PyObject* constant) {
    if (word == constant) return true;
    if (Py_TYPE(word) != Py_TYPE(constant)) return false;
    if (PyUnicode_CheckExact(word)) return PyUnicode_Compare(word, constant) == 0;
    if (PyLong_CheckExact(word)) return PyObject_RichCompareBool(word, constant, Py_EQ) == 1;
    if (PyFloat_CheckExact(word)) {
        const double a = PyFloat_AS_DOUBLE(word), b = PyFloat_AS_DOUBLE(constant);
        return !std::memcmp(&a, &b, sizeof a);
    }
    if (!PyTuple_CheckExact(word) || PyTuple_GET_SIZE(word) != PyTuple_GET_SIZE(constant)) return false;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(word); ++i)
        if (!same_word(PyTuple_GET_ITEM(word, i), PyTuple_GET_ITEM(constant, i))) return false;
    return true;
}

void mix(std::size_t& hash, std::size_t word) {
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
}

// Words that are the same have the same hash.
void mix_word(std::size_t& hash, PyObject* word, int depth = 0) {
    if (PyUnicode_CheckExact(word) || PyLong_CheckExact(word) || PyFloat_CheckExact(word)) {
        mix(hash, static_cast<std::size_t>(PyObject_Hash(word)));
    } else if (PyTuple_CheckExact(word)) {
        if (depth == 2) return;  // no good word is nested deeper
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(word); ++i) mix_word(hash, PyTuple_GET_ITEM(word, i), depth + 1);
    } else {
        mix(hash, reinterpret_cast<std::size_t>(word) >> 4);
    }
}

// corr2d.Kernel, once one was seen. It is frozen; what counts of it are its weights, anchor, bias.
PyTypeObject* kernel_type = nullptr;
PyObject *weights_name, *anchor_name, *bias_name;

// A call, as far as plans depend on it.
struct Call {
    PyArrayObject *image, *kernel;
    nb::object weights, anchor, bias;  // hold what is not the caller's
    std::array<PyObject*, kAllWords> words;
    std::size_t hash;

    // False: not a call that is remembered.
    bool read(PyObject* image_given, PyObject* kernel_given, PyObject* const* words_given) {
        if (!is_array(image_given)) return false;
        image = as_array(image_given);
        std::copy(words_given, words_given + kWords, words.begin());
        words[kWords] = words[kWords + 1] = Py_None;
        if (is_array(kernel_given)) {
            kernel = as_array(kernel_given);
        } else {
            if (Py_TYPE(kernel_given) != kernel_type) return false;
            weights = nb::steal(PyObject_GetAttr(kernel_given, weights_name));
            anchor = nb::steal(PyObject_GetAttr(kernel_given, anchor_name));
            bias = nb::steal(PyObject_GetAttr(kernel_given, bias_name));
            if (PyErr_Occurred()) PyErr_Clear();
            if (!weights.ptr() || !anchor.ptr() || !bias.ptr() || !is_array(weights.ptr())) return false;
            kernel = as_array(weights.ptr());
            words[kWords] = anchor.ptr();
            words[kWords + 1] = bias.ptr();
        }
        if (PyArray_SIZE(kernel) > kTaps || type_code(kernel) < 0 || type_code(image) < 0) return false;
        if (PyArray_NDIM(image) < 2 || PyArray_NDIM(image) > kMaxDims) return false;
        if (!PyArray_IS_C_CONTIGUOUS(kernel)) {
            weights = nb::steal(PyArray_NewCopy(kernel, NPY_CORDER));
            if (!weights.ptr()) {
                PyErr_Clear();
                return false;
            }
            kernel = as_array(weights.ptr());
        }
        hash = hashed();
        return true;
    }

private:
    std::size_t hashed() const {
        std::size_t h = static_cast<std::size_t>(type_code(image));
        for (int a = 0; a < PyArray_NDIM(image); ++a) mix(h, static_cast<std::size_t>(PyArray_DIM(image, a)));
        const std::size_t bytes = static_cast<std::size_t>(PyArray_NBYTES(kernel));
        for (std::size_t i = 0; i < bytes; i += sizeof(std::size_t)) {
            std::size_t some = 0;
            std::memcpy(&some, PyArray_BYTES(kernel) + i, std::min(sizeof some, bytes - i));
            mix(h, some);
        }
        for (PyObject* word : words) mix_word(h, word);
        return h;
    }
};

// What an array's samples are and how they are arranged.
struct Layout {
    int code, axes;
    std::array<npy_intp, kMaxDims> shape;

    explicit Layout(PyArrayObject* a) : code(type_code(a)), axes(PyArray_NDIM(a)) { std::copy_n(PyArray_DIMS(a), std::min(axes, kMaxDims), shape.begin()); }
    bool fits(PyArrayObject* a) const {
        return PyArray_NDIM(a) == axes && type_code(a) == code && std::equal(shape.begin(), shape.begin() + axes, PyArray_DIMS(a));
    }
};

struct Entry {
    std::size_t hash;
    Layout image, kernel, result;
    std::vector<char> weights;
    std::array<nb::object, kAllWords> words;
    int default_threads;   // for which the plan was made; 0: it is the same for all
    nb::object plan;       // takes (image, out)
    nb::object filter;     // or None: the plan does more than this filter
    const void* compiled;  // of the filter
    int channel_axis;      // from the end; 0: none
    int threads;
    i64 stream_bytes;

    bool matches(const Call& call, int threads_now) const {
        return hash == call.hash && image.fits(call.image) && kernel.fits(call.kernel) &&
               !std::memcmp(weights.data(), PyArray_BYTES(call.kernel), weights.size()) && same_words(call) &&
               (!default_threads || threads_now < 0 || default_threads == threads_now);
    }
    std::size_t bytes() const { return compiled ? filter_bytes(compiled) : 0; }

private:
    bool same_words(const Call& call) const {
        for (std::size_t i = 0; i < kAllWords; ++i)
            if (!same_word(call.words[i], words[i].ptr())) return false;
        return true;
    }
};

// Sets of entries, the last used first. Bounded in number and in bytes.
class Table {
public:
    std::shared_ptr<const Entry> find(const Call& call, int threads_now) {
        auto& set = sets_[call.hash % kSets];
        for (std::size_t i = 0; i < set.size(); ++i)
            if (set[i]->matches(call, threads_now)) {
                std::rotate(set.begin(), set.begin() + static_cast<std::ptrdiff_t>(i), set.begin() + static_cast<std::ptrdiff_t>(i) + 1);
                return set[0];
            }
        return nullptr;
    }
    void insert(std::shared_ptr<const Entry> entry) {
        bytes_ += entry->bytes();
        auto& set = sets_[entry->hash % kSets];
        set.insert(set.begin(), std::move(entry));
        if (set.size() > kWays) drop(set);
        for (std::size_t s = 0; s < kSets && bytes_ > kBytes; ++s)
            while (bytes_ > kBytes && sets_[s].size() > (&sets_[s] == &set ? 1u : 0u)) drop(sets_[s]);
    }
    void clear() {
        for (auto& set : sets_)
            while (!set.empty()) drop(set);
    }

private:
    using Set = std::vector<std::shared_ptr<const Entry>>;
    void drop(Set& set) {
        const std::shared_ptr<const Entry> last = std::move(set.back());  // what its end runs finds the table in order
        set.pop_back();
        bytes_ -= last->bytes();
    }
    std::array<Set, kSets> sets_;
    std::size_t bytes_ = 0;
};
Table& table = *new Table;  // never deleted: its objects may not outlive the interpreter

// The array with the channel axis third from the end.
void describe(View& view, PyArrayObject* a, int channel_axis) {
    const int axes = PyArray_NDIM(a), moved = channel_axis ? axes + channel_axis : axes - 3;
    for (int to = 0, from = 0; to < axes; ++to) {
        if (channel_axis && from == moved && to != axes - 3) ++from;
        const int axis = channel_axis && to == axes - 3 ? moved : from++;
        view.shape[to] = PyArray_DIM(a, axis);
        view.stride[to] = PyArray_STRIDE(a, axis);
    }
    view.data = PyArray_BYTES(a);
    view.dtype = sample_type(a);
    view.swapped = PyArray_ISBYTESWAPPED(a);
    view.lead = axes - 2;
    view.rows = view.shape[axes - 2];
    view.cols = view.shape[axes - 1];
    view.row_stride = view.stride[axes - 2];
    view.col_stride = view.stride[axes - 1];
}

bool may_share_memory(PyArrayObject* contiguous, PyArrayObject* image) {
    const char *low = PyArray_BYTES(image), *high = low + PyArray_ITEMSIZE(image);
    for (int a = 0; a < PyArray_NDIM(image); ++a) {
        if (PyArray_DIM(image, a) == 0) return false;
        const npy_intp reach = (PyArray_DIM(image, a) - 1) * PyArray_STRIDE(image, a);
        (reach < 0 ? low : high) += reach;
    }
    const char* begin = PyArray_BYTES(contiguous);
    return begin < high && low < begin + PyArray_NBYTES(contiguous);
}

PyObject* run(const Entry& entry, PyArrayObject* image, PyObject* out) {
    const bool fresh = out == Py_None;
    const bool plain = fresh || (is_array(out) && entry.result.fits(as_array(out)) && PyArray_IS_C_CONTIGUOUS(as_array(out)) &&
                                 PyArray_ISWRITEABLE(as_array(out)) && !may_share_memory(as_array(out), image));
    if (!entry.compiled || !plain) {
        PyObject* arguments[] = {reinterpret_cast<PyObject*>(image), out};
        return PyObject_Vectorcall(entry.plan.ptr(), arguments, 2, nullptr);
    }
    nb::object result = fresh ? nb::steal(PyArray_EMPTY(entry.result.axes, entry.result.shape.data(), entry.result.code / 2, 0)) : nb::borrow(out);
    if (!result.ptr()) return nullptr;
    View in, to;
    describe(in, image, entry.channel_axis);
    describe(to, as_array(result.ptr()), entry.channel_axis);
    if (!run_filter(entry.compiled, in, PyArray_ITEMSIZE(image), to, PyArray_ITEMSIZE(as_array(result.ptr())), entry.threads, entry.stream_bytes))
        return nullptr;
    return result.release().ptr();
}

// recall(get_threads, image, kernel, out, words): the result, or None for a call that is not known.
PyObject* recall(PyObject*, PyObject* const* args, Py_ssize_t count) {
    if (count != 5 || !PyTuple_CheckExact(args[4]) || PyTuple_GET_SIZE(args[4]) != kWords)
        return PyErr_Format(PyExc_TypeError, "recall takes an image, a kernel, out and a tuple of %zd words", kWords);
    Call call;
    if (!call.read(args[1], args[2], &PyTuple_GET_ITEM(args[4], 0))) Py_RETURN_NONE;
    std::shared_ptr<const Entry> entry = table.find(call, -1);  // kept, whoever drops it meanwhile
    if (entry && entry->default_threads) {
        const nb::object answer = nb::steal(PyObject_CallNoArgs(args[0]));
        const int now = answer.ptr() ? static_cast<int>(PyLong_AsLong(answer.ptr())) : -1;
        if (PyErr_Occurred()) return nullptr;
        entry = table.find(call, now);  // anew: the question may have let others in
    }
    if (!entry) Py_RETURN_NONE;
    return run(*entry, call.image, args[3]);
}

// remember(image, kernel, words, plan, filter, result, channel_axis, threads, default_threads, stream_bytes)
PyObject* remember(PyObject*, PyObject* args) {
    PyObject *image, *kernel, *words, *plan, *filter, *result;
    int channel_axis, threads, default_threads;
    long long stream_bytes;
    if (!PyArg_ParseTuple(args, "OOO!OOOiiiL", &image, &kernel, &PyTuple_Type, &words, &plan, &filter, &result, &channel_axis, &threads,
                          &default_threads, &stream_bytes))
        return nullptr;
    if (PyTuple_GET_SIZE(words) != kWords) return PyErr_Format(PyExc_TypeError, "remember takes %zd words", kWords);
    if (!is_array(kernel) && !kernel_type) kernel_type = reinterpret_cast<PyTypeObject*>(Py_NewRef(Py_TYPE(kernel)));
    Call call;
    if (!call.read(image, kernel, &PyTuple_GET_ITEM(words, 0)) || !is_array(result) || type_code(as_array(result)) < 0) Py_RETURN_NONE;
    if (!std::all_of(call.words.begin(), call.words.end(), is_constant)) Py_RETURN_NONE;
    if (table.find(call, default_threads ? default_threads : -1)) Py_RETURN_NONE;
    auto entry = std::make_shared<Entry>(Entry{
        call.hash, Layout(call.image), Layout(call.kernel), Layout(as_array(result)),
        std::vector<char>(PyArray_BYTES(call.kernel), PyArray_BYTES(call.kernel) + PyArray_NBYTES(call.kernel)), {}, default_threads,
        nb::borrow(plan), nb::borrow(filter), filter_of(filter), channel_axis, threads, stream_bytes});
    for (std::size_t i = 0; i < kAllWords; ++i) entry->words[i] = nb::borrow(call.words[i]);
    table.insert(std::move(entry));
    Py_RETURN_NONE;
}

PyObject* forget(PyObject*, PyObject*) {
    table.clear();
    Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"recall", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&recall)), METH_FASTCALL, "Run a call that is known; None: it is not."},
    {"remember", &remember, METH_VARARGS, "Know this call from now on."},
    {"forget", &forget, METH_NOARGS, "Know no calls."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

bool add_recall(PyObject* module) {
    if (PyArray_ImportNumPyAPI() < 0) return false;
    weights_name = PyUnicode_InternFromString("weights");
    anchor_name = PyUnicode_InternFromString("anchor");
    bias_name = PyUnicode_InternFromString("bias");
    return weights_name && anchor_name && bias_name && PyModule_AddFunctions(module, methods) == 0;
}

}  // namespace corr2d
