"""Record in a child process, by an audit hook, what it decodes, imports and starts."""

from __future__ import annotations

import subprocess
import sys

#: What no server, relay or refused payload may cause.
FORBIDDEN = (
    "pickle.find_class",
    "exec",
    "compile",
    "import",
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
)

WATCH = """
import sys
_watched, _seen = {forbidden!r}, []
def _hook(event, arguments):
    if _seen is not None and event in _watched:
        _seen.append(f"{{event}} {{arguments[0]!r:.300}}" if arguments else event)
{prepare}
sys.addaudithook(_hook)
_seen.clear()
{act}
_done, _seen = _seen, None
print("\\n".join(_done))
"""


def forbidden_events(prepare, act, *, watched=FORBIDDEN):
    """Run a program in a new process and list the forbidden events that its second part caused.

    Args:
        prepare: Python source that may do anything: imports, files.
        act: Python source that must cause none of the events.
        watched: Names of audit events.
    """
    program = WATCH.format(forbidden=tuple(watched), prepare=prepare, act=act)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []
