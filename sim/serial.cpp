// A verilated accelerator with a serial link, and the host's end of the line.
// usage: serial DIVISOR, then commands on stdin:
//   'w' length bytes...      queue bytes for the line, without running a cycle
//   'r' cycles               run until the board has sent a byte, or for so many cycles after the
//                            last queued byte
// Numbers are 4 bytes, little-endian. 'r' writes the number of bytes, 0 or 1, and the byte.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "Vserial.h"
#include "verilated.h"

static Vserial top;
static uint32_t divisor;
static std::deque<uint8_t> outgoing;

static uint32_t number() {
    uint8_t bytes[4];
    if (std::fread(bytes, 1, 4, stdin) != 4) std::exit(0);
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | uint32_t(bytes[3]) << 24;
}

// Runs one cycle. Returns the byte whose stop bit was received in it, or -1.
static int cycle() {
    static uint32_t sent = 0, send_wait = 0, sending = 1;   // `sending` holds a 1 above its last bit
    static uint32_t receive_wait = 0, received = 0, bit = 0;
    if (send_wait) {
        --send_wait;
    } else if (sent < 10 && sending > 1) {
        top.rx = sending & 1, sending >>= 1, ++sent, send_wait = divisor - 1;
    } else if (!outgoing.empty()) {
        // The upper 1 marks the end, the lower one is the stop bit.
        sending = outgoing.front() << 1 | 3 << 9, sent = 0;
        outgoing.pop_front();
        top.rx = sending & 1, sending >>= 1, ++sent, send_wait = divisor - 1;
    } else {
        top.rx = 1;
    }
    top.clk = 0, top.eval();
    top.clk = 1, top.eval();
    if (!bit) {
        if (!top.tx) bit = 1, receive_wait = divisor / 2 + divisor, received = 0;
    } else if (--receive_wait == 0) {
        receive_wait = divisor;
        if (bit == 9) {
            bit = 0;
            if (!top.tx) std::fputs("the board sent a byte without a stop bit\n", stderr), std::exit(1);
            return received;
        }
        received |= top.tx << (bit++ - 1);
    }
    return -1;
}

int main(int argc, char** argv) {
    if (argc != 2) return std::fputs("usage: serial DIVISOR\n", stderr), 2;
    divisor = std::atoi(argv[1]);
    top.rx = 1, top.rst = 1;
    cycle();
    top.rst = 0;
    for (int command; (command = std::fgetc(stdin)) != EOF;) {
        if (command == 'w') {
            for (uint32_t count = number(); count--;) outgoing.push_back(std::fgetc(stdin));
        } else if (command == 'r') {
            int byte = -1;
            for (uint32_t count = number(); count && byte < 0;) {
                if (outgoing.empty()) --count;
                byte = cycle();
            }
            std::fputc(byte >= 0, stdout);
            if (byte >= 0) std::fputc(byte, stdout);
            std::fflush(stdout);
        } else {
            return std::fputs("unknown command: neither w nor r\n", stderr), 2;
        }
    }
}
