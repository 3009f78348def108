"""Who looks at whom in a trained transformer: the attention of "The cat sat on the mat." as a table and a picture.

    python benchmarks/attention.py                      # some minutes on two cores; writes docs/attention.svg
    python benchmarks/attention.py --text "A dog barks" --output dog.svg

The transformer has learnt nothing but to sort WordNet's definitions into topics.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import kerasdl  # noqa: E402 - TensorFlow reads the variable when it is imported
from recipes import text_classification  # noqa: E402


def main() -> None:
    """Train on the glosses, say what the text is taken for, print the strongest pairs and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", default="The cat sat on the mat.")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / "docs" / "attention.svg")
    options = parser.parse_args()
    result = text_classification.train(
        "glosses", architecture="transformer", epochs=options.epochs, batch_size=128, learning_rate=1e-3, verbose=2
    )
    print(f"{options.text!r} is taken for: {result.predict(options.text)['label'][0]}")
    found = kerasdl.diagnostics.attention_map(result, options.text)
    print(found.table())
    title = f"{options.text} ({result.recipe}, test accuracy {result.metrics['accuracy']:.2f})"
    options.output.write_text(found.picture(title=title), encoding="utf-8")
    print(f"Written: {options.output}")


if __name__ == "__main__":
    main()
