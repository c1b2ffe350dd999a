"""A Python that has slow imports behind it: each program it runs is a fork of one process that has made them.

``serve SOCKET STAND_IN MODULE ...`` is that process. ``run SOCKET`` and then ``[-u] SCRIPT``, ``-m MODULE`` or
``-c TEXT`` with arguments runs a program as ``python`` does, with the caller's files, folder, environment, signals and
exit code; ``STAND_IN`` is an executable file that does so. Needs nothing but the standard library, without ``site``.
"""

import array
import contextlib
import os
import signal
import socket
import sys
from types import FrameType
from typing import NamedTuple, NoReturn

HEAD = 4
"""Bytes of a length or an exit code."""
STREAMS = (0, 1, 2)


class Program(NamedTuple):
    """What is to be run, and where."""

    words: list[str]
    folder: str
    environment: dict[str, str]


# --- what the caller starts, signals and waits for --------------------------------------------------------------------


def run(address: str, words: list[str]) -> NoReturn:
    """Have a program run; ends as it ends."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)

    def pass_on(number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended meanwhile
            server.send(bytes([number]))

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    request = repr((words, os.getcwd(), dict(os.environ))).encode()
    streams = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", STREAMS).tobytes())
    server.sendmsg([len(request).to_bytes(HEAD, "big")], [streams])
    server.sendall(request)
    answer = server.recv(HEAD)
    if not answer:
        sys.exit("error: the process that has made the imports has ended")
    code = int.from_bytes(answer, "big", signed=True)
    if code < 0:
        if code not in (-signal.SIGKILL, -signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


# --- the process that has made the imports ----------------------------------------------------------------------------


def serve(address: str, modules: list[str]) -> Program:
    """Import, then fork for each request; returns in the fork that is to be the program. Ends when stdin is closed."""
    import gc
    import importlib
    import threading

    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # what all forks share is neither searched nor copied
    sys.stdout.flush()  # what the imports have said is not for the programs to say
    sys.stderr.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(16)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _forked(connection)
        connection.close()


def _end_with_stdin() -> NoReturn:
    os.read(0, 1)
    os._exit(0)


def _forked(connection: socket.socket) -> Program:
    """Fork once more: this process sees to signals and to the exit code of that one, in which it returns."""
    first, rights, _, _ = connection.recvmsg(HEAD, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    length = int.from_bytes(first, "big")
    request = b""
    while len(request) < length:
        request += connection.recv(length - len(request))
    streams = array.array("i", rights[0][2])
    process = os.fork()
    if process:
        _see_to(process, connection, streams)
    connection.close()
    for stream, given in zip(STREAMS, streams):
        os.dup2(given, stream)
        os.close(given)
    return Program(*eval(request))


def _see_to(process: int, connection: socket.socket, streams: "array.array[int]") -> NoReturn:
    import threading

    for stream in streams:
        os.close(stream)

    def pass_on() -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            while True:
                # nothing more comes where the caller was killed
                for number in connection.recv(1) or (signal.SIGKILL,):
                    os.kill(process, number)

    threading.Thread(target=pass_on, daemon=True).start()
    _, status = os.waitpid(process, 0)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    with contextlib.suppress(BrokenPipeError):  # the caller was killed
        connection.send(code.to_bytes(HEAD, "big", signed=True))
    os._exit(0)


def become(program: Program, executable: str) -> None:
    """Be a fresh interpreter with the program's arguments, and run it."""
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environment)
    sys.executable = executable
    words = list(program.words)
    if words[0] == "-u" or "PYTHONUNBUFFERED" in program.environment:
        sys.stdout.reconfigure(line_buffering=True)
    if words[0] == "-u":
        del words[0]
    try:
        _execute(words, program.folder)
    except SystemExit as end:
        if not isinstance(end.code, int) and end.code is not None:
            raise
        _end(end.code or 0)
    _end(0)


def _execute(words: list[str], folder: str) -> None:
    import runpy

    if words[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *words[2:]], folder
        exec(words[1], vars(sys.modules["__main__"]))
    elif words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], folder
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, os.path.dirname(os.path.abspath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def _end(code: int) -> NoReturn:
    """End as Python does, but leave it to the system to clear away what the imports have made."""
    import atexit
    import threading

    threading._shutdown()  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    role, address, *rest = sys.argv[1:]
    if role == "run":
        run(address, rest)
    stand_in, *modules = rest
    become(serve(address, modules), stand_in)
