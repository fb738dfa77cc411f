"""Reading SPEC documents: requirements, and what is stated, excluded or not stated about deployment."""

from __future__ import annotations

from tools.devops.spec.files import SpecError
from tools.devops.spec.locate import NoSpec, SpecRef, find_specs
from tools.devops.spec.reader import read_spec
from tools.devops.spec.tool import ReadSpec

__all__ = ["NoSpec", "ReadSpec", "SpecError", "SpecRef", "find_specs", "read_spec"]
