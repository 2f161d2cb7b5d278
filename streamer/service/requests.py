"""The protocol of a request_id: what is asked for under one is made once, and told again to whoever
asks again.

Each key has its own request_ids, one for all that it can make: a stream and a payment under the
same one are two contents. What was made becomes durable with it, in one commit, by who makes it:
`Request` is what `make` gets for that.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from streamer.books.desk import Desk
from streamer.service.once import Once
from streamer.service.orders import InvoiceOrder, PaymentOrder, StreamOrder, digest
from streamer.service.permission import request_name, require_same
from streamer.service.terms import check_request_id
from streamer.words.model import ApiKey, Request

T = TypeVar("T")


class Requests(Once):
    """All request_ids of a daemon. desk: its journal knows what was made under each."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    async def once(
        self,
        caller: ApiKey,
        request_id: str,
        order: StreamOrder | PaymentOrder | InvoiceOrder,
        make: Callable[[Request | None], Coroutine[Any, Any, T]],
        again: Callable[[str], Coroutine[Any, Any, T]],
    ) -> T:
        """What make gives, or again for the id of what it made before. Without a request_id each
        call makes anew (None).

        The work goes on to its end without its caller. Raises InvalidArgument, AlreadyExists (other
        content), and what both raise.
        """
        check_request_id(request_id)
        if not request_id:
            return await make(None)
        asked = Request(request_name(caller, request_id), "", digest(order))

        async def work() -> T:
            # only behind all that came before with this name: what they have made is in the journal
            # then
            known = await self._desk.history.request(asked.request_id)
            if known is None:
                return await make(asked)
            require_same(asked, known)
            return await again(known[0])

        return await self.only(asked.request_id, work)
