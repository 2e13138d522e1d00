"""Whether an image may be made later, where and if it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ['are_images_postponed', 'postponed_images']

_postponed: ContextVar[bool] = ContextVar('postponed', default=False)


@contextmanager
def postponed_images(postponed: bool = True) -> Iterator[None]:
    """Lets transforms leave in place of an array what makes it when needed.

    ``ScaleJitter`` leaves a ``JitteredImage``, ``CopyPaste`` a
    ``PastedImage``. For a caller that knows that they are the last step of a
    pipeline.

    Args:
        postponed: Whether it may. Defaults to True.

    Yields:
        Nothing.
    """
    token = _postponed.set(postponed)
    try:
        yield
    finally:
        _postponed.reset(token)


def are_images_postponed() -> bool:
    """Whether a caller waits for an image that is not made yet."""
    return _postponed.get()
