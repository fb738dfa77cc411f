"""Hand-over messages: rendered in both languages and parsed back without loss."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.devops.handover import Handover, HandoverError, Language, parse, render
from tools.devops.handovers import handovers
from tools.devops.plan import make_plan
from tools.devops.project import scan_project
from tools.devops.spec import read_spec

EXAMPLES = Path(__file__).parents[2] / "examples"

_name = st.text(st.characters(categories=["L", "N"], exclude_characters="\u2028"), min_size=1, max_size=12)
_text = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=30)
_sentence = st.lists(_text, min_size=1, max_size=4).map(" ".join)


@given(
    st.sampled_from(["en", "ko"]),
    _name,
    _sentence,
    st.dictionaries(_name, _sentence, max_size=3),
    st.dictionaries(_name, st.lists(_sentence, max_size=3).map(tuple), max_size=3),
    st.lists(st.tuples(_name, _sentence), max_size=3).map(tuple),
)
def test_a_message_survives_being_written_and_read(
    language: Language,
    to: str,
    subject: str,
    facts: dict[str, str],
    groups: dict[str, tuple[str, ...]],
    steps: tuple[tuple[str, str], ...],
) -> None:
    message = Handover(to, "expert-devops", subject, facts, groups, steps)
    assert parse(render(message, language)) == message


@given(st.text())
def test_any_other_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with suppress(HandoverError):
        assert parse(text).to is not None


def test_a_message_without_a_recipient_is_refused() -> None:
    with pytest.raises(HandoverError, match="recipient"):
        parse("From: x\nSubject: y\n")


@pytest.mark.parametrize("name", ["repair-api", "trail-atlas", "clinic-queue"])
def test_every_example_gets_messages_to_the_partners_it_needs(name: str) -> None:
    root = EXAMPLES / name
    spec, project = read_spec(root), scan_project(root)
    messages = {m.to: m for m in handovers(make_plan(root, spec, project, []), spec, project)}
    assert ("expert-backend" in messages) == (name != "trail-atlas")
    assert ("expert-frontend" in messages) == (name != "repair-api")
    assert {"expert-security", "manager-tdd"} <= set(messages)
    for message in messages.values():
        assert message.next_steps
        assert parse(render(message, "ko" if name == "clinic-queue" else "en")) == message


def test_missing_items_come_from_the_code() -> None:
    root = EXAMPLES / "repair-api"
    spec, project = read_spec(root), scan_project(root)
    message = handovers(make_plan(root, spec, project, []), spec, project)[0]
    assert "Health endpoint" in message.groups["Missing items"]
    assert any("alembic upgrade head" in line for line in message.groups["Deployment requirements"])
    assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"} <= set(message.groups["Required environment variables"])
