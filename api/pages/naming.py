"""What somebody is called: corrected at once, destroyed for good when its term is over (E-08). Names are here alone."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.access import Permission, Who, require
from api.names import Name
from api.pages.forms import Form, Sent, new_key, told
from api.pages.frame import render
from api.pages.looks import holder_of, look_of
from api.parts import Here, Parts
from api.personal import forget, in_force, rename
from api.problems import Problem
from api.words import FORGET_REASONS

router = APIRouter(include_in_schema=False)
Proposes = Annotated[Who, Depends(require(Permission.PROPOSE))]
Answers = Annotated[Who, Depends(require(Permission.OFFICERS))]


@router.get("/people/{id}/name")
def name_form(here: Here, request: Request, who: Proposes, id: str) -> HTMLResponse:
    """The name, to be corrected or destroyed."""
    return _page(here, request, who, id, Form({}), "")


def _page(here: Parts, request: Request, who: Who, id: str, form: Form, problem: str) -> HTMLResponse:
    look = look_of(here, who)
    one = holder_of(look, id)
    now = look.names.get(one) or Name(cardholder=one, name="")
    return render(
        request, who, "naming.html", look=look, id=one, problem=problem, key=new_key(), lasting=in_force(here, one),
        name=form.text("name") or now.name, kana=form.text("kana") or now.kana, reasons=FORGET_REASONS,
        roman=form.text("roman") or now.roman, may_forget=who.may(Permission.OFFICERS),
        is_forgotten=here.view.forgotten_at(one) is not None, status=422 if problem else 200,
    )  # fmt: skip


@router.post("/people/{id}/name")
def correct(here: Here, request: Request, who: Proposes, id: str, form: Sent) -> Response:
    """Call somebody otherwise. That it was done is recorded; how is not."""
    one = holder_of(look_of(here, who), id)
    try:
        if not form.text("name"):
            raise Problem("not_valid", 422, members={"field": "name"})
        rename(
            here, who.officer,
            Name(cardholder=one, name=form.text("name"), kana=form.text("kana"), roman=form.text("roman")),
        )  # fmt: skip
    except Problem as problem:
        return _page(here, request, who, id, form, told(problem))
    return RedirectResponse(f"/people/{one}", 303)


@router.post("/people/{id}/forget")
def destroy(here: Here, request: Request, who: Answers, id: str, form: Sent) -> Response:
    """Destroy a name for good. Refused while anything of this person is in force."""
    one = holder_of(look_of(here, who), id)
    try:
        if form.text("reason") not in FORGET_REASONS:
            raise Problem("not_valid", 422, members={"field": "reason"})
        forget(here, who.officer, one, form.text("reason"), form.text("key") or None)
    except Problem as problem:
        return _page(here, request, who, id, form, told(problem))
    return RedirectResponse(f"/people/{one}", 303)
