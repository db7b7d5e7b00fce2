"""Programs and their file: exact, stable, and safe to load from untrusted sources."""

import hashlib
import json
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.network_shape import NetworkShape
from implicore.program import Intensity, Program
from implicore.program_file import CHECK_BYTES, MAGIC, PREFIX
from implicore.random_program import random_program

SHAPE = NetworkShape(frequencies=5, width=7, depth=4, skips=(2, 4))


def reseal(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def with_header(program: Program, change) -> bytes:
    """Return the file of a program with an edited header and a valid checksum."""
    data = program.to_bytes()[:-CHECK_BYTES]
    size = PREFIX.unpack_from(data)[2]
    header = json.loads(data[PREFIX.size : PREFIX.size + size])
    change(header)
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return reseal(PREFIX.pack(MAGIC, 1, len(text)) + text + data[PREFIX.size + size :])


@pytest.mark.parametrize("formats", ["w8a12", "w4a4", "w16a16m15t14", "w9a5m9o8", "w16a4c44"])
@pytest.mark.parametrize("shape", [SHAPE, NetworkShape(1, 1, 1), NetworkShape(40, 64, 2)])
def test_files_read_back(tmp_path, shape, formats):
    program = random_program(shape, Formats.parse(formats), seed=3)
    program.save(tmp_path / "a.inr")
    again = Program.load(tmp_path / "a.inr")
    assert again.to_bytes() == program.to_bytes() == (tmp_path / "a.inr").read_bytes()
    assert again.digest == program.digest
    assert (again.shape, again.formats, again.grid) == (
        program.shape,
        program.formats,
        program.grid,
    )
    assert (again.frame, again.intensity) == (program.frame, program.intensity)
    assert (again.frequencies == program.frequencies).all()
    for left, right in zip(again.layers, program.layers, strict=True):
        for name in ("weights", "multipliers", "offsets", "shifts"):
            assert (getattr(left, name) == getattr(right, name)).all()


def test_the_digest_covers_everything():
    program = random_program(SHAPE, Formats(8, 12))
    first, layer, *rest = program.layers
    weights = layer.weights.copy()
    weights[3, 4] ^= 1
    others = [
        replace(program, intensity=Intensity(-100.0, 300.5, "int16")),
        replace(program, grid=program.grid.scaled(2)),
        replace(program, formats=Formats(8, 12, table_address_bits=9)),
        replace(
            program,
            layers=(program.layers[0], replace(layer, weights=weights), *program.layers[2:]),
        ),
        replace(program, frequencies=program.frequencies ^ 1),
    ]
    assert len({p.digest for p in [program, *others]}) == 6


@pytest.mark.parametrize("seed", range(4))
def test_500_damaged_files_are_rejected(seed):
    """Byte flips, truncations and extensions: one sentence each, and no large allocation."""
    rng = np.random.default_rng(seed)
    data = random_program(SHAPE, Formats(8, 12), seed=seed).to_bytes()
    tracemalloc.start()
    for case in range(500):
        damaged = bytearray(data)
        if case % 4 == 0:
            del damaged[rng.integers(len(data)) :]
        elif case % 4 == 1:
            damaged += rng.bytes(rng.integers(1, 200))
        else:
            damaged[rng.integers(len(data))] ^= rng.integers(1, 256)
        with pytest.raises(BadInput, match=r"^[A-Z][^\n]*\.$"):
            Program.from_bytes(bytes(damaged))
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_damage_with_a_valid_checksum_is_handled():
    """A forged checksum also gives one sentence, or a valid program."""
    rng = np.random.default_rng(9)
    body = random_program(SHAPE, Formats(8, 12)).to_bytes()[:-CHECK_BYTES]
    rejected = 0
    for _ in range(1500):
        damaged = bytearray(body)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(body))] = rng.integers(256)
        try:
            program = Program.from_bytes(reseal(bytes(damaged)))
        except BadInput:
            rejected += 1
        else:
            assert program.accumulator_bits <= program.formats.accumulator_bits
    assert rejected > 1000


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda h: h["network"].update(width=10**9),
            r"The header cannot be .* \(Network w",
        ),
        (
            lambda h: h["network"].update(width=8),
            r"The (file does not hold as many integers|integers cannot be)",
        ),
        (lambda h: h["network"].update(skips="ab"), r"The header cannot be .* \(Network s"),
        (lambda h: h["network"].pop("depth"), r"The header cannot be understood"),
        (
            lambda h: h["formats"].update(weight_bits=4),
            r"The program's weights of layer 1 must",
        ),
        (
            lambda h: h["formats"].update(accumulator_bits=12),
            r"The program's accumulators can need \d+",
        ),
        (lambda h: h["formats"].update(hidden=1), r"The header cannot be understood"),
        (lambda h: h["frame"].update(extent=float("nan")), r"A frame's extent must be a positive"),
        (lambda h: h["frame"].update(centre=[1, 2]), r"A frame's centre must be three finite"),
        (lambda h: h["frame"].update(extent="1"), r"The header is not in the canonical form"),
        (lambda h: h["frame"].update(extent=1), r"The header is not in the canonical form"),
        (lambda h: h["grid"].update(shape=[1, 2, 0]), r"A grid's shape must be three whole"),
        (lambda h: h["grid"].update(shape=[10**9] * 3), r"A grid's shape must be three whole"),
        (lambda h: h["grid"].update(affine=[[0] * 4] * 4), r"A grid's affine must end in the row"),
        (lambda h: h["intensity"].update(dtype="object"), r"The voxel type must be one of"),
        (lambda h: h["intensity"].update(low=1e400), r"The intensity scale must run from"),
        (lambda h: h.update(more=1), r"The header is not in the canonical form"),
        (lambda h: h.pop("grid"), r"The header cannot be understood"),
    ],
)
def test_forged_headers_are_rejected(change, text):
    data = with_header(random_program(SHAPE, Formats(8, 12)), change)
    with pytest.raises(BadInput, match=rf"^{text}[^\n]*\.$"):
        Program.from_bytes(data)


