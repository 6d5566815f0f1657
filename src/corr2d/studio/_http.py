"""The service over HTTP, for the page that came from here and for nothing else.

A page elsewhere on the web can make a browser send requests to this machine.
Three things stop it: the Host must be this server's (a name that was made to
point here is not), an Origin must be this server's, and questions carry a header
that a foreign page may not send without asking first, which is refused.
"""

import json
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .._errors import Corr2dError
from .._files import one_line
from ._pictures import LARGEST_UPLOAD
from ._service import Service

__all__ = ["make_app"]

HEADER = "x-corr2d"  # a request's and a reply's record, as ASCII JSON, beside the bytes of a picture
_LARGEST_QUESTION = 2**20  # bytes of JSON

_SECURITY = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}
_MEDIA = {".html": "text/html", ".css": "text/css", ".mjs": "text/javascript", ".svg": "image/svg+xml"}


def make_app(service: Service, port: int) -> ASGIApp:
    """The studio as an ASGI application that answers to this machine's *port* only."""

    async def question(request: Request) -> Response:
        if HEADER not in request.headers:
            return _refusal(403, f"the request lacks the header {HEADER}, which the studio's own page sends")
        try:
            record, data = await _asked(request)
            reply = await run_in_threadpool(service.answer, request.path_params["question"], record, data)
        except _TooLarge as error:
            return _refusal(413, str(error))
        except (Corr2dError, ValueError, TypeError) as error:
            return _refusal(400, one_line(error))
        except MemoryError:
            return _refusal(413, "not enough memory for this picture")
        except ClientDisconnect:
            return _refusal(400, "the page went away")
        if not reply.data:
            return JSONResponse(reply.record)
        return Response(reply.data, media_type=reply.media, headers={HEADER: json.dumps(reply.record)})

    files = _static_files()

    async def file(request: Request) -> Response:
        # A name is looked up among the names that ship; it never becomes a path.
        found = files.get(request.path_params.get("name", "") or "index.html")
        if found is None:
            return _refusal(404, "there is no such page")
        content, media = found
        return Response(content, media_type=f"{media}; charset=utf-8")

    app = Starlette(
        routes=[
            Route("/api/{question}", question, methods=["POST"]),
            Route("/", file),
            Route("/{name}", file),
        ]
    )
    return _Guard(app, port)


class _TooLarge(Exception):
    """A body above its limit."""


async def _asked(request: Request) -> tuple[dict[str, Any], bytes]:
    """The record and the bytes of a question: one of them in the body."""
    upload = request.path_params["question"] == "upload"
    body = await _body(request, LARGEST_UPLOAD if upload else _LARGEST_QUESTION)
    text = request.headers[HEADER] if upload else body
    try:
        record = json.loads(text or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise Corr2dError("the request is no JSON") from None
    return record, body if upload else b""


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


async def _body(request: Request, most: int) -> bytes:
    """The body, read no further than its limit, whatever its header promises."""
    size = f"more than {most >> 20} MB, which is the most that is taken here"
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most:
        raise _TooLarge(f"{length} bytes: {size}")
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > most:
            raise _TooLarge(size)
        parts.append(part)
    return b"".join(parts)


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"error": reason}, status_code=status)


def _static_files() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("corr2d.studio") / "static"
    kinds = {entry: "." + entry.name.rpartition(".")[2] for entry in folder.iterdir()}
    return {entry.name: (entry.read_bytes(), _MEDIA[kind]) for entry, kind in kinds.items() if kind in _MEDIA}


class _Guard:
    """Refuses foreign Hosts and Origins, and puts the security headers on every reply."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        origin = headers.get(b"origin", b"").decode("latin-1").lower()

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in _SECURITY.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        if host not in self._hosts:
            refusal = _refusal(403, f"Host {host[:100]!r} is not this server; open {min(self._origins)}")
            await refusal(scope, receive, secured)
        elif origin and origin not in self._origins:
            refusal = _refusal(403, f"Origin {origin[:100]!r} is not the studio's page")
            await refusal(scope, receive, secured)
        else:
            await self._app(scope, receive, secured)
