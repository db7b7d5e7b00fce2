// A gate-level simulator of a circuit that gates.py has encoded, a cycle at a time.
//
// All instances of a module are simulated side by side, each in a bit lane: one bit of a word. A
// net index stands for one net of a module in all instances, an operation for one cell in all of
// them. Operations come after those that drive their inputs. Only those are computed whose inputs
// changed.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

class Gates {
public:
    // Reads a file of words.
    static std::vector<uint32_t> read(const std::string& path) {
        FILE* file = std::fopen(path.c_str(), "rb");
        if (!file) fail("cannot read a file of the circuit");
        std::fseek(file, 0, SEEK_END);
        std::vector<uint32_t> words(std::ftell(file) / 4);
        std::rewind(file);
        if (std::fread(words.data(), 4, words.size(), file) != words.size())
            fail("cannot read a file of the circuit");
        std::fclose(file);
        return words;
    }

    static void save(const std::string& path, const std::vector<uint64_t>& words) {
        FILE* file = std::fopen(path.c_str(), "wb");
        if (!file || std::fwrite(words.data(), 8, words.size(), file) != words.size() ||
            std::fclose(file))
            fail("cannot write the activity");
    }

    // Flip-flops power up in a random state with a seed, else low.
    Gates(const std::string& path, uint64_t seed) {
        std::vector<uint32_t> all = read(path);
        const uint32_t* next = all.data();
        uint32_t nets = *next++;
        uint64_t total = 0;
        uint32_t widest = 1;
        for (uint32_t net = 0; net < nets; ++net) {
            bit_lanes.push_back(*next++);
            uint32_t count = (bit_lanes.back() + 63) / 64;
            offsets.push_back(uint32_t(total));
            total += count;
            if (count > widest) widest = count;
        }
        values.assign(total + 1, 0);  // gathering may read one word beyond the last
        difference.assign(widest, 0);
        uint32_t size = *next++;
        operations.assign(next, next + size);
        next += size;
        for (uint32_t left = *next++; left--; next += 3) {
            flops.push_back({next[0], next[1], next[2], uint32_t(staged.size())});
            staged.resize(staged.size() + (bit_lanes[next[1]] + 63) / 64);
        }
        enabled.assign(staged.size(), 0);
        uint32_t srams = *next++;
        while (srams--) {
            Sram sram;
            sram.bit_lanes = next[0], sram.width = next[1], sram.depth = next[2];
            uint32_t ports = next[3];
            next += 4;
            while (ports--) {
                Port port{next[0], next[1], next[2], {}, {}, {}, {}};
                next += 3;
                for (auto* list : {&port.address, &port.in, &port.mask, &port.out}) {
                    uint32_t count = *next++;
                    list->assign(next, next + count);
                    next += count;
                }
                sram.ports.push_back(port);
            }
            sram.words.assign(size_t(sram.bit_lanes) * sram.depth * ((sram.width + 63) / 64), 0);
            this->srams.push_back(sram);
        }
        // Net 0 is low and net 1 is high.
        for (uint32_t word = 0; word < words_of(1); ++word)
            values[offsets[1] + word] = ~uint64_t(0);
        for (const Flop& flop : flops)
            for (uint32_t word = 0; word < words_of(flop.q); ++word)
                values[offsets[flop.q] + word] = seed ? noise(seed) & mask(flop.q, word) : 0;
        find_users(nets);
        pending.assign((starts.size() + 63) / 64, 0);
        for (size_t number = 0; number < starts.size(); ++number)
            pending[number / 64] |= uint64_t(1) << number % 64;
        changed.assign(nets, 1);
        since.assign(nets, 0);
        toggles.assign(nets, 0), highs.assign(nets, 0), joint.assign(STATES * flops.size(), 0);
        reads.assign(this->srams.size(), 0), writes = reads;
    }

    // Sets the level of a net in one bit lane.
    void set(uint32_t net, uint32_t bit_lane, bool level) {
        uint64_t& word = values[offsets[net] + bit_lane / 64];
        uint64_t bit = uint64_t(1) << bit_lane % 64;
        if (bool(word & bit) == level) return;
        count(net, 1);
        word ^= bit;
        mark(net);
    }

