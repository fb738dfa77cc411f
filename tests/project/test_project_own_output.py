"""What this program wrote is no evidence of what a project needs: it repeats what was found, for all units together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.devops.merge import stamp
from tools.devops.project import scan_project

EXAMPLE = "DATABASE_URL=postgresql://app:app@localhost:5432/app\n"


@pytest.mark.parametrize("ours", [True, False])
def test_only_an_example_file_of_people_tells_of_services(tmp_path: Path, ours: bool) -> None:
    (tmp_path / "package.json").write_text('{"name": "web", "dependencies": {"next": "15.0.0", "react": "19.0.0"}}')
    (tmp_path / ".env.example").write_text(stamp(EXAMPLE, ".env.example") if ours else EXAMPLE)
    (unit,) = scan_project(tmp_path).units
    assert (unit.services, "DATABASE_URL" in unit.env) == (((), False) if ours else (("postgres",), True))


def test_a_line_added_by_people_makes_it_theirs(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"name": "web", "dependencies": {"next": "15.0.0", "react": "19.0.0"}}')
    (tmp_path / ".env.example").write_text(stamp(EXAMPLE, ".env.example") + "MAIL_URL=smtp://localhost\n")
    (unit,) = scan_project(tmp_path).units
    assert {"DATABASE_URL", "MAIL_URL"} <= set(unit.env)
