"""A renderer written from docs/numerics.md alone, without the code of implicore.

It uses Python's standard library only. ``test_numerics.py`` compares it with the golden model: a
change of the golden model must be described in the document first, then made here.
"""

import hashlib
import json
import struct
import zlib
from math import cos, floor, inf, isfinite, pi, prod, sin
from operator import mul

INTEGERS = {
    f"{u}int{b}": (0 if u else -(2 ** (b - 1)), 2 ** (b - (not u)) - 1)
    for u in ("", "u")
    for b in (8, 16, 32, 64)
}
FLOATS = {"float16": "<e", "float32": "<f", "float64": "<d"}
FORMATS = {
    "weight_bits": (4, 16),
    "activation_bits": (4, 16),
    "accumulator_bits": (1, 44),
    "multiplier_bits": (0, 15),
    "table_address_bits": (6, 14),
    "output_bits": (8, 16),
}
KEYS = {
    "network": {"frequencies", "width", "depth", "skips"},
    "formats": set(FORMATS),
    "frame": {"centre", "extent"},
    "grid": {"shape", "affine"},
    "intensity": {"low", "high", "dtype"},
}


def check(condition, message):
    if not condition:
        raise ValueError(message)


def half_up(x):
    return floor(x + 0.5)


def is_int(x, low, high=inf):
    return type(x) is int and low <= x <= high


def is_number(x):
    return type(x) in (int, float) and isfinite(x)


def are_numbers(row, n):
    return type(row) is list and len(row) == n and all(map(is_number, row))


def check_header(head, version):
    patches = version == 2
    expected = {**KEYS, "network": KEYS["network"] | ({"outputs"} if patches else set())}
    check(
        type(head) is dict and head.keys() == expected.keys() | ({"patch"} if patches else set()),
        "header: wrong keys",
    )
    for name, keys in expected.items():
        check(type(head[name]) is dict and head[name].keys() == keys, f"{name}: wrong keys")
    if patches:
        patch = head["patch"]
        check(type(patch) is list and len(patch) == 3, "patch")
        check(all(is_int(n, 1) for n in patch) and patch != [1, 1, 1], "patch")
        check(prod(patch) == head["network"]["outputs"] <= 2048, "outputs")
    for name, (low, high) in FORMATS.items():
        check(is_int(head["formats"][name], low, high), f"{name} out of range")
    net, frame, grid, intensity = (head[k] for k in ("network", "frame", "grid", "intensity"))
    check(all(is_int(net[k], 1) for k in ("frequencies", "width", "depth")), "network sizes")
    skips = net["skips"]
    check(
        type(skips) is list
        and all(is_int(s, 2, net["depth"]) for s in skips)
        and skips == sorted(set(skips)),
        "skips",
    )
    check(are_numbers(frame["centre"], 3), "centre")
    check(is_number(frame["extent"]) and frame["extent"] > 0, "extent")
    shape, affine = grid["shape"], grid["affine"]
    check(type(shape) is list and len(shape) == 3 and all(is_int(n, 1) for n in shape), "shape")
    check(
        type(affine) is list
        and len(affine) == 4
        and all(are_numbers(row, 4) for row in affine)
        and affine[3] == [0, 0, 0, 1],
        "affine",
    )
    check(is_number(intensity["low"]) and is_number(intensity["high"]), "low, high")
    check(intensity["dtype"] in [*INTEGERS, *FLOATS], "dtype")


def quarter_wave(A, N):
    """The magnitudes mag(0) .. mag(2^(A-2) - 1) of section 4."""
    Q = A - 2
    if A < 12:
        return [floor(2 ** (N - 1) * sin(pi / 2 * (r + 0.5) / 2**Q)) for r in range(2**Q)]
    n0 = (N + 2) // 3
    h = min(Q - 1, max(n0, N - n0))
    n1, n2, a = h - n0, Q - h, 2 ** (N - 1) * 4
    half = 2 ** (n2 - 1)
    slope = [
        [
            half_up(a * pi / 2 * cos(pi / 2 * (s + 0.5) / 2**n0) / 2**Q * (d + 0.5))
            for d in range(half)
        ]
        for s in range(2**n0)
    ]
    base = []
    for t in range(2**h):
        f = t * 2**n2 + 0.5
        g = f + 2**n2 - 1
        value = half_up(a * (sin(pi / 2 * f / 2**Q) + sin(pi / 2 * g / 2**Q)) / 2)
        base.append(min(value, a - 1 - max(slope[t >> n1])))
    mags = []
    for r in range(2**Q):
        t, s, e = r >> n2, r >> (n1 + n2), r % 2**n2
        mags.append(
            (base[t] + slope[s][e - half] if e >= half else base[t] - slope[s][half - 1 - e]) >> 2
        )
    return mags


