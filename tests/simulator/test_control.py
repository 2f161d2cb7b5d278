"""Faults by name: over HTTP, on the command line, and what becomes of a client's calls."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from click.testing import CliRunner

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.cli.simulate import command
from streamer.simulator.control.control import FAULTS, Control
from streamer.simulator.control.server import ControlServer
from streamer.simulator.serve import Plan
from tests.simulator.wire import Net, ends, play


def at(scene: Callable[[Net, str], Awaitable[None]], plan: Plan | None = None) -> None:
    async def with_control(net: Net) -> None:
        server = ControlServer(Control(net.served.simulation))
        address = await server.start()
        try:
            await scene(net, address)
        finally:
            await server.stop()

    play(with_control, plan)


async def strike(address: str, node: str, fault: str, **values: Any) -> None:
    def post() -> None:
        body = json.dumps(values).encode()
        with urllib.request.urlopen(
            urllib.request.Request(f"{address}/v1/nodes/{node}/faults/{fault}", body), timeout=30
        ):
            return

    await asyncio.to_thread(post)


async def refused(address: str, node: str, fault: str, **values: Any) -> str:
    with pytest.raises(urllib.error.HTTPError) as error:
        await strike(address, node, fault, **values)
    assert error.value.code == 400
    return str(json.load(error.value)["error"])


async def ask(address: str, what: str) -> Any:
    def get() -> Any:
        with urllib.request.urlopen(f"{address}/v1/{what}", timeout=30) as reply:
            return json.load(reply)[what]

    return await asyncio.to_thread(get)


async def nodes(address: str) -> dict[str, Any]:
    return {node["name"]: node for node in await ask(address, "nodes")}


async def listening(net: Net) -> None:
    """Until the payer, whose clients were cut, is there again."""
    async with asyncio.timeout(30):
        while isinstance(await net.payer.ask("GetInfo", ln.GetInfoRequest()), tuple):
            await asyncio.sleep(0.05)


def test_a_client_feels_each_fault() -> None:
    async def scene(net: Net, address: str) -> None:
        bob = net.receiver.pubkey

        async def pays(number: int) -> str:
            return ends(await net.payer.keysend(bob, number))

        struck: tuple[tuple[str, dict[str, Any], str, str, dict[str, Any]], ...] = (
            ("refuse", {"text": "not today"}, "('UNKNOWN', 'not today')", "refuse", {}),
            (
                "credentials",
                {"text": "verification failed"},
                "('UNKNOWN', 'verification failed')",
                "credentials",
                {},
            ),
            ("disable", {"peer": "bob"}, "INSUFFICIENT_BALANCE", "enable", {"peer": "bob"}),
            ("slow", {"seconds": 0.01}, "SUCCEEDED", "slow", {"seconds": 0}),
        )
        for number, (fault, values, end, cure, cured) in enumerate(struck):
            await strike(address, "alice", fault, **values)
            assert (fault, await pays(number)) == (fault, end)
            await strike(address, "alice", cure, **cured)
        await strike(address, "bob", "keysend")
        assert await pays(10) == "INCORRECT_PAYMENT_DETAILS"
        await strike(address, "bob", "keysend", accepted="true")
        await strike(address, "bob", "down")
        assert (await nodes(address))["bob"]["state"] == "DOWN"
        assert await pays(11) == "INSUFFICIENT_BALANCE"
        await strike(address, "bob", "up")
        assert await pays(12) == "SUCCEEDED"

    at(scene)


def test_held_forgotten_restored_drained_and_closed() -> None:
    async def scene(net: Net, address: str) -> None:
        bob = net.receiver.pubkey
        await strike(address, "bob", "hold")
        paying = asyncio.create_task(net.payer.keysend(bob, 1))
        while not (await nodes(address))["bob"]["held_htlcs"]:
            await asyncio.sleep(0.01)
        await strike(address, "bob", "release", settle=False)
        assert ends(await paying) == "INCORRECT_PAYMENT_DETAILS"
        await strike(address, "alice", "snapshot")
        assert ends(await net.payer.keysend(bob, 2)) == "SUCCEEDED"
        await strike(address, "alice", "restore")
        await listening(net)
        assert await net.payer.track(2) == ("NOT_FOUND", "payment isn't initiated")
        await strike(address, "alice", "lose_replies", count=1)
        assert (await net.payer.keysend(bob, 3))[0] == "UNAVAILABLE"
        assert ends(await net.payer.track(3)) == "SUCCEEDED"
        await strike(address, "alice", "forget")
        assert (await net.payer.track(3))[0] == "NOT_FOUND"
        await strike(address, "alice", "drain", peer="bob")
        assert ends(await net.payer.keysend(bob, 4)) == "INSUFFICIENT_BALANCE"
        await strike(address, "alice", "close", peer="bob")
        assert (
            len(
                (
                    await net.payer.ask("PendingChannels", ln.PendingChannelsRequest())
                ).waiting_close_channels
            )
            == 2
        )

    at(scene)


def test_what_was_played_is_told() -> None:
    async def scene(net: Net, address: str) -> None:
        await strike(address, "bob", "hold")
        await strike(address, "alice", "lose_replies", count="3")
        played = await ask(address, "played")
        told = [(one["node"], one["fault"], one["values"]) for one in played]
        assert told == [("bob", "hold", {}), ("alice", "lose_replies", {"count": 3})]
        assert 0 <= played[0]["seconds"] <= played[1]["seconds"]

    at(scene)


def test_what_makes_no_sense_is_refused_in_words() -> None:
    async def scene(net: Net, address: str) -> None:
        assert await refused(address, "zoe", "down") == "no node 'zoe': there are alice, bob"
        assert (await refused(address, "bob", "explode")).startswith(
            "no fault 'explode': there are down, up"
        )
        assert await refused(address, "bob", "hold", loud=1) == "hold takes nothing, not 'loud'"
        assert await refused(address, "bob", "away", seconds="x") == "seconds is a number, not 'x'"
        assert await refused(address, "bob", "close") == "close needs peer, the name of a node"
        assert (
            await refused(address, "bob", "close", peer="bob")
            == "bob has no channel with bob: it has some with alice"
        )
        assert (
            await refused(address, "bob", "close", peer="alice", count=-1)
            == "count is from 0 to 1000000000, not -1"
        )
        assert (
            await refused(address, "bob", "away", seconds="nan")
            == "seconds is from 0 to 1000000000, not 'nan'"
        )
        assert (
            await refused(address, "bob", "lose_replies", count=float("inf"))
            == "count is a whole number, not inf"
        )
        assert await refused(address, "bob", "fail", rate=1.5) == "rate is from 0 to 1, not 1.5"
        assert (
            await refused(address, "bob", "release", settle="maybe")
            == "settle is true or false, not 'maybe'"
        )
        assert (
            await refused(address, "bob", "state", state="ASLEEP")
            == f"state is one of {STATES}, not 'ASLEEP'"
        )
        assert (
            await refused(address, "bob", "lose_replies", fate="odd")
            == "fate is never, accepted, late, not 'odd'"
        )
        assert (await refused(address, "bob", "restore")).startswith("there is no snapshot of bob")

    at(scene)


STATES = "NON_EXISTING, LOCKED, UNLOCKED, RPC_ACTIVE, SERVER_ACTIVE, WAITING_TO_START"


def test_every_fault_can_strike_with_its_defaults() -> None:
    async def scene(net: Net, address: str) -> None:
        for name, fault in FAULTS.items():
            values = {"peer": "bob"} if "peer" in fault.parameters else {}
            await strike(address, "alice", name, **values)
            [*_, last] = await ask(address, "played")
            assert (last["node"], last["fault"], last["values"]) == ("alice", name, values)

    at(scene)


def test_the_command_line() -> None:
    async def scene(net: Net, address: str) -> None:
        def run(*words: str) -> Any:
            return CliRunner().invoke(command, ["fault", "--control", address, *words])

        done = await asyncio.to_thread(run, "bob", "away", "seconds=60")
        assert (done.exit_code, done.output) == (0, "")
        assert (await nodes(address))["bob"]["state"] == "DOWN"
        wrong = await asyncio.to_thread(run, "zoe", "down")
        assert (wrong.exit_code, wrong.output) == (
            1,
            "Error: no node 'zoe': there are alice, bob\n",
        )
        assert (await asyncio.to_thread(run, "bob", "away", "60")).exit_code == 2
        nobody = CliRunner().invoke(
            command, ["fault", "--control", "http://127.0.0.1:1", "bob", "up"]
        )
        assert nobody.exit_code == 1
        assert "no simulator answers at http://127.0.0.1:1/" in nobody.output
        listed = CliRunner().invoke(command, ["fault", "--list"])
        assert all(name in listed.output for name in FAULTS)

    at(scene)
