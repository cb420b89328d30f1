"""A web host for a folder: under a sub-path, compressed as hosts do, counting what it sends."""

import gzip
import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

SUB_PATH = "/a/sub-path/"


@dataclass
class Host:
    """Where the folder is served, and what was sent: path, bytes of the file, bytes as sent."""

    address: str
    sent: list[tuple[str, int, int]] = field(default_factory=list)


def handler_for(folder: Path, host: Host) -> type[BaseHTTPRequestHandler]:
    """Return the class that answers requests for files of the folder."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            file = folder / path.removeprefix(SUB_PATH)
            file = file / "index.html" if file.is_dir() else file
            if not path.startswith(SUB_PATH) or not file.is_file():
                self.send_error(404)
                return
            body = file.read_bytes()
            kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self.send_response(200)
            if kind.startswith("text/") or kind.endswith(("javascript", "json", "svg+xml")):
                packed = gzip.compress(body, mtime=0)
                self.send_header("Content-Encoding", "gzip")
            else:
                packed = body
            host.sent.append((path, len(body), len(packed)))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(packed)))
            with suppress(BrokenPipeError, ConnectionResetError):  # the page was closed
                self.end_headers()
                self.wfile.write(packed)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serve(folder: Path) -> Iterator[Host]:
    """Serve the folder on a free port of this machine."""
    host = Host("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(folder, host))
    server.daemon_threads = True
    host.address = f"http://127.0.0.1:{server.server_port}{SUB_PATH}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