    bool get(uint32_t net, uint32_t bit_lane) const {
        return values[offsets[net] + bit_lane / 64] >> bit_lane % 64 & 1;
    }

    // Computes all logic between two edges.
    void settle() {
        for (size_t word = 0; word < pending.size(); ++word)
            while (pending[word]) {  // an operation only marks later ones
                size_t bit = __builtin_ctzll(pending[word]);
                pending[word] &= pending[word] - 1;
                compute(&operations[starts[64 * word + bit]]);
            }
        if (counting) {
            for (size_t number = 0; number < flops.size(); ++number) count_states(number);
            ++counted;
        }
    }

    // The clock's edge: flip-flops and SRAMs take the levels that settled before it.
    void edge() {
        active.clear();
        for (const Flop& flop : flops) {
            const uint64_t* e = &values[offsets[flop.e]];
            if (flop.e != ALWAYS)
                for (uint32_t word = 0; word < words_of(flop.q); ++word)
                    enabled[flop.staged + word] = e[word];
            if (!changed[flop.d] && !changed[flop.e]) continue;
            const uint64_t* d = &values[offsets[flop.d]];
            const uint64_t* q = &values[offsets[flop.q]];
            for (uint32_t word = 0; word < words_of(flop.q); ++word)
                staged[flop.staged + word] = (d[word] ^ q[word]) & e[word] & mask(flop.q, word);
            active.push_back(&flop);
        }
        for (size_t number = 0; number < srams.size(); ++number) access(number);
        std::fill(changed.begin(), changed.end(), 0);
        for (const Flop* flop : active) {
            for (uint32_t word = 0; word < words_of(flop->q); ++word)
                difference[word] = staged[flop->staged + word];
            update(flop->q, &values[offsets[flop->q]]);
        }
        for (const ReadBit& bit : read_bits) set(bit.net, bit.bit_lane, bit.level);
        read_bits.clear();
    }

    // Starts and stops counting changes and times at high level.
    void start_counting() {
        std::fill(toggles.begin(), toggles.end(), 0);
        std::fill(highs.begin(), highs.end(), 0);
        std::fill(joint.begin(), joint.end(), 0);
        std::fill(reads.begin(), reads.end(), 0);
        std::fill(writes.begin(), writes.end(), 0);
        std::fill(since.begin(), since.end(), 0);
        counted = 0;
        counting = true;
    }

    void stop_counting() {
        for (uint32_t net = 0; net < bit_lanes.size(); ++net) count(net, 0);
        counting = false;
    }

    // Writes the number of cycles, then the counts.
    void write(const std::string& path) const {
        std::vector<uint64_t> words{counted};
        for (const auto* list : {&toggles, &highs, &joint, &reads, &writes})
            words.insert(words.end(), list->begin(), list->end());
        save(path, words);
    }

    // Appends some bit lanes of a net, packed.
    void append(uint32_t net, const std::vector<uint32_t>& bit_lanes,
                std::vector<uint64_t>& words) const {
        for (size_t bit_lane = 0; bit_lane < bit_lanes.size(); ++bit_lane) {
            if (bit_lane % 64 == 0) words.push_back(0);
            words.back() |= uint64_t(get(net, bit_lanes[bit_lane])) << bit_lane % 64;
        }
    }

    // Appends all bit lanes of a net, or sets them from words.
    void append(uint32_t net, std::vector<uint64_t>& words) const {
        const uint64_t* first = &values[offsets[net]];
        words.insert(words.end(), first, first + words_of(net));
    }

    void put(uint32_t net, const uint32_t*& words) {
        uint64_t* out = &values[offsets[net]];
        for (uint32_t word = 0; word < words_of(net); ++word, words += 2)
            difference[word] = out[word] ^ (words[0] | uint64_t(words[1]) << 32);
        update(net, out);
    }

    [[noreturn]] static void fail(const char* what) {
        std::fprintf(stderr, "%s\n", what);
        std::exit(1);
    }

private:
    static const uint32_t GATHER = 0xFFFFFFFF;
    static const uint32_t ALWAYS = 1;  // the net of an enable that is always high
    static const uint32_t STATES = 6;
    struct Flop {
        uint32_t d, q, e, staged;  // nets, and the first word in `staged`
    };
    struct Port {
        uint32_t enable, write, read;
        std::vector<uint32_t> address, in, mask, out;
    };
    struct Sram {
        uint32_t bit_lanes, width, depth;
        std::vector<Port> ports;
        std::vector<uint64_t> words;
    };
    struct ReadBit {
        uint32_t net, bit_lane;
        bool level;
    };

