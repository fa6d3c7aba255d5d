"""What the API takes and gives of changes that wait for signatures (`api.proposals`).

FastAPI reads annotations at run time; they are kept simple here.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints
from webauthn.helpers import bytes_to_base64url

from api.access import Who
from api.models import Asked, Given, iso
from api.parts import Parts
from api.proposal import HASHES, Proposal
from controller.link.messages import EDIT_REASONS

ReasonWord = Literal[
    "joined", "work_assigned", "work_ended", "transferred", "left", "lost_card", "renewal", "review", "visit",
    "maintenance", "emergency", "correction", "import", "enrolment", "other",
]  # fmt: skip
ProposalState = Literal[
    "PENDING_1", "PENDING_2", "SENT", "IN_FORCE", "REFUSED", "STALE", "WITHDRAWN", "EXPIRED"
]  # fmt: skip
WeightWord = Literal["NARROWS", "ROUTINE", "WIDENS"]
ProposalId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{8,64}$")]

assert set(ReasonWord.__args__) == set(EDIT_REASONS)  # type: ignore[attr-defined]


class PutAsked(Asked):
    """One row of a change: the whole row as it shall be, as in POLICY_EDITED records. A credential may hold its
    `number`, a PIN its digits (`pin`, `duress`): the controller keeps hashes of them, and nobody keeps them here.
    """

    table: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]
    row: dict[str, Any]


class ProposalCreate(Asked):
    """A change of 1 to 100 rows, and why it is made."""

    puts: Annotated[list[PutAsked], Field(min_length=1, max_length=100)]
    reason: ReasonWord = "other"


class ProposalQuery(Asked):
    """`state`: those that wait, or those that are over. `cursor`: `next` of the page before."""

    model_config = ConfigDict(extra="forbid", strict=False)
    state: Literal["open", "settled"] | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: ProposalId | None = None


class SignedPublic(Given):
    officer: str
    at: str | None


class ChangePublic(Given):
    """One row before (null: there was none) and after."""

    table: str
    id: str
    was: dict[str, Any] | None
    row: dict[str, Any]


class WhyPublic(Given):
    """A stable code, words of the controller or of the rules in English, and the field at fault."""

    code: str
    why: str = ""
    field: str = ""


class FindingPublic(Given):
    code: str
    severity: str
    row: str
    words: dict[str, str]


class ProposalPublic(Given):
    """`weight`: what it does to who may enter; `signers_needed`: how many people it takes. `hindrance`: why nobody can
    complete it as things stand. `challenge` (base64url) is what is signed; `publicKey`: the options of
    `navigator.credentials.get` for whoever asks, null where he cannot be the next who signs.
    """

    id: str
    state: ProposalState
    proposer: str
    reason: ReasonWord
    made_at: str | None
    expires_at: str | None
    settled_at: str | None
    weight: WeightWord
    signers_needed: int
    signed: list[SignedPublic]
    changes: list[ChangePublic]
    hindrance: WhyPublic | None
    refusal: WhyPublic | None
    findings: list[FindingPublic]
    seq: int | None
    suggestion: int | None
    challenge: str | None
    publicKey: dict[str, Any] | None  # noqa: N815  the standard's name


class RightPublic(Given):
    cardholder: str
    zone: str


class StrandedPublic(Given):
    """`is_certain`: seen to pass since the last start. `by_edit`: he could enter it before."""

    cardholder: str
    zone: str
    is_certain: bool
    by_edit: bool


class EffectsPublic(Given):
    """Who could enter where by it and cannot now, the other way round, and who is inside a zone that he could not enter
    again. `refused`: why the rules of the policy do not take it. `is_cut`: there were too many to look at all.
    """

    gains: list[RightPublic]
    loses: list[RightPublic]
    stranded: list[StrandedPublic]
    is_cut: bool
    refused: str | None


def shown(here: Parts, who: Who, proposal: Proposal) -> ProposalPublic:
    """A proposal for whoever asks."""
    weight: Any = proposal.weight.name
    state: Any = proposal.state
    reason: Any = proposal.reason
    options = here.proposals.signing_options(who, proposal)
    challenge = bytes_to_base64url(here.proposals.challenge(proposal)) if proposal.puts else None
    return ProposalPublic(
        id=proposal.id, state=state, proposer=proposal.proposer, reason=reason, made_at=iso(proposal.made_at_ms),
        expires_at=iso(proposal.not_after_ms), settled_at=iso(proposal.settled_at_ms), weight=weight,
        signers_needed=proposal.weight.signers,
        signed=[SignedPublic(officer=one.officer, at=iso(one.at_ms)) for one in proposal.signed],
        changes=[
            ChangePublic(table=table, id=row["id"], was=visible(was), row=visible(row) or {})
            for (table, row), was in zip(proposal.puts, proposal.was, strict=True)
        ],
        hindrance=None if proposal.hindrance is None else WhyPublic(
            code=proposal.hindrance[0], why=proposal.hindrance[1]
        ),
        refusal=WhyPublic(code=proposal.code, why=proposal.why, field=proposal.field) if proposal.code else None,
        findings=[
            FindingPublic(
                code=one["code"], severity=one["severity"], row=one["row"], words={"ja": one["ja"], "en": one["en"]}
            )
            for one in proposal.findings
        ],
        seq=proposal.seq, suggestion=proposal.suggestion, challenge=challenge, publicKey=options,
    )  # fmt: skip


def visible(doc: dict[str, Any] | None) -> dict[str, Any] | None:
    """A row without what nobody needs to read."""
    return None if doc is None else {name: value for name, value in doc.items() if name not in HASHES}
