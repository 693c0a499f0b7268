"""A process that traces ends in time, also where the collector takes its connections and never answers."""

import socket
import subprocess
import sys
from importlib import import_module

import pytest

from tests.system.stack import ROOT

pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    reason="the packages of the extra otel are not installed: pip install -e '.[otel]'",
)
# More spans than go into three batches, each of which would wait for as long as an export may take.
PROGRAM = """
import sys, time
from bootstrap_tracing import Tracing
tracing = Tracing(sys.argv[1], 1.0, "test")
for number in range(1600):
    tracing.mark("a span", tracing.find_context(number))
began = time.monotonic()
tracing.close()
print(time.monotonic() - began)
"""


def test_the_end_of_a_process_waits_for_a_collector_that_hangs_for_some_seconds_alone() -> None:
    limit = import_module("bootstrap_tracing").CLOSE_SECONDS
    with socket.create_server(("127.0.0.1", 0)) as collector:
        url = f"http://127.0.0.1:{collector.getsockname()[1]}"
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with process:
            assert process.stdout is not None
            took = float(process.stdout.readline())
            assert limit <= took < 2 * limit, "it waited, as there was something to hand over, and gave up"
            assert process.wait(20) == 0
