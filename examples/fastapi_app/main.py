"""A FastAPI app that sends a WhatsApp message per request, all of them over one client.

pip install 'llamadapro[sandbox]' fastapi           # uvicorn comes with the sandbox
llamadapro sandbox --port 8080
LLAMADAPRO_API_KEY=sandbox LLAMADAPRO_BASE_URL=http://127.0.0.1:8080 uvicorn --app-dir examples/fastapi_app main:app
curl localhost:8000/messages --json '{"to": "+14155552671", "text": "Hi Jane"}'
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from llamadapro import APIError, APITimeoutError, AsyncLlamadaPro, InvalidPhoneNumberError, RateLimitError

SENDER = "+56912345678"


class State(TypedDict):
    llamadapro: AsyncLlamadaPro


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """One client for the life of the app: its connections and limits are shared by all requests."""
    # Nobody waits two minutes for a web page: every call ends before a browser or a proxy gives up.
    async with AsyncLlamadaPro(deadline=20) as client:
        yield {"llamadapro": client}


def llamadapro(request: Request) -> AsyncLlamadaPro:
    """The shared client; a test puts its own in its place with `app.dependency_overrides`."""
    client: AsyncLlamadaPro = request.state.llamadapro
    return client


Client = Annotated[AsyncLlamadaPro, Depends(llamadapro)]

app = FastAPI(title="Messages", lifespan=lifespan)


class Outgoing(BaseModel):
    to: str
    text: str


class Sent(BaseModel):
    id: str
    status: str | None


@app.post("/messages", status_code=201)
async def send(outgoing: Outgoing, client: Client) -> Sent:
    message = await client.messages.send_text(to=outgoing.to, from_=SENDER, text=outgoing.text)
    return Sent(id=message.id, status=message.status)


@app.exception_handler(InvalidPhoneNumberError)
async def bad_number(request: Request, error: InvalidPhoneNumberError) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 422)


@app.exception_handler(RateLimitError)
async def busy(request: Request, error: RateLimitError) -> JSONResponse:
    """Not sent; who asks again later may well be served."""
    return JSONResponse(
        {"detail": "Too many messages at the moment; this one was not sent."},
        503,
        {"Retry-After": str(math.ceil(error.retry_after or 1))},
    )


@app.exception_handler(APIError)
async def failed(request: Request, error: APIError) -> JSONResponse:
    """Whoever asked must know whether asking again may send the message twice. What went wrong is for our log."""
    status = 504 if isinstance(error, APITimeoutError) else 502
    if error.may_have_been_processed:
        detail = "Unknown whether the message was sent: look before you repeat it."
    else:
        detail = "The message was not sent."
    return JSONResponse({"detail": detail, "may_have_been_sent": error.may_have_been_processed}, status)
