"""Whether a jittered image may be made later, where only parts are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ['are_images_postponed', 'postponed_images']

_postponed: ContextVar[bool] = ContextVar('postponed', default=False)


@contextmanager
def postponed_images(postponed: bool = True) -> Iterator[None]:
    """Lets ``ScaleJitter`` leave a ``JitteredImage`` in place of an array.

    For a caller that knows that the jitter is the last step of a pipeline.

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
    """Whether a caller waits for a ``JitteredImage``."""
    return _postponed.get()
