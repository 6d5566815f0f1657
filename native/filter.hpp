// What is to be computed, as plain data. Shared by the binding and by every
// instruction set's build of the arithmetic; nothing here is a template of the
// standard library, so no inline function compiled for AVX-512 can be chosen by
// the linker for a machine without it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace corr2d {

using i64 = std::int64_t;

enum class DType : std::uint8_t { b1, u8, s8, u16, s16, u32, s32, u64, s64, f16, bf16, f32, f64 };
enum class Boundary : std::uint8_t { constant, edge, reflect, symmetric, wrap };
// direct: register blocks. separable: sums along columns, then rows. taps: one sum of shifted rows, for sparse
// kernels and for those whose long sums need more levels than the blocks have.
// box: one weight, sums by doubling. fft: overlap-save.
enum class Method : std::uint8_t { direct, separable, box, taps, fft };
// u16: sums of small integers modulo 2^16, exact because their range is known.
enum class Accumulator : std::uint8_t { f32, f64, i128, u16 };

// One axis: out[o] = sum over t of kernel[t] * in[o * stride - before + t * dilation].
struct Axis {
    i64 in, out, before, taps, stride, dilation;
    i64 span() const { return (taps - 1) * dilation; }
};

constexpr int kMaxDims = 32;

// A strided array: `lead` axes enumerate planes, then rows and columns. Strides in bytes.
struct View {
    char* data;
    DType dtype;
    bool swapped;  // not this machine's byte order
    int lead;
    i64 shape[kMaxDims];
    i64 stride[kMaxDims];
    i64 rows, cols, row_stride, col_stride;
};

// One multiplication: kernel row i, column j, of input channel c.
struct Tap {
    i64 c, i, j;
};

// Kernels in the accumulator's type, laid out (banks, outputs, inputs, kh, kw): planes take the
// banks in turn. With mixing == false each has one kernel; with one bank all planes are filtered alike.
struct Weights {
    i64 banks, outputs, inputs;
    bool mixing;
    const void* dense;   // float, double or int64; each kernel transposed, (kw, kh)
    const double* wide;  // the same in double, where the sums are float
    double abs_sum;      // the largest sum of |weights| of an output
    i64 ranks;           // separable: so many products of a column and a row add up to the kernel
    const void* column;  // ... (ranks, kh)
    const void* row;     // ... (ranks, kw)
    const Tap* taps;     // Method::taps: which, and their weights
    i64 count;
    const void* listed;  // (banks, outputs, count)
    bool sparse;         // some taps are zero and not in the list
    const double* fill;  // what constant padding holds: per mixed input channel, else per
    i64 fills;           // plane, cycling (a complex image is two planes)
    const double* bias;  // one per output channel of each bank
};

// The transform that Method::fft uses: along each axis a few passes, of `radix` points that lie
// `apart`, the twiddle factors of each in the accumulator's type.
struct Pass {
    i64 radix, apart;
    const void* twiddles;
};
struct Fourier {
    i64 n;
    Pass passes[5];
};
enum class Rounding : std::uint8_t { never, if_integers, always };  // of results to integers
struct Transform {
    Fourier y, x;
    const void* spectrum;  // of each bank's kernel
    int exponent;          // the kernel was scaled by 2^-exponent
    Rounding rounding;
    int places;            // ... to integers times 2^-places
};

// How sums modulo 2^16 are read: (sum - lowest) is what it exceeds the least possible sum by,
// at most `ceiling` of which, and at least `floor`, an integer result can hold.
struct Integers {
    std::uint16_t lowest, floor, ceiling;
    int shift;             // the kernel's weights were integers times 2^-shift
    bool narrow;           // whether 16 bits are room enough to round to the output's integers
    float scale, origin;   // value = (sum - lowest) * scale + origin
};

struct Job {
    Method method;
    Accumulator accumulator;
    Boundary boundary;
    i64 group;  // direct: kernel rows summed in registers; else: taps summed in a chain
    int across;  // direct, separable: the kernel left to right is itself (1) or, direct, its negative (-1); 0: that is not used
    Weights weights;
    Transform transform;
    Integers integers;  // of u16 sums
    Axis y, x;
    View in, out;
    // Mixed axes (mixing only): channels, each of one part or of two (real, imaginary).
    i64 in_parts, in_channel, in_part;
    i64 out_parts, out_channel, out_part;
    i64 lanes;                    // interleaved channels filtered as one wide row; else 1
    i64 planes;                   // independent planes (mixing: images)
    bool (*stopped)();            // asked between strips: is the result still wanted?
    bool stream;                  // bypass the cache when writing
    bool add;                     // fft: results are added to what the output holds
    // Filled in by an instruction set's `block`:
    bool in_place_rows;  // rows may be read where they lie
    i64 band_rows, bands;
    i64 workers;         // fft: threads that take bands in turn
    i64 tile_cols, edge_cols;  // edge: of tiles that are copied although rows may be read in place
    std::size_t arena_bytes;

    i64 in_offset(i64 c) const { return c / in_parts * in_channel + c % in_parts * in_part; }
    i64 out_offset(i64 o) const { return o / out_parts * out_channel + o % out_parts * out_part; }
};

struct LagJob;
struct LagSpectra;

// What one instruction set offers.
struct Isa {
    const char* name;
    void (*block)(Job&, int threads);                        // choose tiles
    void (*band)(const Job&, i64 index, char* arena);        // compute band `index` of planes * bands
    // The spectrum of a kernel, given a transform of doubles and aligned memory of spectrum_bytes.
    void (*spectrum)(const Transform&, const Axis& y, const Axis& x, const double* weights, bool single, char* memory, void* to);
    std::size_t (*spectrum_bytes)(i64 ny, i64 nx);
    double (*fma_rate)(double seconds);                      // float32 multiply-adds per second, one core
    void (*lag_block)(LagJob&);                              // choose tiles
    void (*lag_band)(const LagJob&, i64 index, char* arena);
    void (*lag_spectra_band)(const LagSpectra&, i64 index, char* arena);  // in aligned memory of lag_spectra_bytes
    std::size_t (*lag_spectra_bytes)(const LagSpectra&);
};

}  // namespace corr2d
