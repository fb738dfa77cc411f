"""Files of the agent's own state that only its user may read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.atomic import replacing


def write_private(path: Path, data: Any) -> None:
    """Replace `path` in one step with `data` as JSON, mode 0600. Raises `OSError` with nothing left behind."""
    with replacing(path, 0o600) as file:
        file.write(json.dumps(data, indent=1).encode("ascii"))
