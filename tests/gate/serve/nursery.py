"""Starts gates by fork, the stand-in and the real one: everything is imported once, and a test need not wait for it.

One request a line on stdin: {"settings": path, "arguments": […], "stderr": path, "environment": {…}, "folder": path}; with arguments
it is `delivcheck …`. The gate's process id is then in `<folder>/pid`, and its exit code, when it has ended, in `<folder>/code`.
"""

import json
import os
import signal
import sys
from pathlib import Path

from delivcheck import cli
from delivcheck.gate.serve import warming
from tests.gate.serve import stand_in


def write(path: Path, text: str) -> None:
    half = path.with_suffix(".half")
    half.write_text(text)
    half.rename(path)


def gate(request: dict) -> None:
    os.environ.update(request["environment"])
    stderr = os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(stderr, 2)
    os.close(stderr)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    if request["arguments"]:
        os._exit(cli.main(request["arguments"]))
    sys.argv = ["stand_in", request["settings"]]
    os._exit(stand_in.main())


def guard(request: dict) -> None:
    """Be the gate's parent, who hears its exit code."""
    folder = Path(request["folder"])
    pid = os.fork()
    if pid == 0:
        gate(request)
    write(folder / "pid", str(pid))
    _, status = os.waitpid(pid, 0)
    write(folder / "code", str(os.waitstatus_to_exitcode(status)))
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warming.warm()
    for line in sys.stdin:
        if os.fork() == 0:
            guard(json.loads(line))
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


if __name__ == "__main__":
    main()
