// Runs a session (session.py) on a verilated accelerator, through its ports alone.
// usage: simulate SESSION RESPONSES [WAVES.vcd | COVERAGE.dat]
// The third file has a waveform or coverage, whichever the simulator was built with.
// Either file may be `-`, for stdin and stdout: each operation then runs as it arrives, and its
// response is flushed at once.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
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

// What AXI demands of every channel: valid and payload stay as they are until ready.
template <class Payload> class Channel {
    const char* const name;
    bool stalled = false;
    Payload before{};

  public:
    explicit Channel(const char* name) : name(name) {}

    void check(bool valid, bool ready, const Payload& payload) {
        if (stalled && !top.rst && !(valid && payload == before)) {
            static char text[99];
            std::snprintf(text, sizeof text, "%s was withdrawn or changed before ready", name);
            fail(text);
        }
        stalled = valid && !ready && !top.rst;
        if (stalled) before = payload;
    }
};

// Check all channels: those of the accelerator and those of this driver.
static void check_channels() {
    static Channel<Beat> voxels("a voxel beat");
    static Channel<uint64_t> b("a write response"), r("read data"), aw("a write address"),
        w("write data"), ar("a read address"), program("a word of the program");
    static Channel<std::pair<uint64_t, bool>> points("a point");
    voxels.check(top.m_axis_voxels_tvalid, top.m_axis_voxels_tready, Beat());
    b.check(top.s_axi_bvalid, top.s_axi_bready, top.s_axi_bresp);
    r.check(top.s_axi_rvalid, top.s_axi_rready, top.s_axi_rdata | uint64_t(top.s_axi_rresp) << 32);
    aw.check(top.s_axi_awvalid, top.s_axi_awready, top.s_axi_awaddr);
    w.check(top.s_axi_wvalid, top.s_axi_wready,
            top.s_axi_wdata | uint64_t(top.s_axi_wstrb) << 32);
    ar.check(top.s_axi_arvalid, top.s_axi_arready, top.s_axi_araddr);
    program.check(top.s_axis_program_tvalid, top.s_axis_program_tready,
                  top.s_axis_program_tdata | uint64_t(top.s_axis_program_tlast) << 32);
    points.check(top.s_axis_points_tvalid, top.s_axis_points_tready,
                 {top.s_axis_points_tdata, top.s_axis_points_tlast});
}

// Accesses of the register port that were posted and not answered yet.
static unsigned posted_writes = 0, posted_reads = 0;

// A cycle: set inputs, settle(), read outputs, edge().
static void settle() {
    if (posted_writes) top.s_axi_bready = !stalls();
    if (posted_reads) top.s_axi_rready = !stalls();
    top.clk = 0;
    top.eval();
    dump(0);
}

// After the edge, no request, word or point that was accepted is offered any more.
static void edge() {
    check_channels();
    bool aw = top.s_axi_awready, w = top.s_axi_wready, ar = top.s_axi_arready;
    bool word = top.s_axis_program_tready, point = top.s_axis_points_tready;
    bool b = posted_writes && top.s_axi_bvalid && top.s_axi_bready;
    bool r = posted_reads && top.s_axi_rvalid && top.s_axi_rready;
    top.clk = 1;
    top.eval();
    dump(1);
    ++cycles;
    if (aw) top.s_axi_awvalid = 0;
    if (w) top.s_axi_wvalid = 0;
    if (ar) top.s_axi_arvalid = 0;
    if (b) top.s_axi_bready = 0, --posted_writes;
    if (r) top.s_axi_rready = 0, --posted_reads;
    if (word) top.s_axis_program_tvalid = 0;
    if (point) top.s_axis_points_tvalid = 0;
}

static void cycle() { settle(), edge(); }

static void reset(uint32_t count) {
    top.rst = 1;
    top.s_axis_program_tvalid = top.s_axis_points_tvalid = 0;
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_arvalid = 0;
    top.s_axi_bready = top.s_axi_rready = posted_writes = posted_reads = 0;
    while (count--) cycle();
    top.rst = 0;
}

static const int TIMEOUT = 1000;  // cycles for a response on the register port

// Offer the address and the data of a write. They come together unless one of them stalls.
static void offer_write(uint32_t address, uint32_t value, uint32_t strobes) {
    for (int waited = 0; top.s_axi_awvalid || top.s_axi_wvalid; ++waited) {
        cycle();
        if (waited == TIMEOUT) fail("a register write is not accepted");
    }
    for (bool address_offered = false, data_offered = false;;) {
        if (!address_offered && !stalls()) {
            top.s_axi_awaddr = address;
            top.s_axi_awvalid = address_offered = true;
        }
        if (!data_offered && !stalls()) {
            top.s_axi_wdata = value, top.s_axi_wstrb = strobes;
            top.s_axi_wvalid = data_offered = true;
        }
        if (address_offered && data_offered) return;
        cycle();
    }
}

