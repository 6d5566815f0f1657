// Which build of the arithmetic this machine runs: decided once.
#pragma once
#include <cstdlib>
#include <cstring>
#include <vector>

#include "filter.hpp"

namespace corr2d {

#if defined(__x86_64__)
extern const Isa isa_sse2, isa_avx2, isa_avx512;
inline std::vector<const Isa*> available_isas() {  // slowest first
    std::vector<const Isa*> list{&isa_sse2};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        list.push_back(&isa_avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl"))
            list.push_back(&isa_avx512);
    }
    return list;
}
#else
extern const Isa isa_native;  // NEON is part of every 64-bit ARM
inline std::vector<const Isa*> available_isas() { return {&isa_native}; }
#endif

// The best one, or the one that CORR2D_ISA names (for tests and comparisons).
inline const Isa*& chosen_isa() {
    static const Isa* chosen = [] {
        const auto list = available_isas();
        if (const char* wanted = std::getenv("CORR2D_ISA"))
            for (const Isa* isa : list)
                if (!std::strcmp(isa->name, wanted)) return isa;
        return list.back();
    }();
    return chosen;
}

}  // namespace corr2d
