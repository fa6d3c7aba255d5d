"""The description of the API: whoever writes a client against it finds every parameter, error and example in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema_rs
import pytest

from api.app import create_app
from api.describe import ERRORS, PARTS_OF_IT, part_of
from api.problem_words import PROBLEMS
from api.settings import Settings
from controller.link.messages import REFUSAL_CODES

API = Path(__file__).parents[2] / "api"


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    folder = tmp_path_factory.mktemp("described")
    return create_app(Settings(socket=folder / "c.sock", state_dir=folder)).openapi()


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation):
    yield from operation.get("requestBody", {}).get("content", {}).items()
    for response in operation["responses"].values():
        yield from response.get("content", {}).items()


def test_every_example_is_valid(described):
    """Somebody copies an example, and it is refused."""
    wrong, validators = [], {}
    for where, operation in operations(described):
        for media, content in contents(operation):
            if "json" not in media or "example" not in content:
                continue
            of = json.dumps(content["schema"])
            if of not in validators:
                schema = {**content["schema"], "components": described["components"]}
                validators[of] = jsonschema_rs.validator_for(schema)
            if not validators[of].is_valid(content["example"]):
                wrong.append(f"{where}: {content['example']}")
    assert not wrong, "\n".join(wrong)


def test_every_operation_and_parameter_is_told(described):
    """A client's author must read our code to know what a parameter does."""
    assert {tag["name"] for tag in described["tags"]} == set(PARTS_OF_IT)
    for where, operation in operations(described):
        assert operation["description"], where
        assert operation["tags"] == [part_of(where.split(" ")[1])], where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["schema"].get("description"), (
                f"{where} {parameter['name']}"
            )
        if operation.get("requestBody"):
            assert any("example" in content or "schema" in content for _, content in contents(operation)), where


def test_every_error_is_a_problem_with_its_meaning(described):
    """An error comes that is not in the description, or in another form than the others."""
    for where, operation in operations(described):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"], f"{where} {status}"
                assert response["description"] == ERRORS[int(status)][0], f"{where} {status}"
        for status in ("429", "503"):
            assert "Retry-After" in operation["responses"].get(status, {"headers": ["Retry-After"]})["headers"], where


def test_every_problem_has_words():
    """An officer reads a code in place of a sentence."""
    asked = re.compile(r'(?:Problem|_refuse|NotAuthorised)\(\s*"(\w+)"')
    codes = {found for path in API.rglob("*.py") for found in asked.findall(path.read_text("utf-8"))}
    assert sorted((codes | set(REFUSAL_CODES)) - set(PROBLEMS)) == []
