"""lnrpc.Lightning/BakeMacaroon: credentials with no more than they need."""

from __future__ import annotations

import os

from streamer._proto.lnrpc import lightning_pb2 as ln
from streamer.simulator.lnrpc.macaroon import bake
from streamer.simulator.lnrpc.permissions import ACTIONS, ENTITIES, REQUIRED
from streamer.simulator.network.books import Refused

NONCE_BYTES = 16
HELP = f"supported actions are [{' '.join(ACTIONS)}], supported entities are [{' '.join(ENTITIES)}]"


class MacaroonService:
    """Bakes for one node; raises Refused with lnd's text."""

    def __init__(self, root_key: bytes) -> None:
        self._root_key = root_key

    def bake_macaroon(self, request: ln.BakeMacaroonRequest) -> ln.BakeMacaroonResponse:
        """A macaroon with exactly these permissions, in hex."""
        if not request.permissions:
            raise Refused(
                "UNKNOWN",
                f"permission list cannot be empty. specify at least one action/entity pair. {HELP}",
            )
        for permission in request.permissions:
            if permission.entity not in ENTITIES:
                raise Refused("UNKNOWN", f"invalid permission entity. {HELP}")
            if permission.entity == "uri":
                if permission.action not in REQUIRED:
                    wanted = "must be an existing URI in the format /package.Service/MethodName"
                    raise Refused("UNKNOWN", f"invalid permission action, {wanted}")
            elif permission.action not in ACTIONS:
                raise Refused("UNKNOWN", f"invalid permission action. {HELP}")
        wanted_permissions = [
            (permission.entity, permission.action) for permission in request.permissions
        ]
        baked = bake(
            self._root_key,
            wanted_permissions,
            os.urandom(NONCE_BYTES),
            str(request.root_key_id).encode(),
        )
        return ln.BakeMacaroonResponse(macaroon=baked.hex())
