"""One model for a whole session, which the host may exchange between two requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from agent.models.catalog import facts
from agent.models.choose import choose_model
from agent.models.port import Model, ModelError, Request

_OVERLOADS_BEFORE_FALLBACK = 3


class SteeredModel:
    """A `Model` that stands for the one chosen by name. `options` are added to every request.

    With a `fallback`, that model takes over after three refusals in a row for overload, until the host chooses again.
    """

    def __init__(self, name: str, env: Mapping[str, str], *, fallback: str | None = None) -> None:
        self._first = self._name = name
        self.env = env
        self._fallback = fallback
        self._overloads = 0
        self._models: dict[str, Model] = {}
        self.options: dict[str, Any] = {}

    @property
    def id(self) -> str:
        return self._model().id

    def use(self, name: str | None) -> None:
        """Switch; None goes back to the model of the start. Raises `ModelChoiceError` and keeps the present one."""
        before, self._name = self._name, name or self._first
        try:
            self._model()
        except Exception:
            self._name = before
            raise

    def begin_with(self, name: str) -> None:
        """Make `name` the model of the start, unless the host has chosen another meanwhile."""
        if self._name == self._first:
            self._name = name
        self._first = name

    def think(self, tokens: int | None) -> None:
        """Set the thinking budget; None leaves it to the model, 0 wants none."""
        self.options["thinking"] = None if tokens is None else thinking(self.id, tokens)

    def choose(self, name: str) -> Model:
        """Another model beside this one. Raises `ModelChoiceError`."""
        return choose_model(name, self.env)

    async def stream(self, request: Request) -> AsyncIterator[Mapping[str, Any]]:
        options = {key: value for key, value in self.options.items() if value is not None}
        events = self._model().stream(replace(request, options={**request.options, **options}))
        try:
            async for event in events:
                yield event
            self._overloads = 0
        except ModelError as error:
            self._overloads = self._overloads + 1 if error.kind == "overloaded" else 0
            if self._fallback and self._overloads >= _OVERLOADS_BEFORE_FALLBACK:
                self.use(self._fallback)
            raise
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    async def aclose(self) -> None:
        for model in self._models.values():
            await model.aclose()

    def _model(self) -> Model:
        if self._name not in self._models:
            self._models[self._name] = choose_model(self._name, self.env)
        return self._models[self._name]


def thinking(model_id: str, tokens: int) -> dict[str, Any] | None:
    """The `thinking` field nearest to a budget that the model accepts; None where it takes none."""
    known = facts(model_id)
    accepted = known.thinking if known else ("enabled", "disabled")
    if tokens <= 0:
        return {"type": "disabled"} if "disabled" in accepted else None
    if "adaptive" in accepted:
        return {"type": "adaptive"}
    return {"type": "enabled", "budget_tokens": max(tokens, 1024)} if "enabled" in accepted else None
