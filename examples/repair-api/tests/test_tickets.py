from fastapi.testclient import TestClient

from app.database import get_session
from app.main import app


class FakeSession:
    def __init__(self) -> None:
        self.added: list[object] = []

    def add(self, row: object) -> None:
        self.added.append(row)

    async def flush(self) -> None:
        self.added[0].id = 1  # type: ignore[attr-defined]

    async def commit(self) -> None:
        pass

    async def get(self, _model: object, _key: int) -> None:
        return None


def test_a_new_ticket_is_open_and_its_change_is_recorded() -> None:
    session = FakeSession()
    app.dependency_overrides[get_session] = lambda: session
    response = TestClient(app).post("/tickets", json={"bicycle": "blue tandem"})
    assert response.status_code == 201
    assert response.json()["state"] == "open"
    assert len(session.added) == 2


def test_an_unknown_ticket_cannot_be_ready() -> None:
    app.dependency_overrides[get_session] = FakeSession
    assert TestClient(app).post("/tickets/9/ready").status_code == 404
