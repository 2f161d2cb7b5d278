"""The sender's process: what its death, ours, and a hang of it mean for the calls in flight."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from streamer.errors import NodeUnavailable
from streamer.nodes import sender
from streamer.nodes.sender import SenderNode
from streamer.ports import Answer, Kind
from tests.nodes.tiny import PREIMAGE, TinyLnd, intent


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def play(tmp_path: Path, scene: object, lnd: TinyLnd) -> None:
    async def run() -> None:
        await lnd.start()
        node = SenderNode("main", lnd.access(tmp_path))
        try:
            await node.open()
            await scene(node)  # type: ignore[operator]
        finally:
            await node.close()
            await lnd.stop()

    asyncio.run(asyncio.wait_for(run(), 30))


def pid_of(node: SenderNode) -> int:
    assert node._process is not None
    return node._process.pid


async def in_flight(node: SenderNode, lnd: TinyLnd, patience: float = 60) -> asyncio.Task[Answer]:
    call = asyncio.ensure_future(node.send(intent(), PREIMAGE, patience))
    while not lnd.sent:
        await asyncio.sleep(0.01)
    return call


def test_the_death_of_the_process_leaves_calls_of_unknown_end(tmp_path: Path) -> None:
    lnd = TinyLnd(payment=[asyncio.Event()])

    async def scene(node: SenderNode) -> None:
        call = await in_flight(node, lnd)
        os.kill(pid_of(node), signal.SIGKILL)
        answer = await call
        assert (answer.kind, answer.closed, answer.accepted) == (Kind.LOST, False, False)
        assert await node.lost() == sender.ENDED
        after = await node.send(intent(), PREIMAGE, 1)
        assert (after.kind, after.closed) == (Kind.LOST, True)
        with pytest.raises(NodeUnavailable):
            await node.channels()

    play(tmp_path, scene, lnd)


def test_the_process_ends_with_its_socket_and_not_by_signals(tmp_path: Path) -> None:
    async def scene(node: SenderNode) -> None:
        pid = pid_of(node)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        await node.identity()
        await node.close()
        assert not alive(pid)
        await node.open()
        assert pid_of(node) != pid

    play(tmp_path, scene, TinyLnd())


def test_a_process_that_hangs_is_killed_when_a_send_is_overdue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "OVERDUE_SECONDS", 0.1)
    lnd = TinyLnd(payment=[asyncio.Event()])

    async def scene(node: SenderNode) -> None:
        call = await in_flight(node, lnd, patience=0.3)
        os.kill(pid_of(node), signal.SIGSTOP)
        answer = await call
        assert (answer.kind, answer.closed) == (Kind.LOST, False)

    play(tmp_path, scene, lnd)
