// Loads a program into a verilated accelerator, decodes a grid, prints the registers that count.
// usage: utilization PROGRAM.bin VOXELS.bin [ADDRESS=VALUE]... +READ ADDRESS...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "Vimplicore.h"

static Vimplicore top;
static uint64_t cycles = 0;

static void tick() {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
    ++cycles;
}

static void write_register(uint32_t address, uint32_t value) {
    top.s_axi_awaddr = address;
    top.s_axi_wdata = value;
    top.s_axi_wstrb = 15;
    top.s_axi_awvalid = top.s_axi_wvalid = top.s_axi_bready = 1;
    do tick(); while (!top.s_axi_bvalid);
    top.s_axi_awvalid = top.s_axi_wvalid = 0;
    tick();
    top.s_axi_bready = 0;
}

static uint32_t read_register(uint32_t address) {
    top.s_axi_araddr = address;
    top.s_axi_arvalid = 1;
    tick();
    top.s_axi_arvalid = 0;
    top.s_axi_rready = 1;
    uint32_t value = top.s_axi_rdata;
    tick();
    top.s_axi_rready = 0;
    return value;
}

int main(int argc, char** argv) {
    FILE* file = std::fopen(argv[1], "rb");
    std::vector<uint32_t> words;
    for (uint32_t word; std::fread(&word, 4, 1, file) == 1;) words.push_back(word);
    std::fclose(file);

    top.rst = 1;
    tick();
    top.rst = 0;
    for (size_t i = 0; i < words.size(); ++i) {
        top.s_axis_program_tdata = words[i];
        top.s_axis_program_tlast = i + 1 == words.size();
        top.s_axis_program_tvalid = 1;
        top.clk = 0;
        top.eval();
        while (!top.s_axis_program_tready) tick(), top.clk = 0, top.eval();
        tick();
    }
    top.s_axis_program_tvalid = 0;
    for (int i = 0; i < 8; ++i) tick();

    int argument = 3;
    for (; argument < argc && std::strcmp(argv[argument], "+READ"); ++argument) {
        char* value = std::strchr(argv[argument], '=') + 1;
        write_register(std::strtoul(argv[argument], nullptr, 0), std::strtoul(value, nullptr, 0));
    }
    uint64_t begin = cycles;
    file = std::fopen(argv[2], "wb");
    for (bool last = false; !last;) {
        top.m_axis_voxels_tready = 1;
        top.clk = 0;
        top.eval();
        if (top.m_axis_voxels_tvalid) {
            uint16_t voxel = top.m_axis_voxels_tdata;
            std::fwrite(&voxel, 2, 1, file);
            last = top.m_axis_voxels_tlast;
        }
        tick();
        if (cycles - begin > 400000000) return std::fputs("no end of the job\n", stderr), 1;
    }
    std::fclose(file);
    std::printf("%llu", (unsigned long long)cycles);
    for (++argument; argument < argc; ++argument)
        std::printf(" %u", read_register(std::strtoul(argv[argument], nullptr, 0)));
    std::printf("\n");
}
