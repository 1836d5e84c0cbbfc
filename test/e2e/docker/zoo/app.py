"""The application of the Python servers, WSGI and ASGI: the worker's pid.

ZOO_LOAD makes it slow to load, in seconds, or fail ("fail"): some masters
listen before their workers have loaded it.
"""
import os
import time

load = os.environ.get("ZOO_LOAD", "0")
if load == "fail":
    raise RuntimeError("ZOO_LOAD=fail")
time.sleep(float(load))


def answer():
    return f"zoo {os.getpid()}\n".encode()


def application(environ, start_response):
    body = answer()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = answer()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
