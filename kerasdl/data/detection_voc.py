"""Boxes in Pascal VOC's folders: an XML file an image in `Annotations/`, the images in `JPEGImages/`.

A box is given by the first and last pixel that belong to it, counted from 1: left = xmin - 1, right = xmax. Objects
marked as difficult count as crowds do: neither to be found nor wrong to find. Files that declare a document type are
refused, so nothing in them can be expanded.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from kerasdl.data.detection_dataset import Annotated, annotate, check_size
from kerasdl.data.detection_files import class_index, distinct, existing, file_sizes, open_files, read_text
from kerasdl.errors import InputError

SPLIT_FILES = {"train": "train", "validation": "val", "test": "test"}
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass
class Node:
    """An element of XML: its name, text, children and line."""

    tag: str
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def find(self, tag: str) -> Node | None:
        """Return the first child of a name."""
        return next((child for child in self.children if child.tag == tag), None)


@dataclass(frozen=True)
class Thing:
    """An object of a file: its class, corners as written, whether it is difficult, and where that stands."""

    name: str
    corners: tuple[float, ...]
    difficult: bool
    where: str


@dataclass(frozen=True)
class Page:
    """What a file says: its objects; height and width of the image, if it does; and where these stand."""

    things: list[Thing]
    size: tuple[int, int] | None
    where: str


def find_voc(path: Path) -> Path | None:
    """Return the folder that has `Annotations/`: the one given, or the only one in it or in its `VOCdevkit/`."""
    if not path.is_dir():
        return None
    below = [folder.parent for pattern in ("*/Annotations", "VOCdevkit/*/Annotations") for folder in path.glob(pattern)]
    # Where names differ by case alone is one folder, `Annotations/` may be COCO's `annotations/`, without XML.
    found = [folder for folder in ([path] if (path / "Annotations").is_dir() else below) if _pages(folder)]
    return found[0] if len(found) == 1 else None


def _pages(root: Path) -> list[Path]:
    files = sorted((root / "Annotations").iterdir())
    return [file for file in files if file.suffix == ".xml" and not file.name.startswith(".")]


def read_voc(root: Path, *, invalid: str) -> tuple[dict[str, Annotated], tuple[str, ...]]:
    """Read a folder of Pascal VOC.

    Args:
        root: Has `Annotations/`, `JPEGImages/` and, for splits, `ImageSets/Main/train.txt`, `val.txt` and `test.txt`
            or `trainval.txt`. Without these all images are for training. `classes.txt` may name the classes in their
            order; else they are those of the training objects, by name.
        invalid: What is done about boxes that are wrong.

    Returns:
        What is known of each split, and the class names.

    Raises:
        InputError: For broken XML, missing entries or images, unknown classes, boxes that are wrong.
    """
    chosen, lists = _splits(root)
    pages = {
        split: [_page(root / "Annotations" / f"{name}.xml", origin) for name, origin in names]
        for split, names in chosen.items()
    }
    files = {split: [_image(root, name) for name, _ in names] for split, names in chosen.items()}
    kept = distinct(files, lists)
    listed = root / "classes.txt"
    if listed.is_file():
        class_names = tuple(line.strip() for line in read_text(listed).splitlines() if line.strip())
    else:
        class_names = tuple(sorted({thing.name for page in pages["train"] for thing in page.things}))
    index = {name: number for number, name in enumerate(class_names)}
    parts = {split: _annotated(files[split], pages[split], index, invalid) for split in kept}
    return parts, class_names


def _annotated(files: list[Path], pages: list[Page], index: dict[str, int], invalid: str) -> Annotated:
    sizes = file_sizes(files)
    for page, size in zip(pages, sizes, strict=True):
        if page.size:
            check_size(page.where, size.tolist(), page.size)
    flat = [thing for page in pages for thing in page.things]
    corners = np.array([thing.corners for thing in flat], np.float64).reshape(-1, 4) - [1, 1, 0, 0]
    return annotate(
        sizes,
        [number for number, page in enumerate(pages) for _ in page.things],
        corners,
        [class_index(thing.name, index, thing.where) for thing in flat],
        [thing.difficult for thing in flat],
        open_files(files, sizes),
        where=lambda number: flat[number].where,
        invalid=invalid,
    )


def _splits(root: Path) -> tuple[dict[str, list[tuple[str, str]]], dict[str, Path]]:
    """Return the names of each split's images with where each is listed, and the list of each split."""
    sets = root / "ImageSets" / "Main"
    files = {split: sets / f"{word}.txt" for split, word in SPLIT_FILES.items()}
    if not files["train"].is_file():
        files["train"] = sets / "trainval.txt"
        files.pop("validation" if files["train"].is_file() else "", None)
    if not files["train"].is_file():
        if sets.is_dir() and list(sets.glob("*.txt")):
            found = ", ".join(sorted(file.name for file in sets.glob("*.txt"))[:10])
            raise InputError(
                str(sets),
                received=f"the files {found}",
                expected="train.txt, val.txt and test.txt, or trainval.txt and test.txt",
                mend="Add train.txt, or remove the folder to have splits drawn.",
            )
        folder = root / "Annotations"
        return {"train": [(file.stem, str(folder)) for file in _pages(root)]}, {"train": folder}
    files = {split: file for split, file in files.items() if file.is_file()}
    return {split: _listed(file, root) for split, file in files.items()}, files


