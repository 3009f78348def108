"""Loading a `.keras` file that anybody may have written: checked whole before Keras sees any of it.

A `.keras` file is a zip of a configuration, which names the objects to make, and of weights in HDF5. Keras's own safe
mode refuses lambdas and little else: it makes any public object of Keras, those that read files included, allocates
whatever sizes are asked for, and gives the weights to a C library that malformed files crash. Here

- the archive holds the three members that Keras writes, uncompressed, and nothing else (`archive`);
- the configuration names nothing but plain layers, operations, initializers, regularizers and constraints of Keras
  and the layers of the kit (`configuration`);
- the weights are read by a small reader of the part of HDF5 that Keras writes (`hdf5`), which follows no link and no
  file, and makes no more numbers than the file has;
- Keras is given a copy of what was read, and may make no more weights than were read (`budget`).

Whatever fails, fails as one :class:`kerasdl.InputError`.
"""

from kerasdl.safe_loading.archive import LARGEST_FILE
from kerasdl.safe_loading.loading import load_keras
from kerasdl.safe_loading.strict_json import open_regular, read_json, read_regular, sha256_of

# What a run or an export says of itself; vocabularies are in it.
LARGEST_JSON = 1 << 26

__all__ = ["LARGEST_FILE", "LARGEST_JSON", "load_keras", "open_regular", "read_json", "read_regular", "sha256_of"]
