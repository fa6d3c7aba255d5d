"""The living parts of the web process, made at start and closed at the end; routes get them from `app.state.parts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request

from api.broadcast import Broadcast
from api.feed import Feed
from api.link import Requests
from api.once import Answers
from api.proposals import Proposals
from api.review import Reviewer
from api.settings import Settings
from api.signin.keeper import Keeper
from api.signin.ways import SigningIn
from api.suggestions import Suggestions
from api.transfer.agreements import Agreements
from api.view import View

if TYPE_CHECKING:
    from api.transfer.imports import Imports


@dataclass(slots=True, kw_only=True)
class Parts:
    """One of each. `keeper` tells who asks; `signing_in` lets people sign in and out."""

    settings: Settings
    keeper: Keeper
    signing_in: SigningIn
    view: View
    broadcast: Broadcast
    feed: Feed
    requests: Requests
    proposals: Proposals
    suggestions: Suggestions
    agreements: Agreements
    imports: Imports
    reviewer: Reviewer
    answers: Answers
    rendered: dict[str, Any]


def parts_of(request: Request) -> Parts:
    """Dependency: the parts."""
    parts: Parts = request.app.state.parts
    return parts


Here = Annotated[Parts, Depends(parts_of)]
