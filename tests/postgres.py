"""A PostgreSQL server of the tests' own: made in a temporary folder, on a free loopback port, gone afterwards.

Its binaries are those of the system (Debian: `apt-get install postgresql`). The server refuses to run as root, so as
root it runs as the user `postgres` or `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MISSING = "no PostgreSQL server is installed here: apt-get install postgresql"


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    return folders[-1] if folders else None


class PostgresServer:
    """Started when it is made."""

    def __init__(self, binaries: Path, *, fsync: bool = False) -> None:
        self._fsync = "on" if fsync else "off"  # what a crash of the server alone loses without it is nothing
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="llamadapro-postgres-"))
        self._as_user: dict[str, Any] = {"cwd": self._folder}
        if os.getuid() == 0:
            account = _account()
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._as_user |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        options = ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C"]
        self._tool("initdb", *options, "--pgdata", str(self._folder / "data"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.start()

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": self._fsync,
            "max_connections": 60,
            "shared_buffers": "32MB",
        }
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data")]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **self._as_user)
        log.close()
        ends = time.monotonic() + 30
        while self._tool("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), check=False):
            if time.monotonic() > ends or self._process.poll() is not None:
                raise AssertionError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def crash(self) -> None:
        """End it at once, as a power cut would: what is committed is recovered when it starts again."""
        self._stop(signal.SIGQUIT)

    def stop(self) -> None:
        """End it, and remove what it held."""
        self._stop(signal.SIGINT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def new_database(self) -> str:
        """The URL of an empty one."""
        self._databases += 1
        name = f"db{self._databases}"
        self._tool("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return self.url(name)

    def add_role(self, name: str, password: str) -> None:
        """A role that must give a password, unlike all others."""
        rules = self._folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all {name} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        text = f"create role {name} login superuser password '{password}'; select pg_reload_conf()"
        self._tool("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", text, "postgres")

    def url(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _stop(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(30)

    def _tool(self, name: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [str(self._binaries / name), *arguments], capture_output=True, check=False, **self._as_user
        )
        if check and done.returncode:
            raise AssertionError(f"{name} failed: {done.stderr.decode()}")
        return done.returncode


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("there is neither a user postgres nor a user nobody to run PostgreSQL as")


def missing(skip: Callable[[str], Any], fail: Callable[[str], Any]) -> None:
    """Nothing passes by mistake: where everything should be installed, its lack is a failure."""
    (fail if os.environ.get("CI") else skip)(MISSING)