static void offer_read(uint32_t address) {
    for (int waited = 0; top.s_axi_arvalid || stalls(); ++waited) {
        cycle();
        if (waited == TIMEOUT) fail("a register read is not accepted");
    }
    top.s_axi_araddr = address;
    top.s_axi_arvalid = 1;
}

// Wait for the responses to posted accesses.
static void finish(const unsigned& posted) {
    for (int waited = 0; posted; ++waited) {
        cycle();
        if (waited == TIMEOUT) fail("no response to a posted access");
    }
}

// A response of the register port: its code, and the value of a read.
struct Response {
    uint32_t code, value;

    uint32_t okay() const {
        if (code) fail("a register access is answered with an error");
        return value;
    }
};

static Response write_register(uint32_t address, uint32_t value, uint32_t strobes = 15) {
    finish(posted_writes);
    offer_write(address, value, strobes);
    for (int waited = 0; top.s_axi_awvalid || top.s_axi_wvalid; ++waited) {
        cycle();
        if (waited == TIMEOUT) fail("a register write is not accepted");
    }
    while (stalls()) cycle();
    top.s_axi_bready = 1;
    for (int waited = 0;; ++waited) {
        settle();
        bool done = top.s_axi_bvalid;
        Response response{top.s_axi_bresp, 0};
        edge();
        if (waited == TIMEOUT) fail("no response to a register write");
        if (!done) continue;
        top.s_axi_bready = 0;
        return response;
    }
}

static Response read_register(uint32_t address) {
    finish(posted_reads);
    offer_read(address);
    for (int waited = 0; top.s_axi_arvalid; ++waited) {
        cycle();
        if (waited == TIMEOUT) fail("a register read is not accepted");
    }
    while (stalls()) cycle();
    top.s_axi_rready = 1;
    for (int waited = 0;; ++waited) {
        settle();
        bool done = top.s_axi_rvalid;
        Response response{top.s_axi_rresp, top.s_axi_rdata};
        edge();
        if (waited == TIMEOUT) fail("no response to a register read");
        if (!done) continue;
        top.s_axi_rready = 0;
        return response;
    }
}

// Send the first `stop` words of a program; return early after TIMEOUT cycles without one. Then the
// last word stays offered.
static uint32_t send(const uint32_t* words, uint32_t count, uint32_t stop) {
    uint32_t offered = 0;
    for (int waited = 0; offered < stop || top.s_axis_program_tvalid; ++waited) {
        if (waited == TIMEOUT) return offered - (offered && top.s_axis_program_tvalid);
        if (!top.s_axis_program_tvalid && !stalls()) {
            top.s_axis_program_tvalid = 1;
            top.s_axis_program_tdata = words[offered];
            top.s_axis_program_tlast = ++offered == count;
        }
        settle();
        if (top.s_axis_program_tvalid && top.s_axis_program_tready) waited = -1;
        edge();
    }
    return offered;
}

// Send points and receive voxels up to the last one or for `limit` cycles; true if it came. A point
// that is offered at the end stays offered; the following ones are not sent.
static bool decode(uint64_t limit, const uint32_t* points, uint32_t count,
                   std::vector<uint32_t>& voxels) {
    uint32_t offered = 0;
    bool ended = false;
    for (uint64_t end = cycles + limit; !ended && cycles < end;) {
        if (offered < count && !top.s_axis_points_tvalid && !stalls()) {
            top.s_axis_points_tvalid = 1;
            top.s_axis_points_tdata = points[2 * offered] | uint64_t(points[2 * offered + 1]) << 32;
            top.s_axis_points_tlast = ++offered == count;
        }
        top.m_axis_voxels_tready = !stalls();
        settle();
        bool moves = top.m_axis_voxels_tvalid && top.m_axis_voxels_tready;
        Beat beat;
        edge();
        if (!moves) continue;
        voxels.insert(voxels.end(), beat.voxels, beat.voxels + beat.count());
        ended = beat.last;
    }
    top.m_axis_voxels_tready = 0;
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
    if (argc < 3) return std::fputs("usage: simulate SESSION RESPONSES [FILE]\n", stderr), 2;
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
    reset(1);
    for (uint32_t operation; read_words(&operation, 1);) {
        switch (operation) {
        case 0:
            reset(next_words(1)[0]);
            break;
        case 1: {
            std::vector<uint32_t> pair = next_words(2);
            write_register(pair[0], pair[1]).okay();
            break;
        }
        case 2:
            respond(read_register(next_words(1)[0]).okay());
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
        case 7: {
            std::vector<uint32_t> access = next_words(3);
            Response response = access[0] ? write_register(access[1], access[2], access[0])
                                          : read_register(access[1]);
            respond(response.code), respond(response.value);
            break;
        }
        case 8:
            stall = next_words(1)[0];
            break;
        case 9: {
            std::vector<uint32_t> access = next_words(3);
            if (access[0])
                offer_write(access[1], access[2], access[0]), ++posted_writes;
            else
                offer_read(access[1]), ++posted_reads;
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
#if VM_COVERAGE
    if (argc > 3) context.coveragep()->write(argv[3]);
#endif
    return std::fclose(responses) ? 2 : 0;
}
