"""A gateway on Python's `websockets`. What it does and reports is told in tests/src/interop.rs.

python3 python_server.py '{"port":0,"authorization":null,"subprotocols":null,"tls":null,"deflate":null}'
"""

import asyncio
import itertools
import json
import os
import secrets
import socket
import ssl
import struct
import sys
import tempfile
import threading

import websockets
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Opcode

options = json.loads(sys.argv[1])
sessions = {}
connections = itertools.count(1)
chats = itertools.count(1)


def report(**what):
    print(json.dumps(what), flush=True)


def compact(message):
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


class Connection(ServerConnection):
    """Reports what the library keeps to itself."""

    conn = None
    received = sent = 0

    def data_received(self, data):
        self.received += len(data)
        super().data_received(data)

    def connection_made(self, transport):
        write = transport.write

        def count(data):
            self.sent += len(data)
            write(data)

        transport.write = count
        super().connection_made(transport)

    def process_event(self, event):
        opcode = getattr(event, "opcode", None)
        if opcode in (Opcode.PING, Opcode.PONG):
            report(saw=opcode.name.lower(), conn=self.conn, data=bytes(event.data).hex())
        super().process_event(event)

    async def say(self, **message):
        await self.send(compact(message))


def check(connection, request):
    wanted = options["authorization"]
    if wanted and request.headers.get("Authorization") != wanted:
        report(saw="reject", status=401)
        return connection.respond(401, "Who are you?\n")


async def converse(ws):
    ws.conn = next(connections)
    headers = ws.request.headers
    report(
        saw="open",
        conn=ws.conn,
        path=ws.request.path,
        host=headers.get("Host"),
        origin=headers.get("Origin"),
        authorization=headers.get("Authorization"),
        subprotocol=ws.subprotocol,
    )
    client = None
    try:
        async for text in ws:
            message = json.loads(text)
            if message["type"] == "do":
                await do(ws, message)
                continue
            report(saw="message", conn=ws.conn, message=message)
            resumes = client is None and message["type"] == "session-resume"
            if client is None:
                client = await join(ws, message.get("token") if resumes else None)
            if message["type"] == "chat":
                await ws.say(**{**message, "sender": client, "n": next(chats)})
    except ConnectionClosed:
        pass
    await ws.wait_closed()
    report(saw="close", conn=ws.conn, code=ws.close_code, reason=ws.close_reason)


async def join(ws, token):
    """Resumes the session of `token`, or else begins one."""
    resumed = token in sessions
    if not resumed:
        token = secrets.token_hex(16)
        sessions[token] = f"python-{ws.conn}"
    await ws.say(type="session-init", token=token, clientId=sessions[token], resumed=resumed)
    return sessions[token]


async def do(ws, order):
    what = order["what"]
    if what == "close":
        await ws.close(order["code"], order["reason"])
    elif what == "abort":
        if order["reset"]:
            linger = struct.pack("ii", 1, 0)
            sock = ws.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        ws.transport.abort()
    elif what == "ping":
        await ws.ping(order["data"])
    elif what == "traffic":
        report(saw="traffic", received=ws.received, sent=ws.sent)
    elif what == "binary":
        await ws.send(bytes(order["bytes"]))
    elif what == "large":
        await ws.say(type="chat", text=order["unit"] * order["times"])
    elif what == "burst":
        for n in range(1, order["count"] + 1):
            await ws.say(type="chat", n=n)
    elif what == "fragments":
        await ws.send(fragments(ws, order), text=True)


async def fragments(ws, order):
    """Cuts a chat's bytes, not its letters."""
    data = compact({"type": "chat", "text": order["text"]}).encode()
    for start in range(0, len(data), order["size"]):
        yield data[start : start + order["size"]]
        if order["pings"]:
            await ws.ping(str(start))


def tls():
    """What the ssl module takes from a file alone."""
    if not options["tls"]:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(options["tls"]["cert"] + options["tls"]["key"])
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def main():
    deflate = options["deflate"]
    extensions = None if deflate is None else [ServerPerMessageDeflateFactory(**deflate)]
    async with serve(
        converse,
        "127.0.0.1",
        options["port"],
        process_request=check,
        subprotocols=options["subprotocols"],
        create_connection=Connection,
        ssl=tls(),
        compression=None,
        extensions=extensions,
        max_size=None,
        # Only what was asked for.
        ping_interval=None,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        report(port=port, version=websockets.__version__)
        await server.serve_forever()


def leave_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=leave_with_parent, daemon=True).start()
asyncio.run(main())
