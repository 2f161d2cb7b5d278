"""Answers as text that two plays on two networks share: what each network makes up has a name
instead.

The stated list of what may differ is here and nowhere else: MADE_UP. Everything else is compared.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tests.contract.script.player import Answer

NEAR_SECONDS = 3_600
RANDOM = "random"
MADE_UP = {
    # of the build and the machine
    **dict.fromkeys(
        ("version", "commit", "commit_hash", "build_tags", "go_version", "address"), "of the build"
    ),
    # counters of bytes, pings and seconds
    **dict.fromkeys(
        (
            "bytes_sent",
            "bytes_recv",
            "ping_time",
            "flap_count",
            "last_ping_payload",
            "lifetime",
            "uptime",
        ),
        "measured",
    ),
    # of the chain and its wallet
    **dict.fromkeys(
        ("block_hash", "total_balance", "confirmed_balance", "reserved_balance_anchor_chan"),
        "of the chain",
    ),
    # which end of a channel has the lower key
    **dict.fromkeys(("channel_flags",), "of the keys"),
    # how often a commitment was signed depends on how updates fell together
    **dict.fromkeys(("num_updates",), "a count"),
    # random: each is checked for its kind
    **dict.fromkeys(("payment_addr", "macaroon", "signature"), RANDOM),
}
"""Field → why it may differ. Of what is random it is compared whether it is there."""

TIMES = re.compile(
    r"(creation|settle)_date|(accept|resolve)_time|(creation|attempt|resolve)_time_ns|last_flap_ns|(best_header_)?timestamp|last_update"
)
HEIGHTS = re.compile(
    r"block_height|height|accept_height|expiry_height|expiration_height|total_time_lock|time_lock_delay"
)
HOP_EXPIRY = "expiry"
PICKED_BY_LND = ("sync_type",)
"""lnd asks some of its peers for the graph and not others, by chance."""

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC")


class Names:
    """What a network made up → what the script calls it."""

    def __init__(
        self, nodes: dict[str, bytes], channels: dict[str, tuple[int, str]], height: int
    ) -> None:
        self.height = height
        self._texts: dict[str, str] = {}
        for name, pubkey in nodes.items():
            self._texts[pubkey.hex()] = self._texts[base64.b64encode(pubkey).decode()] = f"<{name}>"
        for name, (number, point) in channels.items():
            self._texts[str(number)], self._texts[point] = f"<{name}>", f"<point of {name}>"
        self._invoices: dict[str, str] = {}

    def record(self, answer: Answer) -> dict[str, Any]:
        """One call as JSON."""
        found: dict[str, Any] = {"call": f"{answer.node} {answer.method}"}
        if answer.note:
            found["note"] = answer.note
        found["request"] = self._plain(
            MessageToDict(answer.request, preserving_proto_field_name=True), ""
        )
        if answer.messages:
            found["answers"] = [self._message(message) for message in answer.messages]
        if answer.code != "OK":
            text = MOMENT.sub("<moment>", answer.text)
            for key, name in self._texts.items():
                text = text.replace(key, name)
            found["code"], found["text"] = answer.code, text
        return found

    def _message(self, message: Message) -> Any:
        assert not unknown(message), f"a field that proto/ does not have: {unknown(message)}"
        shown = MessageToDict(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return self._plain(shown, "")

    def _plain(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            value = _in_order(value, self._texts)
            route = "chan_id" in value and "pub_key" in value
            return {
                # the feature maps are keyed by number, and JSON sorts them as it likes
                self._texts.get(key, key): self._plain(
                    part, "hop_expiry" if route and key == HOP_EXPIRY else key
                )
                for key, part in sorted(value.items())
            }
        if isinstance(value, list) and name not in MADE_UP:
            items = [self._plain(part, name) for part in value]
            return sorted(items, key=str) if name in SORTED else items
        if name in MADE_UP:
            absent = MADE_UP[name] == RANDOM and not set(str(value)) - set("A=")
            return value if absent else f"<{MADE_UP[name]}>"
        if name in PICKED_BY_LND:
            return "<picked>"
        return self._scalar(value, name)

    def _scalar(self, value: Any, name: str) -> Any:
        if TIMES.fullmatch(name) and int(value):
            seconds = int(value) / (1e9 if name.endswith("_ns") else 1)
            return "<time>" if abs(seconds - time.time()) < NEAR_SECONDS else value
        if (HEIGHTS.fullmatch(name) or name == "hop_expiry") and int(value):
            return f"<height+{int(value) - self.height}>"
        if name == "payment_request" and isinstance(value, str) and value.startswith("lnbcrt"):
            return f"<invoice {self._invoices.setdefault(value, str(len(self._invoices) + 1))}>"
        if name == "pay_req" and str(value).lower() in self._invoices:
            return f"<invoice {self._invoices[str(value).lower()]}>"
        return self._texts.get(str(value), value)


def _in_order(edge: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A channel of the graph with its ends by name: lnd orders them by key, and keys differ from
    network to network.
    """
    if "node1_pub" not in edge or names.get(edge["node1_pub"], "") <= names.get(
        edge["node2_pub"], ""
    ):
        return edge
    swapped = {
        "node1_pub": "node2_pub",
        "node2_pub": "node1_pub",
        "node1_policy": "node2_policy",
        "node2_policy": "node1_policy",
    }
    return {swapped.get(key, key): part for key, part in edge.items()}


def filled(message: Message) -> Iterator[str]:
    """The names of all fields that are set, here and in all parts."""
    for descriptor, value in message.ListFields():
        yield descriptor.name
        for part in _parts(descriptor, value):
            yield from filled(part)


SORTED = ("nodes", "peers", "edges", "channels")
"""Lists whose order lnd leaves to chance, or to keys and ids that differ from network to
network.
"""


def unknown(message: Message) -> str:
    """The first field on the wire that our proto/ subset lacks, or nothing."""
    fields = UnknownFieldSet(message)
    if len(fields):
        return f"{message.DESCRIPTOR.full_name} field {fields[0].field_number}"
    for descriptor, value in message.ListFields():
        for part in _parts(descriptor, value):
            if found := unknown(part):
                return found
    return ""


def _parts(descriptor: FieldDescriptor, value: Any) -> list[Message]:
    if descriptor.type != descriptor.TYPE_MESSAGE:
        return []
    parts = (
        value.values() if hasattr(value, "values") else value if descriptor.is_repeated else [value]
    )
    return [part for part in parts if isinstance(part, Message)]
