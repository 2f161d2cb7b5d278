"""What time costs: rates one after the other in stream time, each piece's price a whole number of
msat.
"""

from __future__ import annotations

from dataclasses import dataclass

from streamer.words.model import Rate


@dataclass(frozen=True)
class Piece:
    """From start (stream time) on it costs this much, until the next piece begins."""

    start: int
    rate: Rate


@dataclass(frozen=True)
class Prices:
    pieces: tuple[Piece, ...]

    def ends(self) -> list[int | None]:
        return [piece.start for piece in self.pieces[1:]] + [None]

    def price(self, moment: int) -> int:
        """msat for the stream time [0, moment)."""
        total = 0
        for piece, end in zip(self.pieces, self.ends(), strict=True):
            last = moment if end is None else min(moment, end)
            total += max(0, last - piece.start) * piece.rate.amount_msat // piece.rate.interval_ns
        return total

    def moment(self, msat: int) -> int:
        """The first moment whose price msat reaches."""
        total = 0
        for piece, end in zip(self.pieces, self.ends(), strict=True):
            if msat <= total:
                return piece.start
            reached = piece.start - (
                -(msat - total) * piece.rate.interval_ns // piece.rate.amount_msat
            )
            if end is None or reached <= end:
                return reached
            total += (end - piece.start) * piece.rate.amount_msat // piece.rate.interval_ns
        raise AssertionError("the last piece has no end")

    def grid_after(self, moment: int) -> int:
        """The first due moment after this one: whole payment intervals from where its rate began,
        and where the next begins.
        """
        for piece, end in zip(self.pieces, self.ends(), strict=True):
            if end is not None and end <= moment:
                continue
            step = piece.rate.payment_interval_ns
            after = piece.start + (max(0, moment - piece.start) // step + 1) * step
            return after if end is None else min(after, end)
        raise AssertionError("the last piece has no end")

    def with_rate(self, start: int, rate: Rate) -> Prices:
        """A new rate from start on; what was ordered for later before is replaced."""
        return Prices(
            (*(piece for piece in self.pieces if piece.start < start), Piece(start, rate))
        )

    def remove(self, start: int, much: int) -> Prices:
        """Without the time [start, start + much): a rate that began in it begins at start, later
        ones sooner.
        """
        if not much:
            return self
        end = start + much
        before = [piece for piece in self.pieces if piece.start <= start]
        begun = [piece for piece in self.pieces if start < piece.start <= end]
        if begun:
            before = [
                *(piece for piece in before if piece.start < start),
                Piece(start, begun[-1].rate),
            ]
        return Prices(
            (
                *before,
                *(
                    Piece(piece.start - much, piece.rate)
                    for piece in self.pieces
                    if piece.start > end
                ),
            )
        )
