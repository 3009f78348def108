"""Out of memory: recognise it, whatever the backend calls it, and find a batch that needs less and trains the same."""

from __future__ import annotations

# TensorFlow, PyTorch, Python and NumPy have classes for it; XLA says it in words.
CLASSES = ("ResourceExhaustedError", "OutOfMemoryError", "MemoryError", "_ArrayMemoryError")
WORDS = (
    "RESOURCE_EXHAUSTED",
    "out of memory",
    "OUT_OF_MEMORY",
    "can't allocate memory",
    "failed to allocate memory",
    "Dst tensor is not initialized",
    "CUBLAS_STATUS_ALLOC_FAILED",
)


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether `error`, or what it was raised from, says that memory ran out."""
    while error is not None:
        text = str(error).lower()
        if type(error).__name__ in CLASSES or any(words.lower() in text for words in WORDS):
            return True
        error = error.__cause__
    return False


def smaller_batch(batch_size: int, gradient_accumulation: int) -> tuple[int, int] | None:
    """Return a batch of half the size or less, and the accumulation with which an update sees as many examples.

    Args:
        batch_size: Examples a step.
        gradient_accumulation: Batches an update.

    Returns:
        The largest divisor of `batch_size` up to its half, and `gradient_accumulation` times what it was divided by;
        None for a batch of one, which cannot be smaller.

    Example:
        >>> smaller_batch(64, 1), smaller_batch(45, 2)
        ((32, 2), (15, 6))
    """
    if batch_size == 1:
        return None
    part = next(size for size in range(batch_size // 2, 0, -1) if batch_size % size == 0)
    return part, gradient_accumulation * (batch_size // part)
