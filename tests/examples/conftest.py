"""The fixtures of the proofs serve here too."""

from tests.proof.conftest import images, program

__all__ = ["images", "program"]
