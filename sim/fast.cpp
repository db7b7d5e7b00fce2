// Runs a session (session.py) on a verilated accelerator, through its ports alone.
// usage: simulate SESSION RESPONSES [WAVES.vcd]
// Either file may be `-`, for stdin and stdout: each operation then runs as it arrives, and its
// response is flushed at once.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "Vimplicore.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

static VerilatedContext context;
#if VM_TRACE
static const bool traced = (context.traceEverOn(true), true);  // must precede the model
#endif
static Vimplicore top{&context};
static uint64_t cycles = 0;

static uint32_t stall = 0;
static uint64_t noise = 0;

// Whether a stream stalls in this cycle.
static bool stalls() {
    if (!stall) return false;
    noise ^= noise << 13, noise ^= noise >> 7, noise ^= noise << 17;  // Marsaglia's xorshift64
    return uint32_t(noise >> 16) < stall;
}

[[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "%s in cycle %llu\n", what, (unsigned long long)cycles);
    std::exit(1);
}

#if VM_TRACE
// Never deleted: the model refers to it until the end of the process.
static VerilatedVcdC& trace = *new VerilatedVcdC;
static uint64_t trace_end = 0;
#endif

static void dump(int half) {
#if VM_TRACE
    if (cycles < trace_end) trace.dump(2 * cycles + half);
#endif
}

// A cycle: set inputs, settle(), read outputs, edge().
static void settle() {
    top.clk = 0;
    top.eval();
    dump(0);
}

static void edge() {
    top.clk = 1;
    top.eval();
    dump(1);
    ++cycles;
}

static void cycle() { settle(), edge(); }

// A beat of the voxel stream. The hardware has `tkeep` only if a beat holds several voxels.
struct Beat {
    static const unsigned VOXELS = sizeof(top.m_axis_voxels_tdata) / 2;  // 16 bits each
    static const uint32_t FULL = (1u << 2 * VOXELS) - 1;                 // a bit per byte
    uint16_t voxels[VOXELS];
    uint32_t keep;
    bool last;

    template <class Top>
    static auto keep_of(const Top& top, int) -> decltype(top.m_axis_voxels_tkeep + 0u) {
        return top.m_axis_voxels_tkeep;
    }
    template <class Top> static uint32_t keep_of(const Top&, long) { return FULL; }

    Beat() : keep(keep_of(top, 0)), last(top.m_axis_voxels_tlast) {
        // The first voxel is in the lowest bits, which a little-endian host stores first.
        std::memcpy(voxels, &top.m_axis_voxels_tdata, sizeof voxels);
    }

    bool operator==(const Beat& other) const {
        return !std::memcmp(voxels, other.voxels, sizeof voxels) && keep == other.keep &&
               last == other.last;
    }

    // The number of voxels. Only the last beat of a job may have fewer than all, and at least one.
    unsigned count() const {
        unsigned number = 1;
        while (number < VOXELS && keep >> 2 * number) ++number;
        if (keep != (1u << 2 * number) - 1) fail("tkeep does not name the first voxels");
        if (keep != FULL && !last) fail("a beat before the last one is not full");
        return number;
    }
};

static const int TIMEOUT = 1000;  // cycles for a response on the register port

static void write_register(uint32_t address, uint32_t value) {
    top.s_axi_awaddr = address;
    top.s_axi_wdata = value;
    top.s_axi_wstrb = 15;
    top.s_axi_awvalid = top.s_axi_wvalid = 1;
    for (int waited = 0; top.s_axi_awvalid || top.s_axi_wvalid; ++waited) {
        settle();
        bool address_accepted = top.s_axi_awready, data_accepted = top.s_axi_wready;
        edge();
        if (address_accepted) top.s_axi_awvalid = 0;
        if (data_accepted) top.s_axi_wvalid = 0;
        if (waited == TIMEOUT) fail("a register write is not accepted");
    }
    while (stalls()) cycle();
    top.s_axi_bready = 1;
    for (int waited = 0;; ++waited) {
        settle();
        bool done = top.s_axi_bvalid;
        edge();
        if (done) break;
        if (waited == TIMEOUT) fail("no response to a register write");
    }
    top.s_axi_bready = 0;
}

static uint32_t read_register(uint32_t address) {
    top.s_axi_araddr = address;
    top.s_axi_arvalid = 1;
    for (int waited = 0; top.s_axi_arvalid; ++waited) {
        settle();
        bool accepted = top.s_axi_arready;
        edge();
        if (accepted) top.s_axi_arvalid = 0;
        if (waited == TIMEOUT) fail("a register read is not accepted");
    }
    while (stalls()) cycle();
    top.s_axi_rready = 1;
    for (int waited = 0;; ++waited) {
        settle();
        bool done = top.s_axi_rvalid;
        uint32_t value = top.s_axi_rdata;
        edge();
        if (waited == TIMEOUT) fail("no response to a register read");
        if (!done) continue;
        top.s_axi_rready = 0;
        return value;
    }
}

