// The passes of a Fourier transform and their twiddle factors, worked out once.
#pragma once
#include <cmath>
#include <vector>

#include "filter.hpp"

namespace corr2d {
namespace {

// Lengths that the passes make up: 64 .. most, a power of two or three times one.
bool is_transform_length(i64 n, i64 most) {
    const i64 odd = n % 3 == 0 ? n / 3 : n;
    return n >= 64 && n <= most && !(odd & (odd - 1));
}

// The passes of a transform of n points, largest radix first; their twiddle factors go to
// `factors`.
Fourier passes(i64 n, std::vector<double>& factors) {
    Fourier f{};
    f.n = n;
    i64 twos = 0, rest = n;
    while (rest % 2 == 0) rest /= 2, ++twos;
    std::vector<i64> radices(static_cast<std::size_t>(twos % 3 == 0 ? 0 : 3 - twos % 3), 4);
    radices.insert(radices.begin(), static_cast<std::size_t>(twos - 2 * static_cast<i64>(radices.size())) / 3, 8);
    if (rest == 3) radices.push_back(3);
    Pass* pass = f.passes;
    for (i64 m = n; const i64 radix : radices) {
        *pass++ = {radix, m / radix, nullptr};
        for (i64 j = 0; j < m / radix; ++j)
            for (i64 power = 1; power < radix; ++power) {
                const double angle = -2 * 3.141592653589793238462643 * static_cast<double>(power * j % m) / static_cast<double>(m);
                factors.push_back(std::cos(angle));
                factors.push_back(std::sin(angle));
            }
        m /= radix;
    }
    return f;
}

// Points the passes at their factors; returns where the next ones begin.
template <class T>
const T* point(Fourier& f, const T* factors) {
    for (Pass* pass = f.passes; pass->radix; ++pass) {
        pass->twiddles = factors;
        factors += 2 * (pass->radix - 1) * pass->apart;
    }
    return factors;
}

}  // namespace
}  // namespace corr2d
