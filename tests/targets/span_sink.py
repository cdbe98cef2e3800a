# SPDX-License-Identifier: Apache-2.0
"""span_sink.py: takes what tracers send and throws it away: enough of Datadog's agent and of an OpenTelemetry collector for
both to be content. On a free port of 127.0.0.1; prints "ready" and "PORT N". GET /received tells how many messages came."""
import http.server


class Sink(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    received = 0

    def answer(self):
        Sink.received += self.command != "GET"
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while True:
                size = int(self.rfile.readline(), 16)
                self.rfile.read(size + 2)
                if not size:
                    break
        else:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # the agent's answers are JSON; a collector's is an empty message
        body = b'{"rate_by_service":{},"endpoints":["/v0.4/traces"]}'
        if "protobuf" in self.headers.get("Content-Type", ""):
            body = b""
        elif self.path == "/received":
            body = b"%d" % Sink.received
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("Content-Type", "application/json"))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = answer

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
server.daemon_threads = True
print("ready\nPORT %d" % server.server_port, flush=True)
server.serve_forever()
