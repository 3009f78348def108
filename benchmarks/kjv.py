"""Write the King James Bible as one text file: a verse a line with its reference, in canonical order, 4.4 MB.

    apt-get install bible-kjv bible-kjv-text
    python benchmarks/kjv.py kjv.txt

Without the right to install: `apt-get download` both, unpack each with `dpkg-deb -x PACKAGE folder`, and pass
`--program folder/usr/bin/bible --library folder/usr/lib`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

VERSES = 31_102


def main() -> None:
    """Let Debian's program print all verses, and count them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--program", default="bible")
    parser.add_argument("--library", default="/usr/lib", help="the folder of bible.data")
    arguments = parser.parse_args()
    # -f switches the pretty printing off, which it begins with.
    command = [arguments.program, "-f", "-p", arguments.library, "Gen1:1-Rev22:21"]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    lines = text.count(b"\n")
    if lines != VERSES:
        raise SystemExit(f"{arguments.program} printed {lines} lines, not {VERSES} verses")
    beside = arguments.file.with_name(f".{arguments.file.name}.{os.getpid()}")
    beside.write_bytes(text)
    os.replace(beside, arguments.file)
    print(f"{arguments.file}: {VERSES} verses, {len(text)} bytes")


if __name__ == "__main__":
    main()