    std::vector<uint64_t> values;   // levels of all nets, one net after the other
    std::vector<uint32_t> offsets;  // first word of each net
    std::vector<uint32_t> bit_lanes;  // of each net
    std::vector<uint64_t> toggles, highs, joint;  // of nets, nets, states
    std::vector<uint64_t> reads, writes;          // of SRAMs
    uint64_t counted = 0;                         // cycles
    std::vector<uint32_t> operations;
    std::vector<Flop> flops;
    std::vector<Sram> srams;
    std::vector<uint64_t> staged, enabled, difference, since;
    std::vector<const Flop*> active;
    std::vector<ReadBit> read_bits;
    std::vector<uint8_t> changed;
    bool counting = false;

    std::vector<uint64_t> pending;             // operations to be computed, a bit each
    std::vector<uint32_t> starts;              // first word of each operation
    std::vector<uint32_t> users, first_users;  // operations that read each net

    void find_users(uint32_t nets) {
        std::vector<std::vector<uint32_t>> found(nets);
        for (size_t place = 0; place < operations.size();) {
            const uint32_t* operation = &operations[place];
            uint32_t inputs = operation[2];
            for (uint32_t input = 0; input < inputs; ++input)
                found[operation[3 + input]].push_back(uint32_t(starts.size()));
            starts.push_back(uint32_t(place));
            place += 3 + inputs;
            if (operation[0] == GATHER) place += 1 + 3 * operation[3 + inputs];
        }
        for (const auto& list : found) {
            first_users.push_back(uint32_t(users.size()));
            users.insert(users.end(), list.begin(), list.end());
        }
        first_users.push_back(uint32_t(users.size()));
    }

    void mark(uint32_t net) {
        changed[net] = 1;
        for (uint32_t user = first_users[net]; user < first_users[net + 1]; ++user)
            pending[users[user] / 64] |= uint64_t(1) << users[user] % 64;
    }

    void compute(const uint32_t* operation) {
        const uint32_t* sources = operation + 3;
        if (operation[0] == GATHER) {
            const uint32_t* runs = sources + operation[2];
            gather(operation[1], runs + 1, *runs);
        } else {
            evaluate(operation[0], operation[1], sources);
        }
    }

    uint32_t words_of(uint32_t net) const { return (bit_lanes[net] + 63) / 64; }

    uint64_t mask(uint32_t net, uint32_t word) const {
        uint32_t rest = bit_lanes[net] - 64 * word;
        return rest >= 64 ? ~uint64_t(0) : (uint64_t(1) << rest) - 1;
    }

    static uint64_t noise(uint64_t& state) {  // Marsaglia's xorshift64
        return state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    }

    // Counts D, Q and both in cycles that end with an edge of the flip-flop's clock, and the same
    // in cycles that began with one.
    void count_states(size_t number) {
        const Flop& flop = flops[number];
        const uint64_t* d = &values[offsets[flop.d]];
        const uint64_t* q = &values[offsets[flop.q]];
        const uint64_t* e = &values[offsets[flop.e]];
        uint64_t* states = &joint[STATES * number];
        for (uint32_t word = 0; word < words_of(flop.q); ++word) {
            uint64_t now = e[word] & mask(flop.q, word);
            uint64_t before =
                flop.e == ALWAYS ? now : enabled[flop.staged + word] & mask(flop.q, word);
            states[0] += __builtin_popcountll(d[word] & now);
            states[1] += __builtin_popcountll(q[word] & now);
            states[2] += __builtin_popcountll(d[word] & q[word] & now);
            states[3] += __builtin_popcountll(d[word] & before);
            states[4] += __builtin_popcountll(q[word] & before);
            states[5] += __builtin_popcountll(d[word] & q[word] & before);
        }
    }

