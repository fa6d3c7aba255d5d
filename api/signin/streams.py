"""What goes on after its answer began ends with the session that asked for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from api.access import Who
from api.signin.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def while_signed_in(keeper: Keeper, who: Who, frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """`frames`, for as long as whoever asked is signed in, in the same posts. Each piece is judged before it goes out;
    there is one every two seconds, and whoever ends a session stirs all streams.
    """
    async with aclosing(cast("AsyncGenerator[bytes]", frames)) as pieces:
        async for piece in pieces:
            if not keeper.stands(who):
                return
            yield piece
