"""What is written down of a run: its journal and, where it is wanted, a transcript in Claude Code's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.events import Event, HistoryRewound, MessageAdded, QuestionsAnswered, RunStarted, StepChanged
from agent.session.journal import Journal
from agent.session.opening import Opened
from tools.resources import version
from tools.secrets import Redactor

if TYPE_CHECKING:
    from agent.session.transcribe import Transcriber


class Recording:
    """Writes every event. `transcript` is the file of the transcript, None for none."""

    def __init__(self, opened: Opened, cwd: Path, redactor: Redactor, transcript: Path | None) -> None:
        self._opened = opened
        self.directory = opened.directory
        self._journal = Journal(opened.directory, redactor)
        self._transcript: Transcriber | None = None
        if transcript is not None:
            from agent.session.transcribe import Transcriber

            self._transcript = Transcriber(transcript, cwd, redactor, version())

    def begin(self, started: RunStarted) -> None:
        """Write the beginning of a run, and before it goes on what its session takes over from elsewhere."""
        self._journal.record(started)
        restored = self._opened.restored
        if restored is None:
            return
        if self._opened.rewound:
            self._journal.record(HistoryRewound(kept=len(restored.history)))
        if self._opened.copied:
            for message, uuids in zip(restored.history, restored.uuids, strict=True):
                self._journal.record(
                    MessageAdded(message=message, uuid=uuids[-1]) if uuids else MessageAdded(message=message)
                )
            for step, record in sorted(restored.steps.items()):
                self._journal.record(StepChanged(step=step, status=record["status"], record=record))
            if restored.answers:
                self._journal.record(QuestionsAnswered(answers=restored.answers))
        if self._transcript is not None:
            messages = list(zip(restored.uuids, restored.history, strict=True))
            self._transcript.take_up(messages, self._opened.forked_from)

    def write(self, event: Event) -> str | None:
        """Write one event; says once why the transcript cannot be written any more. Raises `SessionError`."""
        self._journal.record(event)
        if self._transcript is None:
            return None
        self._transcript.read(event)
        problem = self._transcript.problem
        if problem is not None:
            self._transcript = None
        return problem

    def close(self) -> None:
        self._journal.close()
