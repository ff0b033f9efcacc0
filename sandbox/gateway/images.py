"""Images: ministack's own ECR, until the strict one takes its place."""

from typing import Any

Place = tuple[str, str]  # account and Region


class Registries:
    """What tests may do with images."""

    def __init__(self, host: str) -> None:
        """`host` is where images are pushed to, for repository addresses."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError(f"{name} is not there yet")


def install(registries: Registries) -> None:
    """Nothing to do yet."""
