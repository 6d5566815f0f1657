// Boxes over bytes. Integers do not drift, so here sums may run: down each column one in 16 bits, exact up to
// 257 rows, and along the row one in 32, whose differences are the windows. They become floats at the end.
#pragma once
#include "sink.hpp"

namespace corr2d { namespace CORR2D_ISA {

using Counts = std::int32_t;

// Down the columns, n running sums in whole vectors: a row comes, or goes.
template <bool Comes>
static void roll(Sixteen* sums, const Sixteen* row, i64 n) {
    constexpr i64 L = Vec<Sixteen>::lanes;
    for (i64 x = 0; x < n; x += L) store(sums + x, Comes ? load(sums + x) + load(row + x) : load(sums + x) - load(row + x));
}

// Of a vector's last samples, those that come before lanes 0, 1, ... of the next.
template <int Step, class V, int... I>
static inline V before_next(V v, Lanes<I...>) {
    return __builtin_shufflevector(v, v, (static_cast<int>(sizeof...(I)) - Step + I % Step)...);
}

// v and all that lie Step, 2 Step, ... lanes before.
template <int Step, int By = Step>
static inline typename Vec<Counts>::type scan(typename Vec<Counts>::type v) {
    constexpr int L = static_cast<int>(Vec<Counts>::lanes);
    if constexpr (By < L) {
        v += shifted<Counts, L - By>(typename Vec<Counts>::type{}, v);
        return scan<Step, 2 * By>(v);
    } else {
        return v;
    }
}

// Running sums of n samples and those Step, 2 Step, ... before; the vector in front of them is made zero.
template <int Step>
static void running_sums(const Sixteen* line, i64 n, Counts* to) {
    using V = typename Vec<Counts>::type;
    constexpr i64 L = Vec<Counts>::lanes;
    typedef Sixteen Half __attribute__((vector_size(kVectorBytes / 2)));
    V carry = {};
    store(to - L, carry);
    for (i64 x = 0; x < n; x += L) {
        Half narrow;
        __builtin_memcpy(&narrow, line + x, sizeof narrow);
        const V own = scan<Step>(__builtin_convertvector(narrow, V)), sum = own + carry;
        store(to + x, sum);
        using Each = typename MakeLanes<static_cast<int>(L)>::type;
        if constexpr (L % Step == 0)
            carry += before_next<Step>(own, Each{});  // a shorter chain from vector to vector
        else
            carry = before_next<Step>(sum, Each{});
    }
}

// Along the row: n sums of `taps` samples, `step` apart, times the weight. `counts` has the line's length and a
// vector in front; lines may be read and written two blocks beyond their end.
static void byte_row(const Sixteen* line, Counts* counts, i64 n, i64 taps, i64 step, float weight, float* sums, const Sink<float>& sink) {
    using F = typename Vec<float>::type;
    constexpr i64 L = Vec<float>::lanes, block = kVectors * L;
    const i64 span = (taps - 1) * step;
    switch (step) {
        case 1: running_sums<1>(line, n + span, counts); break;
        case 2: running_sums<2>(line, n + span, counts); break;
        case 3: running_sums<3>(line, n + span, counts); break;
        default: running_sums<4>(line, n + span, counts); break;
    }
    const F k = broadcast(weight);
    for (i64 next = 0; next < n; next += block) {
        const i64 x = sink.kind == Kind::none ? next : min64(next, n - block);
        F v[kVectors];
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) v[u] = __builtin_convertvector(load(counts + x + u * L + span) - load(counts + x + u * L - step), F) * k;
        if (sink.kind != Kind::none) {
            emit<float, kVectors>(sink, sink.to + x * sink_item<float>(sink.kind), v);
            continue;
        }
        CORR2D_UNROLL
        for (int u = 0; u < kVectors; ++u) store(sums + x + u * L, v[u]);
    }
}

}}  // namespace corr2d::CORR2D_ISA
