import pytest
from fastapi.testclient import TestClient

from app import main


class FakeCache:
    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    async def incr(self, key: str) -> int:
        self.values[key] = self.values.get(key, 0) + 1
        return self.values[key]


def test_numbers_are_given_out_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main, "cache", FakeCache())
    client = TestClient(main.app)
    assert [client.post("/tickets").json()["number"] for _ in range(3)] == [1, 2, 3]
