"""Reading SPEC documents: requirements, and what is stated, excluded or not stated about deployment."""

from __future__ import annotations

from tools.devops.spec.configuration import conversation_language
from tools.devops.spec.files import SpecError
from tools.devops.spec.locate import NoSpec, SpecRef, find_specs
from tools.devops.spec.reader import read_spec

__all__ = ["NoSpec", "SpecError", "SpecRef", "conversation_language", "find_specs", "read_spec"]
