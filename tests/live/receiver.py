# SPDX-License-Identifier: Apache-2.0
"""A server that takes what coroscope delivers, or behaves as badly as it is told. On the loopback interface only.

`behaviour` says what to do with each request in turn, the last for all that follow: a function that gets the Connection.
"""
import collections
import contextlib
import email
import gzip
import socket
import ssl
import struct
import subprocess
import threading
import time

Request = collections.namedtuple("Request", "time method path headers body")


class Connection:
    """One request of one client, being read or answered."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def receive(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed by the client")
        self.buffer += data

    def head(self):
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ")
        self.headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines[1:])}
        self.began = time.monotonic()

    def body(self):
        if self.headers.get("transfer-encoding") != "chunked":
            return self.take(int(self.headers.get("content-length", 0)))
        body = b""
        while length := int(self.line(), 16):
            body += self.take(length)
            self.line()
        self.line()
        return body

    def take(self, length):
        while len(self.buffer) < length:
            self.receive()
        taken, self.buffer = self.buffer[:length], self.buffer[length:]
        return taken

    def line(self):
        while b"\r\n" not in self.buffer:
            self.receive()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def answer(self, status, body=b"", **headers):
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def answers(status, body=b"", **headers):
    """Reads the request and answers so."""
    def behave(connection, keep):
        keep(connection.body())
        connection.answer(status, body, **headers)
    return behave


takes = answers(200)


def resets(connection, _keep):
    """Ends the connection in the middle of the upload."""
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stalls(connection, keep):
    """Never answers; ends when the client goes."""
    keep(connection.body())
    with contextlib.suppress(ConnectionError, OSError):
        while True:
            connection.receive()


def never_ends(connection, keep):
    keep(connection.body())
    connection.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(20000):  # 1.3 GB, should the client take it
            connection.sock.sendall(b"x" * 65536)


def says(*pieces):
    """Reads the request and answers with these bytes, the last of them for ever."""
    def behave(connection, keep):
        keep(connection.body())
        with contextlib.suppress(OSError):
            for piece in pieces:
                connection.sock.sendall(piece)
            for _ in range(20000):
                connection.sock.sendall(pieces[-1])
    return behave


class Receiver:
    """port: one that a former server had; else any."""

    def __init__(self, *behaviour, tls=None, port=0):
        self.behaviour, self.tls, self.port = list(behaviour) or [takes], tls, port
        self.requests, self.begun, self.bytes_sent = [], 0, 0
        self.lock = threading.Lock()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # or else the thread in accept() keeps it open
        self.listener.close()

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://localhost:{self.port}"

    def listen(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        with contextlib.suppress(OSError, ConnectionError), sock:
            sock.settimeout(60)
            connection = Connection(self.tls.wrap_socket(sock, server_side=True) if self.tls else sock)
            connection.head()
            with self.lock:
                self.begun += 1
                behave = self.behaviour.pop(0) if len(self.behaviour) > 1 else self.behaviour[0]
            behave(connection, lambda body: self.keep(connection, body))

    def keep(self, connection, body):
        with self.lock:
            self.requests.append(Request(connection.began, connection.method, connection.path, connection.headers, body))


def plain_body(request):
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


def parts(request):
    """Of a form: name -> (file name, type, bytes)."""
    message = email.message_from_bytes(b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body)
    return {part.get_param("name", header="content-disposition"): (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
            for part in message.get_payload()}


def fields(data):
    """A protobuf message without its schema: number -> values; what has a length stays bytes."""
    found, at = collections.defaultdict(list), 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            found[tag >> 3].append(varint())
        elif tag & 7 == 1:
            found[tag >> 3].append(int.from_bytes(data[at:at + 8], "little"))
            at += 8
        else:
            assert tag & 7 == 2, tag
            length = varint()
            found[tag >> 3].append(data[at:at + length])
            at += length
    return found


class Certificates:
    """An authority, a server's certificate for localhost and a client's, below a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
        for name, extension in ("server", "subjectAltName=DNS:localhost"), ("client", "extendedKeyUsage=clientAuth"):
            (folder / f"{name}.ext").write_text(extension + "\n", encoding="utf-8")
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                         "-extfile", f"{name}.ext", "-out", f"{name}.pem")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def path(self, name):
        return str(self.folder / name)

    def context(self, ask_client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        if ask_client:
            context.load_verify_locations(self.path("ca.pem"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context