    // Counts the time that a net held its present value, before it changes.
    void count(uint32_t net, uint64_t bits) {
        if (!counting) return;
        uint64_t high = 0;
        for (uint32_t word = 0; word < words_of(net); ++word)
            high += __builtin_popcountll(values[offsets[net] + word] & mask(net, word));
        highs[net] += high * (counted - since[net]);
        since[net] = counted;
        toggles[net] += bits;
    }

    // Applies `difference` to a net.
    void update(uint32_t net, uint64_t* out) {
        uint32_t size = words_of(net);
        uint64_t any = 0;
        for (uint32_t word = 0; word < size; ++word) any |= difference[word];
        if (!any) return;
        mark(net);
        if (counting) {
            uint64_t bits = 0;
            for (uint32_t word = 0; word < size; ++word)
                bits += __builtin_popcountll(difference[word] & mask(net, word));
            count(net, bits);
        }
        for (uint32_t word = 0; word < size; ++word) out[word] ^= difference[word];
    }

    void evaluate(uint32_t function, uint32_t target, const uint32_t* sources) {
        const uint64_t* inputs[16];
        uint64_t* out = &values[offsets[target]];
        uint32_t size = words_of(target);
#define x(number) inputs[number][word]
#define CELL(number, arity, expression)                                               \
    case number:                                                                      \
        for (uint32_t input = 0; input < arity; ++input)                              \
            inputs[input] = &values[offsets[sources[input]]];                         \
        for (uint32_t word = 0; word < size; ++word) difference[word] = out[word] ^ (expression); \
        break;
        switch (function) {
#include "cells.h"
        default: fail("the netlist has a cell of another library");
        }
#undef CELL
#undef x
        update(target, out);
    }

    // Gathers bits of other modules' instances: runs of (first bit lane, first bit of all values,
    // length).
    void gather(uint32_t target, const uint32_t* run, uint32_t runs) {
        uint64_t* out = &values[offsets[target]];
        uint32_t size = words_of(target);
        for (uint32_t word = 0; word < size; ++word) difference[word] = 0;
        for (; runs--; run += 3) {
            uint32_t bit_lane = run[0], bit = run[1], length = run[2];
            while (length) {
                uint32_t room = 64 - bit_lane % 64, part = length < room ? length : room;
                uint64_t bits = values[bit / 64] >> bit % 64;
                if (bit % 64 + part > 64) bits |= values[bit / 64 + 1] << (64 - bit % 64);
                if (part < 64) bits &= (uint64_t(1) << part) - 1;
                difference[bit_lane / 64] |= bits << bit_lane % 64;
                bit_lane += part, bit += part, length -= part;
            }
        }
        for (uint32_t word = 0; word < size; ++word) difference[word] ^= out[word];
        update(target, out);
    }

    void access(size_t number) {
        Sram& sram = srams[number];
        uint32_t words = (sram.width + 63) / 64;
        for (const Port& port : sram.ports) {
            for (uint32_t first = 0; first < sram.bit_lanes; first += 64) {
                uint64_t enabled = values[offsets[port.enable] + first / 64];
                for (uint32_t bit_lane = first; enabled && bit_lane < sram.bit_lanes;
                     ++bit_lane, enabled >>= 1) {
                    if (!(enabled & 1)) continue;
                    bool writing = get(port.write, bit_lane), reading = get(port.read, bit_lane);
                    uint32_t address = 0;
                    for (size_t bit = 0; bit < port.address.size(); ++bit)
                        address |= uint32_t(get(port.address[bit], bit_lane)) << bit;
                    if (address >= sram.depth) continue;
                    uint64_t* word = &sram.words[(size_t(bit_lane) * sram.depth + address) * words];
                    if (reading)
                        for (uint32_t bit = 0; bit < port.out.size(); ++bit)
                            read_bits.push_back(
                                {port.out[bit], bit_lane, bool(word[bit / 64] >> bit % 64 & 1)});
                    for (uint32_t bit = 0; writing && bit < port.in.size(); ++bit) {
                        if (!port.mask.empty() && !get(port.mask[bit], bit_lane)) continue;
                        uint64_t one = uint64_t(1) << bit % 64;
                        word[bit / 64] &= ~one;
                        if (get(port.in[bit], bit_lane)) word[bit / 64] |= one;
                    }
                    if (counting) reads[number] += reading, writes[number] += writing;
                }
            }
        }
    }
};
