// A gate-level accelerator with the interface of a verilated one, for `fast.cpp`.
//
// The environment variable GATES names a folder. It holds `circuit`; `ports`, the nets of the
// inputs and of the outputs; and `window`: the seed of the state at power-up, the numbers of
// delivered voxels between which activity is counted, and what is recorded meanwhile: the number of
// nets, the nets, the bit lanes. `activity` and `record` are written there.
//
// `ports.h` lists the ports; VOXELS_IN_BEAT is the number of voxels of the beat at `m_axis_voxels`.
#pragma once
#include <array>
#include <string>
#include <type_traits>

#include "gates.h"
#include "verilated.h"

// Verilator's type of a port of this width, but for arrays of words.
template <size_t width>
using Port = std::conditional_t<
    (width > 64), std::array<uint32_t, (width + 31) / 32>,
    std::conditional_t<(width > 32), uint64_t,
                       std::conditional_t<(width > 16), uint32_t,
                                          std::conditional_t<(width > 8), uint16_t, uint8_t>>>>;

template <class Number> void set_bit(Number& port, size_t bit) { port |= Number(1) << bit; }

template <size_t words> void set_bit(std::array<uint32_t, words>& port, size_t bit) {
    port[bit / 32] |= uint32_t(1) << bit % 32;
}

class Vimplicore {
public:
#define INPUT(name, width) uint64_t name = 0;
#define OUTPUT(name, width) Port<width> name{};
#include "ports.h"
#undef INPUT
#undef OUTPUT

    explicit Vimplicore(VerilatedContext*)
        : folder(std::getenv("GATES")), window(Gates::read(folder + "/window")),
          gates(folder + "/circuit", window[0]), ports(Gates::read(folder + "/ports")),
          nets(window.begin() + 4, window.begin() + 4 + window[3]),
          bit_lanes(window.begin() + 4 + window[3], window.end()) {}

    void eval() {
        if (clk) {
            if (state == COUNTING)
                for (uint32_t one : nets) gates.append(one, bit_lanes, record);
            if (m_axis_voxels_tvalid && m_axis_voxels_tready) delivered += VOXELS_IN_BEAT;
            gates.edge();
            if (state == BEFORE && delivered >= window[1]) gates.start_counting(), state = COUNTING;
            if (state == COUNTING && delivered >= window[2]) gates.stop_counting(), state = DONE;
            return;
        }
        const uint32_t* net = ports.data();
#define INPUT(name, width) \
    for (uint32_t bit = 0; bit < width; ++bit) gates.set(*net++, 0, name >> bit & 1);
#define OUTPUT(name, width)
#include "ports.h"
#undef INPUT
#undef OUTPUT
        gates.settle();
#define INPUT(name, width)
#define OUTPUT(name, width)                    \
    name = {};                                 \
    for (uint32_t bit = 0; bit < width; ++bit) \
        if (gates.get(*net++, 0)) set_bit(name, bit);
#include "ports.h"
#undef INPUT
#undef OUTPUT
    }

    void final() {
        if (state != DONE) return;
        gates.write(folder + "/activity");
        Gates::save(folder + "/record", record);
    }

private:
    std::string folder;
    std::vector<uint32_t> window;
    Gates gates;
    std::vector<uint32_t> ports, nets, bit_lanes;
    std::vector<uint64_t> record;
    uint64_t delivered = 0;
    enum { BEFORE, COUNTING, DONE } state = BEFORE;
};
