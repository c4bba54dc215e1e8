#!/usr/bin/env python3
"""A server for updates: bundles in pieces, as RAUC asks for them, and the part of a hawkBit server that gateways speak with.

    image/server.py BUNDLES DEPLOY

The folder BUNDLES has VERSION.raucb. The file DEPLOY, where there is one, has the version that gateways are to install. The port
comes out as the first line; then, as one line of JSON each, what gateways say of themselves and of their installations.

hawkBit's own server is a program in Java that Debian does not have. This follows its documentation: Direct Device Integration API,
version 1 (eclipse.dev/hawkbit, "DDI API"). One tenant, one gateway, which is called "test" and has the token "of-this-test".
"""

import hashlib
import http.server
import json
import re
import sys
from pathlib import Path

BASE = "/DEFAULT/controller/v1/test"
ACTION = "1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    known = closed = False

    def do_GET(self):
        if self.path.endswith(".raucb"):
            self.piece(self.bundles / Path(self.path).name)
        elif self.is_known_gateway():
            if self.path == BASE:
                self.answer(self.what_to_do())
            elif self.path == f"{BASE}/deploymentBase/{ACTION}":
                self.answer(self.deployment())
            else:
                self.send_error(404)

    def do_PUT(self):
        if self.is_known_gateway():
            self.heard()
            Handler.known = True

    def do_POST(self):
        if self.is_known_gateway():
            Handler.closed |= self.heard()["status"]["execution"] == "closed"

    def is_known_gateway(self):
        known = self.path.startswith(BASE) and self.headers.get("Authorization") == "TargetToken of-this-test"
        if not known:
            self.send_error(401)
        return known

    def heard(self):
        """What the gateway says; it is written down and answered."""
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        print(json.dumps(said), flush=True)
        self.answer({})
        return said

    def what_to_do(self):
        """The base resource: where to look next, and when to come again."""
        links = {}
        if not self.known:
            links["configData"] = self.link(f"{BASE}/configData")
        if self.deploy.exists() and not self.closed:
            links["deploymentBase"] = self.link(f"{BASE}/deploymentBase/{ACTION}")
        return {"config": {"polling": {"sleep": "00:00:02"}}, "_links": links}

    def deployment(self):
        version = self.deploy.read_text().strip()
        data = (self.bundles / f"{version}.raucb").read_bytes()
        artifact = {
            "filename": f"{version}.raucb",
            "hashes": {name: hashlib.new(name, data).hexdigest() for name in ("sha1", "md5", "sha256")},
            "size": len(data),
            "_links": {"download-http": self.link(f"/{version}.raucb")},
        }
        chunk = {"part": "os", "name": "stile", "version": version, "artifacts": [artifact]}
        return {"id": ACTION, "deployment": {"download": "forced", "update": "forced", "chunks": [chunk]}}

    def link(self, path):
        return {"href": f"http://{self.headers['Host']}{path}"}

    def answer(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/hal+json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def piece(self, path):
        """The file, or the range of it that is asked for."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        try:
            file = path.open("rb")
        except OSError:
            return self.send_error(404)
        with file:
            size = path.stat().st_size
            first, last = map(int, asked.groups()) if asked else (0, size - 1)
            file.seek(first)
            piece = file.read(last - first + 1)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(piece)))
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{first + len(piece) - 1}/{size}")
        self.end_headers()
        self.wfile.write(piece)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: image/server.py BUNDLES DEPLOY")
    Handler.bundles, Handler.deploy = map(Path, sys.argv[1:])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