def test_impossible_intensities_are_rejected():
    text = r"^The intensity scale must run from a lower to a higher .* number, not from 3 to 3\.$"
    with pytest.raises(BadInput, match=text):
        Intensity(3, 3, "uint8")
    with pytest.raises(BadInput, match=r"^The voxel type must be one of uint8, .*, not 'str'\.$"):
        Intensity(0, 3, "str")


def test_a_plane_that_unpacks_to_gigabytes_is_rejected():
    program = random_program(SHAPE, Formats(8, 12))
    data = program.to_bytes()[:-CHECK_BYTES]
    streams = PREFIX.size + PREFIX.unpack_from(data)[2]
    compressor = zlib.compressobj(9)
    bomb = b"".join(compressor.compress(bytes(1 << 24)) for _ in range(64)) + compressor.flush()
    forged = data[:streams] + len(bomb).to_bytes(4, "little") + bomb
    tracemalloc.start()
    with pytest.raises(
        BadInput, match=r"^The file does not hold as many integers as its header states\.$"
    ):
        Program.from_bytes(reseal(forged))
    assert tracemalloc.get_traced_memory()[1] < 1 << 23
    tracemalloc.stop()


def test_files_that_are_not_programs_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"^The program .*none\.inr cannot be read: No such .*\.$"):
        Program.load(tmp_path / "none.inr")
    other = tmp_path / "other.inr"
    other.write_bytes(b"GIF89a")
    with pytest.raises(
        BadInput, match=r"other\.inr is not a usable program: the file does not begin"
    ):
        Program.load(other)
    other.write_bytes(MAGIC)
    with pytest.raises(BadInput, match=r"is not a usable program: the file is cut short\.$"):
        Program.load(other)
    body = PREFIX.pack(MAGIC, 3, 0)
    other.write_bytes(reseal(body))
    with pytest.raises(
        BadInput,
        match=r": the file has format version 3, but this release reads versions 1 and 2\.$",
    ):
        Program.load(other)


