// A gate-level accelerator with the interface of a verilated one, for `fast.cpp`.
//
// The environment variable GATES names a folder. It holds `circuit`; `ports`, the nets of the
// inputs and of the outputs; and `window`: the seed of the state at power-up, the numbers of
// delivered voxels between which activity is counted, and what is recorded meanwhile: the number of
// nets, the nets, the bit lanes. `activity` and `record` are written there.
#pragma once
#include <string>

#include "gates.h"
#include "verilated.h"

class Vimplicore {
public:
#define INPUT(name, width) uint64_t name = 0;
#define OUTPUT(name, width) uint64_t name = 0;
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
            delivered += m_axis_voxels_tvalid && m_axis_voxels_tready;
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
#define OUTPUT(name, width) \
    name = 0;               \
    for (uint32_t bit = 0; bit < width; ++bit) name |= uint64_t(gates.get(*net++, 0)) << bit;
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
