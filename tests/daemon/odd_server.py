"""A server with chosen bad habits, run by the keepers that the tests start.

Standard library only and ``-S``: it must start fast. It answers HTTP on its port, reopens its log
on SIGUSR1 as the contract with the keeper says, and misbehaves as its options ask.
"""

import argparse
import contextlib
import os
import select
import signal
import socket
import sys
import time

options = argparse.ArgumentParser()
options.add_argument("port", type=int)
options.add_argument("--ignore-term", action="store_true")
options.add_argument("--child", action="store_true", help="fork a child that ignores TERM")
options.add_argument("--plain-child", action="store_true", help="fork a child that handles nothing")
options.add_argument("--never-ready", action="store_true")
options.add_argument("--sick-while", metavar="FILE", help="answer 503 while FILE exists")
options.add_argument("--degraded-while", metavar="FILE", help="say that it is, with 200")
options.add_argument("--no-ready", action="store_true", help="answer /ready with 404")
options.add_argument("--hang-while", metavar="FILE", help="accept, but never answer")
options.add_argument("--exit", type=int, metavar="CODE", help="end with CODE at once")
options.add_argument("--exit-when", metavar="FILE", help="end with 0 when FILE exists")
options.add_argument("--crash-unless", metavar="FILE", help="end with 1 when FILE is missing")
options.add_argument("--say", default="", help="a line to write first")
options.add_argument("--flood", type=int, default=0, help="numbered lines to write")
options.add_argument("--environment", metavar="NAME", help="write a variable's value")
args = options.parse_args()


def reopen(*_: object) -> None:
    log = os.open(os.environ["OPSCONSOLE_LOG_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def say(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk
        os.write(1, (text + "\n").encode())


signal.signal(signal.SIGUSR1, reopen)
signal.signal(signal.SIGTERM, signal.SIG_IGN if args.ignore_term else lambda *_: sys.exit(0))
say(f"begun by {os.environ['OPSCONSOLE_SERVER_NAME']}, process {os.getpid()}")
if args.environment:
    say(f"{args.environment}={os.environ.get(args.environment)}")
if args.say:
    say(args.say)
if args.exit is not None:
    sys.exit(args.exit)
if args.crash_unless and not os.path.exists(args.crash_unless):
    say("error: it crashed")
    sys.exit(1)
if args.plain_child and os.fork() == 0:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        time.sleep(3600)
if args.child and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(3600)

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
try:
    listener.bind(("127.0.0.1", args.port))
except OSError as error:
    say(f"error: cannot listen on port {args.port}: {error.strerror}")
    sys.exit(78)
listener.listen()
held = []
flooded = 0
while True:
    if select.select([listener], [], [], 0.0005 if flooded < args.flood else 0.02)[0]:
        client, _ = listener.accept()
        if args.hang_while and os.path.exists(args.hang_while):
            held.append(client)
        else:
            asked = client.recv(65536).split(b" ")[1:2]
            if args.no_ready and asked == [b"/ready"]:
                client.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
                client.close()
                continue
            sick = args.never_ready or (args.sick_while and os.path.exists(args.sick_while))
            head = "503 Busy" if sick else "200 OK"
            word = "loading" if sick else "healthy"
            if args.degraded_while and os.path.exists(args.degraded_while):
                word = "degraded"
            body = f'{{"status":"{word}","pid":{os.getpid()}}}'
            client.sendall(f"HTTP/1.1 {head}\r\n\r\n{body}".encode())
            client.close()
    for _ in range(min(20, args.flood - flooded)):
        flooded += 1
        say(f"line {flooded}")
    if args.exit_when and os.path.exists(args.exit_when):
        sys.exit(0)
