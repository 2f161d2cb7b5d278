"""What SendPaymentV2 is told to pay an invoice: the intent as it was recorded, and an amount only
where the invoice has none.
"""

from __future__ import annotations

import pytest

from streamer._proto.routerrpc import router_pb2 as router
from streamer.nodes.invoices import MAX_PARTS, names_amount, send_request
from tests.nodes.tiny import intent

FIXED, FREE = "lnbcrt70n1pabcdefg1", "lnbcrt1pabcdefg"


@pytest.mark.parametrize(("invoice", "amount_msat"), [(FIXED, 0), (FREE, 5_000)])
def test_the_request_is_the_intent(invoice: str, amount_msat: int) -> None:
    made = send_request(
        intent(
            payment_request=invoice,
            records=b"",
            fee_limit_msat=77,
            cltv_limit=99,
            timeout_seconds=11,
        )
    )
    assert made == router.SendPaymentRequest(
        payment_request=invoice,
        amt_msat=amount_msat,
        fee_limit_msat=77,
        cltv_limit=99,
        timeout_seconds=11,
        max_parts=MAX_PARTS,
    )


@pytest.mark.parametrize(
    ("invoice", "says"),
    [
        ("lnbc2500u1pvjluez", True),
        ("lnbc1pvjluez", False),
        ("lntb20m1pvjluez", True),
        ("lntb1pvjluez", False),
        ("lntbs10p1q", True),
        ("lnsb1x", False),
    ],
)
def test_whether_an_invoice_names_its_amount(invoice: str, says: bool) -> None:
    assert names_amount(invoice) is says


@pytest.mark.parametrize("field", ["amount_msat", "timeout_seconds", "cltv_limit"])
def test_a_number_that_lnd_reads_as_its_own_default_is_not_sent(field: str) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        send_request(intent(payment_request=FIXED, **{field: 0}))
