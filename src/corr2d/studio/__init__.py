"""The studio: one page on which kernels are edited, seen, learnt and taken along.

``corr2d studio`` serves it on this machine alone; `corr2d.KernelStudio` is the
same page in a notebook. Both are shells around one `Service`, which answers the
page's questions, and one set of ES modules in ``static/``, which asks them.

::

    _service.py   what can be asked: presets, describe, apply, learn, export, upload
    _requests.py  what the page sends, checked once
    _pictures.py  the pictures that the page refers to by number
    _http.py      the service over HTTP, and who may speak to it
    _serve.py     the socket, the browser, Ctrl-C
    _widget.py    the service in a notebook
"""

from ._service import Service

__all__ = ["Service"]
