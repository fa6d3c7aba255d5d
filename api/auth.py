"""Who may ask at all: whoever is signed in, or shows an API token. What each may is asked by `api.access.require`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.access import bearer


def signed_in(request: Request, _: Annotated[object, Depends(bearer)]) -> None:
    """Dependency: somebody asks whom we know."""
    request.app.state.parts.keeper.who(request)
