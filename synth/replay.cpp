// Drives a circuit with given inputs, a cycle at a time.
// usage: replay FOLDER
// `circuit` is the netlist; `plan` has the number of cycles, the first one in which activity is
// counted, the nets of the inputs and those of the outputs; `inputs` holds their words, cycle by
// cycle. `outputs` and `activity` are written.
#include "gates.h"

int main(int argc, char** argv) {
    if (argc < 2) return std::fputs("usage: replay FOLDER\n", stderr), 2;
    std::string folder = argv[1];
    Gates gates(folder + "/circuit", 0);
    std::vector<uint32_t> plan = Gates::read(folder + "/plan");
    std::vector<uint32_t> given = Gates::read(folder + "/inputs");
    const uint32_t* word = given.data();
    uint32_t cycles = plan[0], first = plan[1], inputs = plan[2];
    std::vector<uint64_t> outputs;
    for (uint32_t cycle = 0; cycle < cycles; ++cycle) {
        if (cycle == first) gates.start_counting();
        for (uint32_t input = 0; input < inputs; ++input) gates.put(plan[3 + input], word);
        gates.settle();
        for (size_t output = 3 + inputs; output < plan.size(); ++output)
            gates.append(plan[output], outputs);
        gates.edge();
    }
    gates.stop_counting();
    Gates::save(folder + "/outputs", outputs);
    gates.write(folder + "/activity");
}
