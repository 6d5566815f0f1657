// How fast this core multiplies and adds when nothing else is in the way.
#pragma once
#include <time.h>

#include "simd.hpp"

namespace corr2d { namespace CORR2D_ISA {

static inline double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// float32 multiply-adds per second, measured for about `seconds`.
static double fma_rate(double seconds) {
    using V = Vec<float>::type;
    constexpr int N = 12;  // independent chains: more than latency times units
    V acc[N];
    for (int i = 0; i < N; ++i) acc[i] = broadcast(0.5f + static_cast<float>(i));
    const V a = broadcast(0.999f), b = broadcast(0.001f);
    double done = 0;
    const double start = now();
    double elapsed;
    do {
        for (int k = 0; k < 4096; ++k)
            for (int i = 0; i < N; ++i) acc[i] = acc[i] * a + b;
        done += 4096.0 * N * static_cast<double>(Vec<float>::lanes);
        elapsed = now() - start;
    } while (elapsed < seconds);
    float sink = 0;
    for (int i = 0; i < N; ++i) sink += acc[i][0];
    return sink > -1e30f ? done / elapsed : 0;  // keeps the loop alive
}

}}  // namespace corr2d::CORR2D_ISA
