"""Requirements: ids in every spelling, the EARS patterns in both languages, shapes on the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.devops.spec import read_spec
from tools.devops.spec.requirements import ears_pattern
from tools.devops.types import Requirement


def _read(root: Path, text: str) -> tuple[Requirement, ...]:
    place = root / ".do/specs/SPEC-A-001"
    place.mkdir(parents=True)
    (place / "spec.md").write_text(text, encoding="utf-8")
    return read_spec(root).requirements


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("The system shall log every change.", "ubiquitous"),
        ("When a callback arrives, the system shall confirm.", "event"),
        ("WHILE offline, the system shall queue.", "state"),
        ("WHERE a second region exists, the system shall use it.", "optional"),
        ("If the disk is full, then the system shall stop.", "unwanted"),
        ("The system shall not log card numbers.", "unwanted"),
        ("While offline, when a message arrives, the system shall store it.", "complex"),
        ("시스템은 항상 이력을 남겨야 한다.", "ubiquitous"),
        ("**WHEN** 좌석을 선택하면 **THEN** 결과를 보여준다.", "event"),
        ("**IF** 시험 기간이면 **THEN** 2,000명을 처리한다.", "state"),
        ("가능하면 통계 메일을 보낸다.", "optional"),
        ("시스템은 학번을 남기지 않아야 한다.", "unwanted"),
        ("IF 로그인 상태 AND WHEN 버튼을 누르면 THEN 저장한다.", "complex"),
        ("A list of things", "unknown"),
    ],
)
def test_patterns(text: str, pattern: str) -> None:
    assert ears_pattern(text) == pattern


def test_ids_keep_their_spelling(tmp_path: Path) -> None:
    text = """# A
## Requirements
- REQ-INFRA-LB-004: The system shall balance.
- **U-API-003**: The system shall answer.
- **[REQ-U-001]** Het systeem SHALL loggen.
- REQ-M2-05 (State-Driven): **IF** 메모리가 부족하면 **THEN** 재시도해야 한다.
- **R1.2** (Event-Driven) WHEN 생성되면 THEN 기록해야 한다.
- NFR-02: Pages shall load in 2 s.
"""
    assert [(r.id, r.pattern, r.line) for r in _read(tmp_path, text)] == [
        ("REQ-INFRA-LB-004", "ubiquitous", 3),
        ("U-API-003", "ubiquitous", 4),
        ("REQ-U-001", "ubiquitous", 5),
        ("REQ-M2-05", "state", 6),
        ("R1.2", "event", 7),
        ("NFR-02", "ubiquitous", 8),
    ]


def test_lines_are_joined_and_headings_count(tmp_path: Path) -> None:
    text = """# A
## Requirements
- REQ-001: The system shall provide a `Makefile` with targets
  `build` and
  `test`.

### REQ-002: Plan on PR
WHEN a PR is opened, the system SHALL
run the plan.

**REQ-003** (Ubiquitous)
시스템은 **항상** 응답해야 한다.
"""
    made = _read(tmp_path, text)
    assert [(r.id, r.line) for r in made] == [("REQ-001", 3), ("REQ-002", 7), ("REQ-003", 11)]
    assert made[0].text.endswith("and test .") or made[0].text.endswith("and test.")
    assert made[1].text == "Plan on PR WHEN a PR is opened, the system SHALL run the plan."
    assert (made[1].pattern, made[2].pattern) == ("event", "ubiquitous")
    assert made[2].text == "시스템은 항상 응답해야 한다."


def test_tables_and_unnumbered_items(tmp_path: Path) -> None:
    text = """# A
## Requirements (요구사항)
| ID | Requirement | Priority |
|----|-------------|----------|
| REQ-T-1 | The system shall store orders in one place. | High |
| REQ-T-2 | 시스템은 주문을 한 곳에 저장해야 한다. | Low |

### Event-Driven Requirements
- WHEN a user signs in, the system shall greet them.
- 시스템은 인사해야 한다.

## Traceability
| REQ | File |
|-----|------|
| REQ-T-9 | src/somewhere in the tree of files |

## Assumptions
- The network shall be fast.
"""
    made = _read(tmp_path, text)
    assert [(r.id, r.pattern) for r in made] == [
        ("REQ-T-1", "ubiquitous"),
        ("REQ-T-2", "ubiquitous"),
        ("L9", "event"),
        ("L10", "event"),
    ]
    assert made[0].text == "The system shall store orders in one place."


def test_an_id_counts_once(tmp_path: Path) -> None:
    made = _read(tmp_path, "# A\n## Requirements\n- REQ-1: The system shall a.\n- REQ-1: The system shall b.\n")
    assert [(r.id, r.text) for r in made] == [("REQ-1", "The system shall a.")]