// Send the first `stop` words of a program; return early after TIMEOUT cycles without one.
static uint32_t send(const uint32_t* words, uint32_t count, uint32_t stop) {
    uint32_t sent = 0;
    for (int waited = 0; sent < stop && waited < TIMEOUT; ++waited) {
        top.s_axis_program_tvalid = top.s_axis_program_tvalid || !stalls();
        top.s_axis_program_tdata = words[sent];
        top.s_axis_program_tlast = sent + 1 == count;
        settle();
        bool moves = top.s_axis_program_tvalid && top.s_axis_program_tready;
        edge();
        if (!moves) continue;
        top.s_axis_program_tvalid = 0;
        ++sent, waited = 0;
    }
    top.s_axis_program_tvalid = 0;
    return sent;
}

// Send points and receive voxels up to the last one or for `limit` cycles; true if it came.
static bool decode(uint64_t limit, const uint32_t* points, uint32_t count,
                   std::vector<uint32_t>& voxels) {
    uint32_t sent = 0;
    bool ended = false, waiting = false;
    Beat offered;
    for (uint64_t end = cycles + limit; !ended && cycles < end;) {
        if (sent < count) {
            top.s_axis_points_tvalid = top.s_axis_points_tvalid || !stalls();
            top.s_axis_points_tdata = points[2 * sent] | uint64_t(points[2 * sent + 1]) << 32;
            top.s_axis_points_tlast = sent + 1 == count;
        }
        top.m_axis_voxels_tready = !stalls();
        settle();
        bool point_moves = top.s_axis_points_tvalid && top.s_axis_points_tready;
        bool valid = top.m_axis_voxels_tvalid, moves = valid && top.m_axis_voxels_tready;
        Beat beat;
        if (waiting && !(valid && beat == offered))
            fail("an offered voxel was changed or withdrawn");
        waiting = valid && !moves, offered = beat;
        edge();
        if (point_moves) ++sent, top.s_axis_points_tvalid = 0;
        if (!moves) continue;
        voxels.insert(voxels.end(), beat.voxels, beat.voxels + beat.count());
        ended = beat.last;
    }
    top.s_axis_points_tvalid = top.m_axis_voxels_tready = 0;
    return ended;
}

static FILE* session;
static FILE* responses;

// Read words of the session; false if it has ended.
static bool read_words(uint32_t* words, size_t count) {
    size_t got = std::fread(words, 4, count, session);
    if (got && got < count) std::fputs("the session is incomplete\n", stderr), std::exit(2);
    return got == count;
}

static std::vector<uint32_t> next_words(size_t count) {
    std::vector<uint32_t> words(count);
    if (!read_words(words.data(), count))
        std::fputs("the session is incomplete\n", stderr), std::exit(2);
    return words;
}

static void respond(uint32_t word) { std::fwrite(&word, 4, 1, responses); }

static FILE* opened(const char* name, const char* mode, FILE* standard) {
    FILE* file = std::strcmp(name, "-") ? std::fopen(name, mode) : standard;
    if (!file) std::fprintf(stderr, "cannot open %s\n", name), std::exit(2);
    return file;
}

int main(int argc, char** argv) {
    if (argc < 3) return std::fputs("usage: simulate SESSION RESPONSES [WAVES.vcd]\n", stderr), 2;
    session = opened(argv[1], "rb", stdin);
    responses = opened(argv[2], "wb", stdout);
    std::vector<uint32_t> header = next_words(2);
    stall = header[0];
    noise = header[1] + 0x9E3779B97F4A7C15u;  // xorshift64 must not start at 0
#if VM_TRACE
    top.trace(&trace, 99);
    if (argc > 3) trace.open(argv[3]);
#endif

    auto begin = std::chrono::steady_clock::now();
    top.rst = 1;
    cycle();
    top.rst = 0;
    for (uint32_t operation; read_words(&operation, 1);) {
        switch (operation) {
        case 0:
            top.rst = 1;
            for (uint32_t count = next_words(1)[0]; count--;) cycle();
            top.rst = 0;
            break;
        case 1: {
            std::vector<uint32_t> pair = next_words(2);
            write_register(pair[0], pair[1]);
            break;
        }
        case 2:
            respond(read_register(next_words(1)[0]));
            break;
        case 3: {
            std::vector<uint32_t> sizes = next_words(2), words = next_words(sizes[0]);
            respond(send(words.data(), sizes[0], sizes[1]));
            break;
        }
        case 4: {
            std::vector<uint32_t> sizes = next_words(3), points = next_words(2 * sizes[2]), voxels;
            uint64_t limit = sizes[0] | uint64_t(sizes[1]) << 32;
            respond(decode(limit, points.data(), sizes[2], voxels));
            respond(voxels.size());
            for (uint32_t voxel : voxels) respond(voxel);
            break;
        }
        case 5: {
            uint32_t seen = 0;
            for (uint32_t count = next_words(1)[0]; count--;) {
                settle();
                seen += top.m_axis_voxels_tvalid;
                edge();
            }
            respond(seen);
            break;
        }
        case 6: {
            [[maybe_unused]] uint32_t count = next_words(1)[0];
#if VM_TRACE
            trace_end = cycles + count;
#endif
            break;
        }
        default:
            return std::fputs("not a session\n", stderr), 2;
        }
        if (responses == stdout) std::fflush(stdout);
    }
    std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - begin;
    for (uint64_t number : {cycles, uint64_t(spent.count())})
        respond(uint32_t(number)), respond(uint32_t(number >> 32));
#if VM_TRACE
    trace.close();
#endif
    top.final();
    return std::fclose(responses) ? 2 : 0;
}