def test_an_accumulator_that_could_overflow_is_rejected():
    program = random_program(SHAPE, Formats(8, 12), weights="max")
    needed = program.accumulator_bits
    assert 127 * 4095 * 17 < 1 << (needed - 1) <= 2 * 127 * 4095 * 17
    replace(program, formats=Formats(8, 12, accumulator_bits=needed))
    text = (
        rf"^The program's accumulators can need {needed} bits, more than the {needed - 1} of its "
        rf"formats: compile it with accumulator_bits of at least {needed}\.$"
    )
    with pytest.raises(BadInput, match=text):
        replace(program, formats=Formats(8, 12, accumulator_bits=needed - 1))


@pytest.mark.parametrize("formats", ["w8a8", "w8a12"])
def test_weights_are_stored_near_their_entropy(formats):
    """Gaussian weights, as trained ones are: 5 % and 2 kB over the zero-order entropy."""
    program = random_program(NetworkShape(64, 64, 15), Formats.parse(formats))
    rng, top = np.random.default_rng(0), (1 << (program.formats.weight_bits - 1)) - 1
    layers = []
    for layer in program.layers:
        weights = np.clip(rng.normal(0, top / 4, layer.weights.shape), -top, top).astype(np.int16)
        layers.append(replace(layer, weights=weights))
    program = replace(program, layers=tuple(layers))
    values = np.concatenate([layer.weights.ravel() for layer in program.layers])
    share = np.unique(values, return_counts=True)[1] / len(values)
    entropy_bytes = -(share * np.log2(share)).sum() * len(values) / 8
    assert len(program.to_bytes()) < 1.05 * entropy_bytes + 2048


def test_programs_with_patches_have_version_2(tmp_path):
    shape = NetworkShape(frequencies=3, width=5, depth=3, skips=(2,), outputs=12)
    program = random_program(shape, Formats.parse("w6a8"), seed=4, patch=(3, 2, 2))
    path = tmp_path / "patch.inr"
    program.save(path)
    assert path.read_bytes()[8] == 2
    loaded = Program.load(path)
    assert loaded.patch == (3, 2, 2) and loaded.shape == shape
    assert loaded.digest == program.digest and loaded.to_bytes() == program.to_bytes()
    # Any other block of as many voxels has other coordinates: the digest covers the patch.
    assert random_program(shape, Formats.parse("w6a8"), seed=4).digest != program.digest


def test_programs_of_single_voxels_keep_version_1():
    program = random_program(NetworkShape(3, 5, 3), Formats.parse("w6a8"), patch=(1, 1, 1))
    data = program.to_bytes()
    assert data[8] == 1 and b"outputs" not in data and b"patch" not in data


def test_version_and_patch_must_agree():
    shape = NetworkShape(frequencies=3, width=5, depth=2, outputs=2)
    for program, version in (
        (random_program(shape, Formats(6, 8)), 1),
        (random_program(replace(shape, outputs=1), Formats(6, 8)), 2),
    ):
        data = bytearray(program.to_bytes()[:-32])
        data[8] = version
        with pytest.raises(BadInput, match=f"has format version {version}, but a patch"):
            Program.from_bytes(bytes(data) + hashlib.sha256(data).digest())


def test_patch_must_have_as_many_voxels_as_outputs():
    shape = NetworkShape(frequencies=3, width=5, depth=2, outputs=4)
    for patch in ((2, 2, 2), (4, 1, 0), (4, 1), (2.0, 2, 1)):
        with pytest.raises(BadInput, match="patch"):
            random_program(shape, Formats(6, 8), patch=patch)
