"""The studio's socket, its browser and its end."""

import contextlib
import errno
import socket
import threading
import webbrowser

import uvicorn

from .._errors import Corr2dError
from ._http import make_app
from ._service import Service

__all__ = ["serve"]

_PORT = 8642  # the usual one, so that a shared link still leads here tomorrow


def serve(service: Service, port: int | None = None, *, browser: bool = True) -> None:
    """Serve the studio on 127.0.0.1 until Ctrl-C.

    Parameters
    ----------
    service
        What answers the page.
    port
        Default 8642, or any free one where that is taken.
    browser
        Whether to open the page in the user's browser.

    Raises
    ------
    Corr2dError
        The port is taken, or not for us.
    """
    listener = _bind(port)
    port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    config = uvicorn.Config(
        make_app(service, port), log_level="error", access_log=False, lifespan="off", proxy_headers=False, timeout_graceful_shutdown=1
    )
    # Connections wait in the socket's queue until the server runs, so the URL holds from here on.
    print(url, flush=True)
    if browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn has closed everything by then
        uvicorn.Server(config).run(sockets=[listener])


def _bind(port: int | None) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", _PORT if port is None else port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if port is None:
            return _bind(0)
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise Corr2dError(f"port {port} {reason}; choose another with --port, or leave it out for a free one") from None
    return listener