def _listed(file: Path, root: Path) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(file).splitlines(), 1):
        name = line.strip()
        # In lists of one class a number follows, which says whether it is there. Names may have spaces, too.
        marked = re.fullmatch(r"(.*\S)\s+(-1|0|1)", name)
        if marked and not (root / "Annotations" / f"{name}.xml").is_file():
            name = marked[1]
        if name:
            found.setdefault(name, f"{file} line {number}")
    return sorted(found.items())


def _image(root: Path, name: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG", ".bmp", ".gif"):
        if (file := root / "JPEGImages" / f"{name}{suffix}").is_file():
            return file
    return existing(root / "JPEGImages" / f"{name}.jpg", str(root / "Annotations" / f"{name}.xml"))


def parse_xml(file: Path) -> Node:
    """Return the root of an XML file.

    Raises:
        InputError: For broken XML, with its line, and for a document type, as entities could be expanded without end.
    """
    parser = expat.ParserCreate()
    path = [Node("", 0)]

    def start(tag: str, attributes: dict[str, str]) -> None:
        node = Node(tag, parser.CurrentLineNumber)
        path[-1].children.append(node)
        path.append(node)

    def text(part: str) -> None:
        path[-1].text += part

    def refuse(*_: object) -> None:
        raise InputError(
            f"{file} line {parser.CurrentLineNumber}",
            received="XML with a document type (DOCTYPE)",
            expected="annotations without one",
            mend="Take that line out: entities declared there could be expanded without end.",
        )

    parser.StartElementHandler, parser.CharacterDataHandler = start, text
    parser.EndElementHandler = lambda tag: path.pop()
    parser.StartDoctypeDeclHandler = refuse
    parser.buffer_text = True
    try:
        # As bytes, since the file itself may say what encoding it has.
        parser.Parse(file.read_bytes(), True)
    except expat.ExpatError as error:
        raise InputError(
            f"{file} line {error.lineno}",
            received=f"broken XML ({expat.ErrorString(error.code)})",
            expected="an annotation as Pascal VOC has them",
            mend="Correct it there, or export it again.",
        ) from None
    return path[0].children[0]


def _page(file: Path, origin: str) -> Page:
    if not file.is_file():
        raise InputError(
            origin,
            received=f"no annotation {file}",
            expected="an .xml file for each image, without objects if there are none",
            mend="Add it, or take the image off the list.",
        )
    found = []
    root = parse_xml(file)
    for node in root.children:
        if node.tag != "object":
            continue
        name, box, difficult = node.find("name"), node.find("bndbox"), node.find("difficult")
        if name is None or not name.text.strip() or box is None:
            missing = "bndbox" if name is not None and name.text.strip() else "name"
            raise InputError(
                f"{file} line {node.line}",
                received=f"an object without {missing}",
                expected="an object with a name and a bndbox",
                mend="Complete it, or take it out.",
            )
        corners = tuple(_corner(box, corner, file) for corner in CORNERS)
        marked = difficult is not None and difficult.text.strip() == "1"
        found.append(Thing(name.text.strip(), corners, marked, f"{file} line {box.line}"))
    size = root.find("size")
    return Page(found, _size(size), f"{file} line {root.line if size is None else size.line}")


def _size(node: Node | None) -> tuple[int, int] | None:
    """Return height and width; None where one is missing or 0, as some tools write it."""
    sides = [node.find(side) for side in ("height", "width")] if node else []
    texts = [side.text.strip() for side in sides if side]
    values = [int(text) for text in texts if re.fullmatch(r"\d{1,9}", text)]
    return (values[0], values[1]) if len(values) == 2 and all(values) else None


def _corner(box: Node, corner: str, file: Path) -> float:
    node = box.find(corner)
    text = "" if node is None else node.text.strip()
    # Some of VOC 2011's have fractions.
    if node is None or not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(nan|inf)", text, re.IGNORECASE):
        raise InputError(
            f"{file} line {box.line if node is None else node.line}",
            received=f"{corner} {text!r}" if node is not None else f"a bndbox without {corner}",
            expected=f"numbers for {', '.join(CORNERS)}",
            mend="Correct it there.",
        )
    return float(text)