def sine_table(A, N):
    up = [2 ** (N - 1) + m for m in quarter_wave(A, N)]
    wave = up + up[::-1]
    return wave + [2**N - 1 - u for u in wave]


class Program:
    def __init__(self, data):
        check(len(data) >= 48 and data[:8] == b"INRPROG\0", "not a program")
        version, size = struct.unpack_from("<II", data, 8)
        check(version in (1, 2), "unknown version")
        check(hashlib.sha256(data[:-32]).digest() == data[-32:], "SHA-256 differs")
        self.streams, self.at = data[:-32], 16 + size
        check(self.at <= len(self.streams), "header too long")
        raw = data[16 : self.at]
        self.head = head = json.loads(raw.decode("utf-8"))
        check_header(head, version)
        canonical = json.dumps(head, sort_keys=True, separators=(",", ":"))
        check(canonical.encode() == raw, "header is not canonical")
        self.frame, self.grid, self.formats = head["frame"], head["grid"], head["formats"]
        net, self.hash = head["network"], hashlib.sha256(raw)
        self.N, self.O = self.formats["activation_bits"], self.formats["output_bits"]
        self.skips, self.patch = net["skips"], head.get("patch", [1, 1, 1])
        self.read_layers(net["frequencies"], net["width"], net["depth"])
        check(self.at == len(self.streams), "bytes after the last stream")
        self.digest = self.hash.hexdigest()
        self.sine = sine_table(self.formats["table_address_bits"], self.N)

    def plane(self, size):
        """The next plane, of so many bytes."""
        start = self.at + 4
        check(start <= len(self.streams), "file too short")
        self.at = start + struct.unpack_from("<I", self.streams, start - 4)[0]
        check(self.at <= len(self.streams), "file too short")
        z = zlib.decompressobj()
        try:
            plane = z.decompress(self.streams[start : self.at], size + 1)
        except zlib.error as error:
            raise ValueError("damaged plane") from error
        check(len(plane) == size and z.eof and not z.unused_data, "damaged plane")
        self.hash.update(plane)
        return plane

    def section(self, count, bits, signed):
        """The integers of one section, plane after plane from the highest bits."""
        values, left = [0] * count, bits
        while left:
            width = min(left, 8)
            if left == width and bits > 8:
                packed = self.plane((width * count + 7) // 8)
                stream, last = int.from_bytes(packed, "big"), 8 * len(packed) - width
                parts = [(stream >> (last - width * i)) % 2**width for i in range(count)]
            else:
                parts = self.plane(count)
            values = [value << width | part for value, part in zip(values, parts, strict=True)]
            left -= width
        check(all(value < 2**bits for value in values), "integer out of range")
        if signed:
            values = [v - 2**bits if v >> (bits - 1) else v for v in values]
        return values

    def read_layers(self, L, width, depth):
        fm = self.formats
        outputs = [width] * (depth - 1) + [prod(self.patch)]
        inputs = [2 * L] + [width + 2 * L * (n in self.skips) for n in range(2, depth + 1)]
        neurons = sum(outputs)
        B = self.section(3 * L, 16, True)
        self.B = [B[3 * row : 3 * row + 3] for row in range(L)]
        flat = iter(self.section(sum(map(mul, outputs, inputs)), fm["weight_bits"], True))
        bits = fm["multiplier_bits"]
        multipliers = self.section(neurons, bits, False) if bits else [1] * neurons
        shifts = self.section(neurons, 6, False)
        offsets = self.section(neurons, max(self.N, self.O) + 8, True)
        constants = iter(zip(multipliers, shifts, offsets, strict=True))
        limit, largest = 2 ** (fm["accumulator_bits"] - 1), 2**self.N - 1
        self.layers = []
        for n_out, n_in in zip(outputs, inputs, strict=True):
            layer = []
            for _ in range(n_out):
                row = [next(flat) for _ in range(n_in)]
                check(
                    largest * sum(min(w, 0) for w in row) >= -limit
                    and largest * sum(max(w, 0) for w in row) < limit,
                    "accumulator overflow",
                )
                layer.append((row, *next(constants)))
            self.layers.append(layer)

    def voxels(self, c):
        """The voxels of the point at the integer coordinate c (sections 3 to 5)."""
        A, size = self.formats["table_address_bits"], len(self.sine)
        phases = [(sum(map(mul, row, c)) >> (24 - A)) % size for row in self.B]
        features = [self.sine[(p + quarter) % size] for quarter in (size // 4, 0) for p in phases]
        values = []
        for number, layer in enumerate(self.layers, 1):
            x = features if number == 1 else features + values if number in self.skips else values
            top = 2 ** (self.O if number == len(self.layers) else self.N) - 1
            values = []
            for weights, multiplier, shift, offset in layer:
                total = sum(map(mul, weights, x))
                y = ((((total * multiplier) << 3) >> shift) + offset) >> 3
                values.append(min(max(y, 0), top))
        return values

    def scaled_grid(self, k):
        shape, affine = self.grid["shape"], self.grid["affine"]
        check(0 < k < inf, "the scale must be positive")
        new = [max(1, half_up(n * k)) for n in shape]
        if new == shape:
            return shape, affine
        q = [n / m for n, m in zip(shape, new, strict=True)]
        h = [(x - 1) / 2 for x in q]
        return new, [
            [x * q[0], y * q[1], z * q[2], x * h[0] + y * h[1] + z * h[2] + t]
            for x, y, z, t in affine[:3]
        ]

    def lattice(self):
        """Shape and affine of the grid of patch centres."""
        shape, affine, p = self.grid["shape"], self.grid["affine"], self.patch
        h = [(n - 1) / 2 for n in p]
        return [(n + m - 1) // m for n, m in zip(shape, p, strict=True)], [
            [x * p[0], y * p[1], z * p[2], x * h[0] + y * h[1] + z * h[2] + t]
            for x, y, z, t in affine[:3]
        ]

    def grid_coordinates(self, shape, affine):
        extent, centre = self.frame["extent"], self.frame["centre"]
        step = [
            [0 if shape[a] == 1 else half_up(affine[r][a] / extent * 2**38) for r in range(3)]
            for a in range(3)
        ]
        origin = [half_up((affine[r][3] - centre[r]) / extent * 2**38) + 2**23 for r in range(3)]
        points = [
            [(origin[r] + x * step[0][r] + y * step[1][r] + z * step[2][r]) >> 24 for r in range(3)]
            for z in range(shape[2])
            for y in range(shape[1])
            for x in range(shape[0])
        ]
        check(all(-32768 <= v <= 32767 for c in points for v in c), "grid outside the format")
        return points

    def point_coordinates(self, world):
        check(are_numbers(world, 3), "a point has three numbers")
        x = [
            (w - m) / self.frame["extent"] for w, m in zip(world, self.frame["centre"], strict=True)
        ]
        check(all(-2 <= v <= 2 for v in x), "point outside the format")
        return [min(half_up(v * 2**14), 32767) for v in x]

    def decode_grid(self, k):
        check(self.patch == [1, 1, 1], "a program with patches has no scale")
        return [self.voxels(c)[0] for c in self.grid_coordinates(*self.scaled_grid(k))]

    def decode_points(self, points):
        check(self.patch == [1, 1, 1], "a program with patches has no free points")
        return [self.voxels(self.point_coordinates(p))[0] for p in points]

    def decode_patches(self):
        """The voxels of the source image from its patches (section 2)."""
        shape, affine = self.lattice()
        (X, Y, Z), (px, py, pz) = self.grid["shape"], self.patch
        image = [None] * (X * Y * Z)
        for number, c in enumerate(self.grid_coordinates(shape, affine)):
            j0, rest = number % shape[0], number // shape[0]
            j1, j2 = rest % shape[1], rest // shape[1]
            for n, voxel in enumerate(self.voxels(c)):
                x, y, z = j0 * px + n % px, j1 * py + n // px % py, j2 * pz + n // (px * py)
                if x < X and y < Y and z < Z:
                    image[x + X * (y + Y * z)] = voxel
        return image

    def intensity(self, voxel):
        low, high, dtype = (self.head["intensity"][k] for k in ("low", "high", "dtype"))
        value = low + voxel * ((high - low) / (2**self.O - 1))
        if dtype in INTEGERS:
            least, greatest = INTEGERS[dtype]
            return min(max(half_up(value), least), greatest)
        return struct.unpack(FLOATS[dtype], struct.pack(FLOATS[dtype], value))[0]
