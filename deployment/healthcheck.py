"""The image's HEALTHCHECK: ends with 0 when the process of this container answers at /healthz.

A container has one process, and this looks for it where a server, a worker of its own and a console would be.
"""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

_SECONDS = 3.0


def main() -> int:
    """Ask each port; the first that answers is the process."""
    of = os.environ.get
    server = (of("CONVERGENCE_HTTP_PORT") or "8000", bool(of("CONVERGENCE_TLS_CERTIFICATE_FILE")))
    worker = (of("CONVERGENCE_WORKER_HTTP_PORT") or "8000", False)
    console = (of("CONVERGENCE_UI_PORT") or "8080", bool(of("CONVERGENCE_UI_TLS_CERTIFICATE")))
    answered = any(_answers(int(port), tls=tls) for port, tls in dict.fromkeys((server, worker, console)))
    return 0 if answered else 1


def _answers(port: int, *, tls: bool) -> bool:
    connection = _to(port, tls=tls)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _to(port: int, *, tls: bool) -> HTTPConnection:
    if not tls:
        return HTTPConnection("127.0.0.1", port, timeout=_SECONDS)
    context = ssl.create_default_context()
    # The certificate is made out to the name that others know, and this is about whether somebody answers.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", port, timeout=_SECONDS, context=context)


if __name__ == "__main__":
    sys.exit(main())
