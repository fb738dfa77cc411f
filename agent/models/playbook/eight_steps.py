"""The eight steps by rules: what a careful engineer would call, in order, and how a refused step is mended."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agent.models.playbook.script import Call, Json, Reply, Script, Turn
from agent.models.playbook.words import say

Part: TypeAlias = Generator[Turn, list[Reply], bool]
"""A part of the script; it returns whether the run can go on."""

WRITTEN_IN: Mapping[int, tuple[str, ...]] = {
    3: ("architecture",),
    4: (
        "dockerfile",
        "dockerignore",
        "compose",
        "railway",
        "railway_json",
        "vercel",
        "netlify",
        "kubernetes",
        "terraform",
        "sam",
        "cloudrun",
        "containerapps",
    ),
    5: ("workflow", "dependabot"),
    6: ("env_example", "secrets_doc"),
    7: ("runbook", "monitoring_doc"),
    8: ("handover",),
}
"""Step -> the artifact kinds it writes."""

INSTRUMENTED = frozenset({"health", "liveness", "metrics", "json_logs", "sigterm"})
"""What InstrumentApp can add to the code."""

_SERVING = frozenset({"backend", "fullstack"})
_MOST_REPAIRS = 2
_MOST_QUESTIONS = 4  # of one AskUserQuestion


class StuckError(Exception):
    """A step cannot go on; the message says why."""


@dataclass(slots=True)
class Engineer:
    """What is known while the script goes on.

    `delegates` is false once others have carried the requests out. `whose` holds `keep` or `replace` for each file that
    people wrote; `stuck` tells why it could not finish.
    """

    spec_name: str | None
    steps: Sequence[int]
    language: str = "en"
    delegates: bool = True
    spec: Json = field(default_factory=dict)
    project: Json = field(default_factory=dict)
    plan: Json = field(default_factory=dict)
    decisions: list[Json] = field(default_factory=list)
    whose: dict[str, str] = field(default_factory=dict)
    stuck: str = ""

    def say(self, key: str, **values: Any) -> str:
        return say(key, self.language, **values)

    def script(self) -> Script:
        """All selected steps, and what was done or what stopped them."""
        try:
            return (yield from self._work())
        except StuckError as stuck:
            return self.say("unfinished", reason=str(stuck))

    def _work(self) -> Script:
        """Steps 1 and 2 are always worked out, since the later ones need what they find."""
        if not (yield from self._analyse()) or not (yield from self._decide_platform()):
            return self.say("unfinished", reason=self.stuck)
        if {3, 4, 7} & set(self.steps):
            yield from self._instrument()
        for step in range(3, 9):
            if step in self.steps and not (yield from self._write_step(step)):
                return self.stuck
        unsupported = " ".join(self.plan.get("unsupported", ()))
        return self.say("done", unsupported=unsupported).strip()

    # --- steps 1 and 2 ---

    def _analyse(self) -> Part:
        named = {"spec": self.spec_name} if self.spec_name else {}
        spec, project = yield Turn(self.say("hello"), (("ReadSpec", named), ("DetectProject", {})))
        self.spec, self.project = spec.json(), project.json()
        if project.is_error:
            self.stuck = project.text
            return False
        if self.spec.get("id"):
            self.language = "ko" if _conversation_language(self.spec) == "ko" else "en"
            self.spec_name = self.spec["id"]
        elif self.spec_name:
            self.stuck = spec.text
            return False
        if 1 not in self.steps:
            return True
        return (yield from self._close(1, self._spec_summary(), self.spec.get("files", ())))

    def _spec_summary(self) -> str:
        if not self.spec.get("id"):
            return self.say("no_spec")
        fields: Mapping[str, Json] = self.spec["deployment"]
        by_status: dict[str, list[str]] = {"stated": [], "excluded": [], "not_stated": []}
        for name, entry in fields.items():
            value = f"{name} = {entry['value']}" if entry["status"] == "stated" else name
            by_status[entry["status"]].append(value)
        words = {status: ", ".join(names) or self.say("nothing") for status, names in by_status.items()}
        ids = [requirement["id"] for requirement in self.spec["requirements"]]
        return self.say(
            "spec_read",
            id=self.spec["id"],
            count=len(ids),
            ids=", ".join(ids) or self.say("nothing"),
            stated=words["stated"],
            excluded=words["excluded"],
            silent=words["not_stated"],
        )

    def _decide_platform(self) -> Part:
        if not [unit for unit in self.project["units"] if unit["kind"] != "library"]:
            self.stuck = self.say("no_units")
            return False
        yield from self._make_plan()
        questions = self.plan.get("questions", [])
        if questions:
            (answer,) = yield Turn("", (("AskUserQuestion", {"questions": [_question(q) for q in questions]}),))
            if answer.is_error:
                self.stuck = answer.text
                return False
            self.decisions += [_answered(question, answer.json()) for question in questions]
            yield from self._make_plan()
        platforms = [d for d in self.plan["decisions"] if d["name"].split(":")[0] == "platform"]
        self.decisions = [
            *self.decisions,
            *(d for d in platforms if d["name"] not in {x["name"] for x in self.decisions}),
        ]
        if 2 not in self.steps:
            return True
        chosen = ", ".join(f"{d['name']} = {d['value']} ({d['source']})" for d in platforms)
        return (yield from self._close(2, self.say("platform", platforms=chosen), (), platforms))

    def _make_plan(self) -> Generator[Turn, list[Reply], None]:
        (plan,) = yield Turn("", (("PlanDeployment", self._with_spec({"decisions": self.decisions})),))
        if plan.is_error:
            raise StuckError(plan.text)
        self.plan = plan.json()

    # --- steps 3 to 8 ---

    def _instrument(self) -> Generator[Turn, list[Reply], None]:
        """Add to the code what it lacks, before files are written that rely on it, such as a health path."""
        lacking = {m["unit"] for m in self.project["missing"] if m["what"] in INSTRUMENTED}
        units = [u["path"] for u in self.project["units"] if u["path"] in lacking and u["kind"] in _SERVING]
        if not units:
            return
        calls = tuple(("InstrumentApp", {"unit": path}) for path in units)
        yield Turn(self.say("instrumenting", units=", ".join(units)), calls)
        (project,) = yield Turn("", (("DetectProject", {}),))
        self.project = project.json() or self.project
        yield from self._make_plan()

    def _write_step(self, step: int) -> Part:
        artifacts = [a for a in self.plan["artifacts"] if a["kind"] in WRITTEN_IN[step]]
        written = yield from self._write(step, artifacts, "writing")
        if step == 8:
            yield from self._delegate()
        files = ", ".join(written) or self.say("nothing")
        summary = self.say("closing", step=step, files=files) if written else self.say("nothing_due", step=step)
        if step == 3:
            strategy = "; ".join(f"{unit}: {text}" for unit, text in self.plan.get("strategy", {}).items())
            summary = self.say("design", strategy=strategy or self.say("nothing"))
        return (yield from self._close(step, summary, written, mend=artifacts))

    def _write(self, step: int, artifacts: Sequence[Json], key: str) -> Generator[Turn, list[Reply], list[str]]:
        if not artifacts:
            return []
        paths = [artifact["path"] for artifact in artifacts]
        calls: list[Call] = [
            (
                "WriteArtifact",
                self._with_spec({"path": a["path"], "kind": a["kind"], "decisions": self.decisions}),
            )
            for a in artifacts
        ]
        replies = yield Turn(self.say(key, step=step, files=", ".join(paths)), tuple(calls))
        differing = [call for call, reply in zip(calls, replies, strict=True) if _conflicts(call, reply)]
        if differing:
            yield from self._ask_whose(differing)
        return paths

    def _ask_whose(self, calls: Sequence[Call]) -> Generator[Turn, list[Reply], None]:
        """Whether files that people wrote stay or go. Asked once: a later write follows the first answer."""
        asked = [call for call in calls if call[1]["path"] not in self.whose]
        for start in range(0, len(asked), _MOST_QUESTIONS):
            questions = [self._whose_question(call[1]["path"]) for call in asked[start : start + _MOST_QUESTIONS]]
            (answer,) = yield Turn("", (("AskUserQuestion", {"questions": questions}),))
            said = answer.json().get("answers", {})
            for question in questions:
                replace = said.get(question["question"]) == self.say("replace_it")
                self.whose[question["key"].removeprefix("file:")] = "replace" if replace else "keep"
        yield Turn("", tuple((name, {**data, "on_conflict": self.whose[data["path"]]}) for name, data in calls))

    def _whose_question(self, path: str) -> Json:
        keep, replace = self.say("keep_it"), self.say("replace_it")
        return {
            "question": self.say("whose", path=path),
            "header": self.say("whose_header"),
            "options": [
                {"label": keep, "description": self.say("keep_it_means")},
                {"label": replace, "description": self.say("replace_it_means")},
            ],
            "key": f"file:{path}",
            "default": keep,
        }

    def _delegate(self) -> Generator[Turn, list[Reply], None]:
        requests = self.plan.get("delegations", [])
        if requests and self.delegates:
            subjects = ", ".join(f"{r['to']}: {r['subject']}" for r in requests)
            yield Turn(self.say("handover", subjects=subjects), tuple(("Delegate", request) for request in requests))

    def _close(
        self,
        step: int,
        summary: str,
        artifacts: Sequence[str],
        decisions: Sequence[Json] = (),
        mend: Sequence[Json] = (),
    ) -> Part:
        """Claim the step; when it is refused, write what the findings name again and claim once more."""
        claim = {"step": step, "summary": summary, "artifacts": list(artifacts), "decisions": list(decisions)}
        for _ in range(_MOST_REPAIRS):
            (verdict,) = yield Turn("", (("CompleteStep", claim),))
            if not verdict.is_error:
                return True
            named = [artifact for artifact in mend if artifact["path"] in verdict.text]
            if not named:
                break
            yield from self._write(step, named, "mending")
        else:
            (verdict,) = yield Turn("", (("CompleteStep", claim),))
            if not verdict.is_error:
                return True
        self.stuck = self.say("stuck", step=step, report=verdict.text)
        return False

    def _with_spec(self, data: Json) -> Json:
        return data | {"spec": self.spec_name} if self.spec_name else data


def _conflicts(call: Call, reply: Reply) -> bool:
    return reply.text.startswith(f"{call[1]['path']}: conflict:")


def _conversation_language(spec: Mapping[str, Any]) -> str:
    configured = spec.get("config", {}).get("language")
    return str(configured or spec.get("language") or "en")[:2]


def _question(question: Mapping[str, Any]) -> Json:
    """A planner's question in the shape of the tool."""
    return {
        "question": question["question"],
        "header": question["header"],
        "options": question["options"],
        "multiSelect": question.get("multi_select", False),
        "key": question.get("key", ""),
        "default": question.get("default"),
    }


def _answered(question: Mapping[str, Any], reply: Mapping[str, Any]) -> Json:
    """The decision that an answer makes; a default taken by nobody's choice stays an assumption."""
    text = str(reply.get("answers", {}).get(question["question"], question["default"]))
    assumed = question["question"] in reply.get("assumed", ())
    return {
        "name": question["key"],
        "value": text,
        "source": "default" if assumed else "user",
        "evidence": question["why"] if assumed else f"{question['question']} {text}",
    }
