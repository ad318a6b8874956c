"""A scripted carrier over HTTP."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Carrier:
    """Sends the answers of a list one after another, and repeats the last one."""

    def __init__(self):
        self.answers, self.requests = [(200, b"{}", {})], []
        carrier = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                carrier.requests.append((self.path, dict(self.headers), body))
                answer = carrier.answers.pop(0) if len(carrier.answers) > 1 else carrier.answers[0]
                if callable(answer):
                    return answer(self)
                status, content, headers = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def hang(seconds):
    def answer(handler):
        time.sleep(seconds)
        handler.close_connection = True

    return answer


def drop(handler):
    handler.close_connection = True


def drip(piece, pause, *, head=b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"):
    """Send bytes with short pauses, without end."""

    def answer(handler):
        try:
            handler.connection.sendall(head)
            for _ in range(200):
                handler.connection.sendall(piece)
                time.sleep(pause)
        except OSError:
            handler.close_connection = True

    return answer
