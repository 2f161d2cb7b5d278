"""A simulator that comes back from its state file is the same network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.control.state import load, save
from streamer.simulator.lnrpc.closing_messages import pending_message
from streamer.simulator.serve import Plan, ServedNetwork, build, start_network
from tests.simulator.simnet import COMMITMENT_MSAT, START_NS, hash_of
from tests.simulator.wire import Wire, ends


def wire(served: ServedNetwork, name: str) -> Wire:
    node = next(one for one in served.nodes if one.name == name)
    return Wire(node, Path(node.macaroonpath).read_bytes().hex())


def test_history_balances_keys_and_certificates_come_back(tmp_path: Path) -> None:
    plan = Plan(channels=2, state=tmp_path / "state.json")

    async def first() -> tuple[str, int, str]:
        async with start_network(tmp_path, plan) as served:
            client = wire(served, "alice")
            assert (
                ends(await client.keysend(bytes.fromhex(served.nodes[1].pubkey), 1, 7_000))
                == "SUCCEEDED"
            )
            assert (
                ends(await client.keysend(bytes.fromhex(served.nodes[1].pubkey), 2, 999))
                == "NO_ROUTE"
            )
            served.simulation.faults.hold("bob")
            held = asyncio.create_task(
                client.keysend(bytes.fromhex(served.nodes[1].pubkey), 3, 5_000)
            )
            while not served.node("bob").held:
                await asyncio.sleep(0)
            balance = (
                await client.ask("ChannelBalance", ln.ChannelBalanceRequest())
            ).local_balance.msat
            held.cancel()
            await client.channel.close()
            return served.nodes[0].pubkey, balance, Path(served.nodes[0].tlscertpath).read_text()

    async def second() -> tuple[str, int, str]:
        async with start_network(tmp_path, plan) as served:
            client, receiver = wire(served, "alice"), wire(served, "bob")
            bob = bytes.fromhex(served.nodes[1].pubkey)
            assert await client.keysend(bob, 1) == ("ALREADY_EXISTS", "invoice is already paid")
            assert await client.keysend(bob, 3) == ("ALREADY_EXISTS", "payment is in transition")
            (tracked,) = await client.track(1)
            assert (tracked.status, tracked.payment_index) == (ln.Payment.SUCCEEDED, 1)
            invoice = await receiver.ask("LookupInvoice", ln.PaymentHash(r_hash=hash_of(1)))
            assert (invoice.amt_paid_msat, invoice.htlcs[0].custom_records[70_001]) == (7_000, b"x")
            assert [htlc.amount_msat for htlc in served.node("bob").received] == [7_000]
            balance = (
                await client.ask("ChannelBalance", ln.ChannelBalanceRequest())
            ).local_balance.msat
            answer = await client.keysend(bob, 2)
            # two duplicates were refused since, and each used up an index
            assert (ends(answer), answer[-1].payment_index) == ("SUCCEEDED", 6)
            await client.channel.close()
            await receiver.channel.close()
            return served.nodes[0].pubkey, balance, Path(served.nodes[0].tlscertpath).read_text()

    before, after = asyncio.run(first()), asyncio.run(second())
    # what was pending came back to the payer
    assert after == (before[0], before[1] + 5_000, before[2])
    assert before[1] + 5_000 == 20_000_000_000 - 2 * COMMITMENT_MSAT - 7_000
    assert plan.state is not None and plan.state.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"format": 1}', "not json"])
def test_a_file_that_is_no_state_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"is not a state file"):
        load(build(Plan(), START_NS), path)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    save(build(Plan(seed=1), START_NS), path)
    for other in (
        Plan(seed=2),
        Plan(seed=1, nodes=3),
        Plan(seed=1, channels=3),
        Plan(seed=1, chain="signet"),
    ):
        with pytest.raises(ValueError, match="another seed, chain or size"):
            load(build(other, START_NS), path)


def test_who_closed_a_channel_and_how_comes_back(tmp_path: Path) -> None:
    path, before, after = tmp_path / "state.json", build(Plan(), START_NS), build(Plan(), START_NS)
    alice, bob = before.named.values()
    bob.sides[0].close()
    alice.sides[1].close(forced=True)
    save(before, path)
    load(after, path)
    for old, new in zip(before.named.values(), after.named.values(), strict=True):
        assert pending_message(new.sides) == pending_message(old.sides)
    assert len(pending_message(after.named["alice"].sides).waiting_close_channels) == 2
    assert len(pending_message(after.named["bob"].sides).waiting_close_channels) == 1


def test_a_state_that_has_no_room_names_its_file(tmp_path: Path) -> None:
    draft = tmp_path / "state.json.new"
    draft.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        save(build(Plan(), 0), tmp_path / "state.json")
    assert caught.value.filename == str(draft)
