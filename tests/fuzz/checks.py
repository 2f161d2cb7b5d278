"""What schemathesis asks of every answer, beside what the description promises."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.check
def nothing_unforeseen(
    context: schemathesis.CheckContext, answer: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """No 500, and no word of the inside."""
    assert answer.status_code < 500 or answer.status_code in (501, 503, 504), answer.text
    assert "Traceback" not in answer.text
