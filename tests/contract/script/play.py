"""The whole script, chapter by chapter, and what it gives."""

from __future__ import annotations

from typing import Any

from streamer._proto.lnrpc import lightning_pb2 as ln
from tests.contract.script import invoices, macaroons, nodes_and_graph, payments
from tests.contract.script.player import Place, Player
from tests.contract.script.recording import Names, filled

CAPACITY_SAT = 10_000_000
CHANNELS = (
    ("alice", "bob", 0, False),
    ("alice", "bob", 4_000_000, False),
    ("bob", "carol", 1_000_000, False),
    ("bob", "dave", 0, True),
)
"""(who opens it, with whom, what is pushed in sat, private)."""


async def play(places: dict[str, Place], seen: set[str] | None = None) -> list[dict[str, Any]]:
    """Every call with its answers, in names that both networks share; seen gets the name of each
    field that was set.
    """
    player = Player(places)
    try:
        channels = await _channels(player)
        info = await player.quietly("alice", "GetInfo", ln.GetInfoRequest())
        await nodes_and_graph.nodes(player)
        await nodes_and_graph.graph(player, channels["bob-carol 1"])
        await nodes_and_graph.routes(player)
        await invoices.none_yet(player)
        await invoices.made(player)
        await invoices.read(player)
        await invoices.listed(player)
        await invoices.canceled(player)
        await payments.keysends(player)
        await payments.refused(player)
        await payments.failed(player)
        await payments.tracked(player)
        await payments.invoices_paid(player)
        await invoices.held(player)
        await payments.listed(player)
        await payments.deleted(player)
        await payments.learned(player)
        await macaroons.baked(player)
        await macaroons.strange(player)
    finally:
        await player.close()
    if seen is not None:
        seen.update(
            name
            for answer in player.answers
            for message in answer.messages
            for name in filled(message)
        )
    names = Names(
        {name: place.pubkey for name, place in places.items()}, channels, info.block_height
    )
    return [names.record(answer) for answer in player.answers]


async def _channels(player: Player) -> dict[str, tuple[int, str]]:
    """What the script calls each channel, in the order of their ids."""
    found: dict[str, tuple[int, str]] = {}
    for node in ("alice", "bob"):
        reply = await player.quietly(node, "ListChannels", ln.ListChannelsRequest())
        for channel in sorted(reply.channels, key=lambda channel: channel.chan_id):
            other = next(
                name for name in player.places if player.pubkey(name).hex() == channel.remote_pubkey
            )
            if channel.initiator:
                number = sum(name.startswith(f"{node}-{other} ") for name in found) + 1
                found[f"{node}-{other} {number}"] = (channel.chan_id, channel.channel_point)
    return found
