"""A name that changes: recorded first, by pseudonym alone, then kept. It is in no register, and nobody signs it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from api.access import Who
from api.link import done
from api.name_keys import NameKeysError
from api.names import Name
from api.problems import Problem
from api.view import Forgotten
from controller.link.messages import Note

if TYPE_CHECKING:
    from api.parts import Parts


def rename(here: Parts, who: Who, name: Name) -> Name:
    """Somebody is called otherwise from now on. Raises Problem where that cannot be recorded or kept."""
    if here.view.forgotten_at(name.cardholder) is not None:
        raise Problem("forgotten", 409)
    note = Note(id=secrets.token_hex(16), type="NAME_CHANGED", officer=who.officer, cardholder=name.cardholder)
    done(here.requests.ask(lambda _: note))
    try:
        here.view.set_name(name)
    except NameKeysError as error:
        raise Problem("names_unreadable", 503, members={"why": str(error)}) from error
    except Forgotten as error:
        raise Problem("forgotten", 409) from error
    return name
