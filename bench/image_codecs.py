"""JPEG 2000, JPEG XL and HEVC as codecs of uint8 volumes, for ``bench/rate_distortion.py``.

JPEG 2000 and JPEG XL encode each axial slice separately, HEVC encodes the slices as a video.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from rate_points import Point, point


class Codec(NamedTuple):
    """A codec of uint8 volumes.

    Attributes
    ----------
    name : str
    package : str
        The Python package that implements it.
    setting : str
        Name of its quality parameter.
    settings : tuple of numbers
        The settings to measure.
    encode : function (uint8 array, setting) -> list of bytes
        Streams that hold everything the decoder needs.
    decode : function (list of bytes) -> uint8 array of the same shape
    """

    name: str
    package: str
    setting: str
    settings: tuple[float, ...]
    encode: Callable[[np.ndarray, float], list[bytes]]
    decode: Callable[[list[bytes]], np.ndarray]

    def measure(self, data: np.ndarray, setting: float) -> Point:
        """Encode and decode a volume."""
        streams = self.encode(data, setting)
        return point(data, self.decode(streams), sum(map(len, streams)))


def _planes(data: np.ndarray):
    return (np.ascontiguousarray(data[:, :, k]) for k in range(data.shape[2]))


def encode_jpeg2000(data: np.ndarray, decibels: float) -> list[bytes]:
    """Encode with the irreversible wavelet, each slice to a PSNR of ``decibels``, without boxes."""
    from imagecodecs import jpeg2k_encode

    options = {"codecformat": "j2k", "reversible": False, "numthreads": 1}
    return [jpeg2k_encode(plane, level=decibels, **options) for plane in _planes(data)]


def decode_jpeg2000(streams: list[bytes]) -> np.ndarray:
    """Decode the streams of ``encode_jpeg2000``."""
    from imagecodecs import jpeg2k_decode

    return np.stack([jpeg2k_decode(stream, numthreads=1) for stream in streams], axis=-1)


def encode_jpegxl(data: np.ndarray, distance: float) -> list[bytes]:
    """Encode lossily at the default effort and a Butteraugli ``distance``, without a container."""
    from imagecodecs import jpegxl_encode

    options = {"effort": 7, "usecontainer": False, "numthreads": 1}
    return [jpegxl_encode(plane, distance=distance, **options) for plane in _planes(data)]


def decode_jpegxl(streams: list[bytes]) -> np.ndarray:
    """Decode the streams of ``encode_jpegxl``."""
    from imagecodecs import jpegxl_decode

    planes = (jpegxl_decode(stream, numthreads=1) for stream in streams)
    return np.stack([plane.reshape(plane.shape[:2]) for plane in planes], axis=-1)


def encode_hevc(data: np.ndarray, crf: float) -> list[bytes]:
    """Encode with x265, preset slow, tuned for PSNR, 8-bit grey, without container and banner."""
    import av

    parameters = f"crf={crf}:log-level=error:info=0:pools=none:frame-threads=1"
    file = io.BytesIO()
    with av.open(file, "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.height, stream.width = data.shape[:2]
        stream.pix_fmt = "gray"
        stream.options = {"preset": "slow", "tune": "psnr", "x265-params": parameters}
        for number, plane in enumerate(_planes(data)):
            frame = av.VideoFrame.from_ndarray(plane, format="gray")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [file.getvalue()]


def decode_hevc(streams: list[bytes]) -> np.ndarray:
    """Decode the stream of ``encode_hevc``."""
    import av

    with av.open(io.BytesIO(b"".join(streams)), format="hevc") as container:
        return np.stack([frame.to_ndarray() for frame in container.decode(video=0)], axis=-1)


CODECS = (
    Codec(
        "JPEG 2000",
        "imagecodecs",
        "dB",
        (18, 22, 26, 30, 34, 38, 42, 46, 50),
        encode_jpeg2000,
        decode_jpeg2000,
    ),
    Codec(
        "JPEG XL",
        "imagecodecs",
        "distance",
        (25, 15, 8, 4, 2, 1, 0.5),
        encode_jpegxl,
        decode_jpegxl,
    ),
    Codec("HEVC", "av", "crf", (46, 42, 38, 34, 30, 26, 22, 18, 14, 10), encode_hevc, decode_hevc),
)
