"""/openapi.json taken at its word, and against it: schemathesis, then bytes that are no HTTP at
all.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.victim import SECONDS, TEST_SECONDS, seeded, throw, victim

CONFORMANCE = ("status_code", "content_type", "response_schema")
CHECKS = ",".join(("nothing_unforeseen", *(f"{what}_conformance" for what in CONFORMANCE)))
SCHEMATHESIS = (str(Path(sys.executable).with_name("schemathesis")), "run")
PHASES = "coverage,fuzzing,stateful"
LEAST_SECONDS = 20
"""Below, schemathesis does not come to every method."""
ENDLESS = "StreamService_WatchStreams"
"""An answer without an end; test_gateway.py has it."""
STARTS = (
    b"",
    b"\x16\x03\x01\x02",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /" + b"a" * 100_000,
    b"GET /%zz%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/status HTTP/1.1\r\n",
    b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-API-KEY: \xff\r\n\r\n",
    b"POST /v1/streams HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{",
    b"POST /v1/streams HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
)
"""What a line of HTTP may begin with; noise follows."""


@pytest.mark.timeout(TEST_SECONDS)
def test_nothing_unforeseen_by_the_description_or_against_it(tmp_path: Path) -> None:
    with victim(tmp_path) as made:
        throw(made.house.http, STARTS, seeded())
        assert made.house.unready() == ""
        options = (
            "--max-time",
            str(max(SECONDS, LEAST_SECONDS)),
            "--phases",
            PHASES,
            "--checks",
            CHECKS,
            "--continue-on-failure",
        )
        aimed = (
            "--header",
            f"X-API-KEY: {made.key}",
            "--exclude-operation-id",
            ENDLESS,
            "--request-timeout",
            "60",
            "--warnings",
            "off",
        )
        environment = {
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.fuzz.checks",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "examples"),
        }
        url = f"http://{made.house.http}/openapi.json"
        command = [*SCHEMATHESIS, url, *options, *aimed, "--generation-database", "none"]
        done = subprocess.run(
            command,
            env=environment,
            cwd=Path.cwd(),
            capture_output=True,
            text=True,
            timeout=TEST_SECONDS,
            check=False,
        )
        print(done.stdout)
        assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
