"""How a photograph is to be turned before it is shown: the orientation that cameras write into a JPEG's EXIF.

TensorFlow decodes the pixels as they are stored. Most programs that show images turn them, those for annotation too.
"""

from __future__ import annotations

START_OF_SCAN, APPLICATION, FILLING = b"\xda", b"\xe1", b"\xff"
ORIENTATION = 0x0112


def orientation(content: bytes) -> int:
    """Return the orientation in the EXIF of a JPEG file.

    Args:
        content: Of the file; of any other type it has none.

    Returns:
        1 for as it is stored, also when nothing is said; 2 to 8 for mirrored or turned.

    https://www.cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E
    """
    place = 2 if content[:2] == b"\xff\xd8" else len(content)
    while content[place : place + 1] == b"\xff":
        marker, length = content[place + 1 : place + 2], int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == APPLICATION and content[place + 4 : place + 10] == b"Exif\0\0":
            return _tag(content[place + 10 : place + 2 + length])
        # Marker bytes may be repeated to fill up.
        place += 1 if marker == FILLING else 2 + length if length >= 2 and marker != START_OF_SCAN else len(content)
    return 1


def _tag(tiff: bytes) -> int:
    little = tiff[:2] == b"II"

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], "little" if little else "big")

    first = number(4, 4)
    for entry in range(first + 2, min(first + 2 + 12 * number(first, 2), len(tiff)), 12):
        if number(entry, 2) == ORIENTATION:
            found = number(entry + 8, 2)
            return found if 1 <= found <= 8 else 1
    return 1
