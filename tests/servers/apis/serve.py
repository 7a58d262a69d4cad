"""A guard in; one route of FastAPI behind it on a free port of loopback, until standard input ends, `ready URL` out."""

import json
import socket
import sys
import threading
import urllib.request

import uvicorn
from fastapi import FastAPI


def keys_of(issuer):
    """The key set of an issuer, as its metadata says where."""
    with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=10) as answer:
        place = json.load(answer)["jwks_uri"]
    with urllib.request.urlopen(place, timeout=10) as answer:
        return json.load(answer)


def serve(guard):
    app = FastAPI(dependencies=[guard])

    @app.get("/users")
    def users():
        return []

    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

    def until_the_end():
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=until_the_end, daemon=True).start()
    print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    server.run(sockets=[listener])
