"""A pytest plugin for tests of broken code: none may take for ever, and nothing is collected twice.

mutmut forks a process for each mutant, and calls pytest in it with the names of the tests to run.
What the parent has collected is in the child's memory already; collecting it again would take
longer than the tests do.
"""

from __future__ import annotations

import resource

import pytest
from _pytest.runner import runtestprotocol

CPU_SECONDS = 15
"""Of each test; the longest needs a third of it. Beyond, the system ends the process with
SIGXCPU.
"""

WATCHERS = ("capturemanager", "unraisableexception", "threadexception")
"""Plugins that look at each test, and cannot any more when the session that collected it has
ended.
"""

collected: dict[str, pytest.Item] = {}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember what was collected, for the processes that are forked from this one."""
    collected.update((item.nodeid, item) for item in session.items)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run the tests that are named and known until one fails; None: this is another kind of
    call.
    """
    names = [name for name in config.args if "::" in name]
    if config.option.collectonly or not names or not all(name in collected for name in names):
        return None
    items = [collected[name] for name in names]
    for ended in {id(item.config): item.config for item in items}.values():
        for name in WATCHERS:
            if ended.pluginmanager.has_plugin(name):
                ended.pluginmanager.unregister(name=name)
    try:
        for item, following in zip(items, [*items[1:], None], strict=True):
            _limit_processor_time(CPU_SECONDS)
            if any(
                report.failed for report in runtestprotocol(item, log=False, nextitem=following)
            ):
                return 1
        return 0
    finally:
        _limit_processor_time(None)


def _limit_processor_time(seconds: int | None) -> None:
    """Of this process, from now on; None: as before."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(
        resource.RLIMIT_CPU,
        (hard if seconds is None else int(used.ru_utime + used.ru_stime) + seconds, hard),
    )
