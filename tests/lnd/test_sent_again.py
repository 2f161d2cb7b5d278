"""Real lnd: the same hash, sent again in the instant in which lnd has said FAILED, is paid once
(money rule 4).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter

import pytest

from streamer.core.keysend import payment_hash
from streamer.nodes.credentials import access
from streamer.nodes.lnd import LndNode
from streamer.words.model import Answer, Kind
from tests.e2e.networks import Networks
from tests.lnd.conftest import Scene
from tests.nodes.tiny import intent

pytestmark = pytest.mark.lnd

AMOUNT_MSAT = 1_000
PAYMENTS, AT_ONCE = 200, 20
PATIENCE_SECONDS = 60.0


def test_what_is_sent_again_at_once_after_it_failed_is_paid_once(
    scene: Scene, networks: Networks
) -> None:
    preimages = [secrets.token_bytes(32) for _ in range(PAYMENTS)]
    payer, destination = scene.town.payer, scene.receiver.pubkey

    async def main() -> list[tuple[Answer, Answer]]:
        node = LndNode(
            "main", access(payer.rpcserver, str(payer.tlscertpath), str(payer.macaroonpath))
        )
        await node.open()
        gate = asyncio.Semaphore(AT_ONCE)

        async def twice(preimage: bytes) -> tuple[Answer, Answer]:
            payment = intent(
                destination=destination,
                payment_hash=payment_hash(preimage),
                amount_msat=AMOUNT_MSAT,
                fee_limit_msat=5_000,
            )
            async with gate:
                # a keysend whose preimage does not fit its hash is one that its receiver fails
                first = await node.send(payment, secrets.token_bytes(32), PATIENCE_SECONDS)
                return first, await node.send(payment, preimage, PATIENCE_SECONDS)

        try:
            return await asyncio.gather(*map(twice, preimages))
        finally:
            await node.close()

    answers = networks.wait(main())
    assert {first.kind for first, _ in answers} == {Kind.FAILED}
    assert {again.kind for _, again in answers} == {Kind.SETTLED}
    paid = Counter(htlc.payment_hash for htlc in scene.receiver.received())
    assert {paid[payment_hash(preimage)] for preimage in preimages} == {1}
