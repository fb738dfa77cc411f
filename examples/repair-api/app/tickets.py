"""Tickets: opening one, marking one as ready."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import get_session
from app.models import Ticket, TicketChange

router = APIRouter(prefix="/tickets", tags=["tickets"])
Session = Annotated[AsyncSession, Depends(get_session)]


class NewTicket(BaseModel):
    bicycle: str = Field(min_length=1, max_length=80)


class TicketView(BaseModel):
    id: int
    bicycle: str
    state: str


@router.post("", status_code=201)
async def open_ticket(new: NewTicket, session: Session) -> TicketView:
    ticket = Ticket(bicycle=new.bicycle, state="open")
    session.add(ticket)
    await session.flush()
    session.add(TicketChange(ticket_id=ticket.id, state=ticket.state))
    await session.commit()
    return TicketView(id=ticket.id, bicycle=ticket.bicycle, state=ticket.state)


@router.post("/{ticket_id}/ready")
async def repair_finished(ticket_id: int, session: Session) -> TicketView:
    ticket = await session.get(Ticket, ticket_id)
    if ticket is None:
        raise HTTPException(404, "no such ticket")
    ticket.state = "ready"
    session.add(TicketChange(ticket_id=ticket.id, state=ticket.state))
    await session.commit()
    return TicketView(id=ticket.id, bicycle=ticket.bicycle, state=ticket.state)
