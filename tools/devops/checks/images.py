"""What an image's reference says of its version."""

from __future__ import annotations

MOVING_TAGS = ("", "latest")
"""Tags that name another image from one day to the next."""


def tag_of(image: str) -> str:
    """The tag of an image reference, empty when it has none; the colon of a registry's port begins no tag."""
    return image.rsplit("/", 1)[-1].partition(":")[2]
