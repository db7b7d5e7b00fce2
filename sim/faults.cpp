// Flips bits of a verilated accelerator's state during jobs, one bit in each experiment.
// usage: faults EXPERIMENTS RESULTS
// Both files consist of 32-bit words; faults.py writes and reads them. Nothing that the accelerator
// does ends the process: a flip may break every rule of its ports.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "Vimplicore.h"
#include "verilated.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"

using Words = std::vector<uint32_t>;

static VerilatedContext context;
static Vimplicore top{&context};

[[noreturn]] static void refuse(const char* what) { std::fputs(what, stderr), std::exit(2); }

// A bit of the state, as the bit of a byte.
struct Bit {
    uint8_t* byte = nullptr;
    uint8_t mask = 0;
};

static uint64_t cycles = 0, flip_at = ~0ull;
static Bit flipped;

// A cycle: set inputs, settle(), read outputs, edge(). A bit changes after the edge; the logic
// behind it follows when the next cycle settles.
static void settle() { top.clk = 0, top.eval(); }
static void edge() {
    top.clk = 1, top.eval();
    if (++cycles == flip_at) *flipped.byte ^= flipped.mask;
}
static void cycle() { settle(), edge(); }

static const int PORT_TIMEOUT = 64;    // cycles for a register access
static const int STREAM_TIMEOUT = 64;  // cycles for a word of the program

// Write a register; false if the port does not respond.
static bool write_register(uint32_t address, uint32_t value) {
    top.s_axi_awaddr = address, top.s_axi_wdata = value, top.s_axi_wstrb = 15;
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 1;
    bool done = false;
    for (int waited = 0; waited < PORT_TIMEOUT; ++waited) {
        settle();
        bool address_moves = top.s_axi_awready, data_moves = top.s_axi_wready;
        done |= top.s_axi_bvalid;
        edge();
        if (address_moves) top.s_axi_awvalid = 0;
        if (data_moves) top.s_axi_wvalid = 0;
        if (done && !top.s_axi_awvalid && !top.s_axi_wvalid) break;
    }
    bool accepted = !top.s_axi_awvalid && !top.s_axi_wvalid;
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 0;
    return done && accepted;
}

// Read a register; false if the port does not respond.
static bool read_register(uint32_t address, uint32_t& value) {
    top.s_axi_araddr = address;
    top.s_axi_arvalid = top.s_axi_rready = 1;
    for (int waited = 0; waited < PORT_TIMEOUT; ++waited) {
        settle();
        bool moves = top.s_axi_arready && top.s_axi_arvalid;
        bool done = top.s_axi_rvalid && !top.s_axi_arvalid;
        value = top.s_axi_rdata;
        edge();
        if (moves) top.s_axi_arvalid = 0;
        if (done) return top.s_axi_rready = 0, true;
    }
    top.s_axi_arvalid = top.s_axi_rready = 0;
    return false;
}

// Register addresses and commands, in the order in which faults.py writes them.
struct Map {
    uint32_t control, start, abort, interrupt, error, corrected, errors;
};

struct Job {
    Words writes;    // pairs of address and value
    Words expected;  // voxels
};

static Map at;
static Words program;
static Job job, check;
static uint32_t limit, drain;

static void reset() {
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_arvalid = top.s_axis_program_tvalid = 0;
    top.rst = 1, cycle(), cycle(), top.rst = 0;
}

static bool load() {
    for (size_t sent = 0, waited = 0; sent < program.size();) {
        top.s_axis_program_tvalid = 1;
        top.s_axis_program_tdata = program[sent];
        top.s_axis_program_tlast = sent + 1 == program.size();
        settle();
        bool moves = top.s_axis_program_tready;
        edge();
        sent += moves, waited = moves ? 0 : waited + 1;
        if (waited == STREAM_TIMEOUT) break;
    }
    top.s_axis_program_tvalid = 0;
    for (int wait = 0; wait < 8; ++wait) cycle();
    uint32_t error = 1;
    return read_register(at.error, error) && !error;
}

