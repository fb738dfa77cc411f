"""`make demo`: the main job on a bundled example, offline, with the playbook. Ends with the report.

The example is copied to `demo-output/`, so that its generated files can be looked at afterwards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "repair-api"
OUTPUT = ROOT / "demo-output"


def main() -> int:
    shutil.rmtree(OUTPUT, ignore_errors=True)
    project = OUTPUT / EXAMPLE.name
    shutil.copytree(EXAMPLE, project)
    env = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    env["EXPERT_DEVOPS_HOME"] = str(OUTPUT / "state")
    before = {path for path in project.rglob("*") if path.is_file()}
    command = ["expert-devops", "run", "-C", str(project.relative_to(ROOT)), "--model", "playbook", "--yes"]
    print(f"$ {' '.join(command)}\n", flush=True)
    code = subprocess.run(command, env=env, cwd=ROOT, check=False).returncode
    print("Files written:")
    for path in sorted({path for path in project.rglob("*") if path.is_file()} - before):
        print(f"  {path.relative_to(ROOT)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
