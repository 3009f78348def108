"""Small images in a page: pixels as a PNG, and as the address of one that stands in the page itself."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 pixels of shape (height, width, 1 or 3) as a PNG (ISO/IEC 15948)."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_uri(pixels: np.ndarray) -> str:
    """Return the same as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png(pixels)).decode('ascii')}"


def thumbnail(image: np.ndarray, *, side: int) -> np.ndarray:
    """Return an image with 1 or 3 channels and no more than `side` pixels high and wide, by means over squares.

    Args:
        image: uint8 of shape (height, width, channels). Of two channels the first is seen, of more the first three.
        side: Pixels at most.
    """
    channels = 3 if image.shape[-1] >= 3 else 1
    image = np.asarray(image)[..., :channels]
    step = -(-max(image.shape[:2]) // side)
    if step == 1:
        return image
    height, width = (max(step, size // step * step) for size in image.shape[:2])
    padded = np.pad(image, [(0, max(0, height - image.shape[0])), (0, max(0, width - image.shape[1])), (0, 0)], "edge")
    squares = padded[:height, :width].reshape(height // step, step, width // step, step, channels)
    return squares.mean(axis=(1, 3)).round().astype(np.uint8)