// Run a job: whether its last voxel came, and its voxels. At most as many voxels as expected and
// one more are kept.
static bool run(const Job& job, Words& voxels) {
    voxels.clear();
    for (size_t n = 0; n < job.writes.size(); n += 2)
        if (!write_register(job.writes[n], job.writes[n + 1])) return false;
    if (!write_register(at.interrupt, ~0u) || !write_register(at.control, at.start)) return false;
    for (uint64_t end = cycles + limit; cycles < end;) {
        top.m_axis_voxels_tready = 1;
        settle();
        bool moves = top.m_axis_voxels_tvalid, last = top.m_axis_voxels_tlast;
        uint32_t voxel = top.m_axis_voxels_tdata;
        edge();
        if (moves && voxels.size() <= job.expected.size()) voxels.push_back(voxel);
        if (moves && last) return top.m_axis_voxels_tready = 0, true;
    }
    return top.m_axis_voxels_tready = 0, false;
}

static bool right(const Job& job) {
    Words voxels;
    return run(job, voxels) && voxels == job.expected;
}

// Abort, and take what is still offered.
static void abort_job() {
    write_register(at.control, at.abort);
    top.m_axis_voxels_tready = 1;
    for (uint32_t wait = 0; wait < drain; ++wait) cycle();
    top.m_axis_voxels_tready = 0;
}

static FILE* input;
static uint32_t next() {
    uint32_t word;
    if (std::fread(&word, 4, 1, input) != 1) refuse("the file of experiments is incomplete\n");
    return word;
}
static Words next_words() {
    Words words(next());
    for (uint32_t& word : words) word = next();
    return words;
}

static std::string next_text() {
    Words words = next_words();
    return {reinterpret_cast<const char*>(words.data()), 4 * words.size()};
}

static Bit find(const char* scope, const char* name, uint32_t word, uint32_t bit) {
    const VerilatedScope* const found = context.scopeFind(scope);
    VerilatedVar* const variable = found ? found->varFind(name) : nullptr;
    if (!variable) std::fprintf(stderr, "%s.%s: ", scope, name), refuse("no such register\n");
    uint8_t* const data = static_cast<uint8_t*>(variable->datap()) + word * variable->entSize();
    return {data + bit / 8, uint8_t(1 << bit % 8)};
}

int main(int argc, char** argv) {
    if (argc != 3) refuse("usage: faults EXPERIMENTS RESULTS\n");
    input = std::fopen(argv[1], "rb");
    FILE* const output = std::fopen(argv[2], "wb");
    if (!input || !output) refuse("a file cannot be opened\n");
    auto put = [&](uint32_t word) { std::fwrite(&word, 4, 1, output); };

    for (uint32_t* field = &at.control; field <= &at.errors; ++field) *field = next();
    limit = next(), drain = next();
    program = next_words();
    for (Job* each : {&job, &check}) each->writes = next_words(), each->expected = next_words();
    for (uint32_t count = next(); count--;) {
        const std::string scope = next_text(), name = next_text();
        const uint32_t word = next(), bit = next(), when = next();
        flipped = find(scope.c_str(), name.c_str(), word, bit);
        reset();
        if (!load()) refuse("the program is rejected without a fault\n");

        flip_at = cycles + when;
        Words voxels;
        const bool ends = run(job, voxels);
        if (cycles < flip_at) refuse("the job ends before the flip\n");
        uint32_t corrected = 0, errors = 0, events = 0;
        bool port = read_register(at.corrected, corrected);
        port = read_register(at.errors, errors) && port;
        port = read_register(at.interrupt, events) && port;

        // What the next job needs to be right: nothing, an abort, the program again, a reset.
        uint32_t needed = 0;
        if (!ends || !right(check)) needed = 1, abort_job();
        if (needed == 1 && !right(check)) needed = 2, abort_job();
        if (needed == 2 && !(load() && right(check))) needed = 3, reset();
        if (needed == 3 && !(load() && right(check))) needed = 4;

        for (uint32_t value : {uint32_t(ends), uint32_t(port), corrected, errors, events, needed})
            put(value);
        const bool same = voxels == job.expected;
        put(same ? 0 : voxels.size() + 1);
        if (!same)
            for (uint32_t voxel : voxels) put(voxel);
    }
    top.final();
    return std::fclose(output) ? 2 : 0;
}
