// Where a padding pixel comes from: closed forms, so any width of padding works.
#pragma once
#include "filter.hpp"

namespace corr2d {

// Index into [0, n) for position i, or -1 for "the fill value".
static inline i64 source_index(Boundary boundary, i64 i, i64 n) {
    if (i >= 0 && i < n) return i;
    switch (boundary) {
        case Boundary::constant:
            return -1;
        case Boundary::edge:
            return i < 0 ? 0 : n - 1;
        case Boundary::wrap: {
            i64 m = i % n;
            return m < 0 ? m + n : m;
        }
        case Boundary::symmetric: {  // the edge is repeated: period 2n
            i64 period = 2 * n, m = i % period;
            if (m < 0) m += period;
            return m < n ? m : period - 1 - m;
        }
        case Boundary::reflect: {  // the edge is not repeated: period 2(n - 1)
            if (n == 1) return 0;
            i64 period = 2 * (n - 1), m = i % period;
            if (m < 0) m += period;
            return m < n ? m : period - m;
        }
    }
    return -1;
}

}  // namespace corr2d
