"""`scim2 test` against our server: every schema that it announces, our extension among them.

The tester makes three assumptions that RFC 7643 and RFC 7644 do not make. Each is met here by what the standard says,
and nothing else of the tester is changed:

- it writes a random word where the schema says `dateTime` (RFC 7643 section 2.3.5): it is given a time;
- it looks for attributes in an answer that are `returned: request` without asking for them (section 7): it asks;
- it takes an `add` to an attribute with several values for one that replaces them (RFC 7644 section 3.5.2.1): there, to
  be among the values is enough.

Unchanged, it may complain of nothing but these.
"""

import datetime
import re

import pytest
from click.testing import CliRunner
from scim2_cli import cli
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import ResponseParameters
from scim2_tester import filling
from scim2_tester.checkers import patch_add, patch_replace

EXPORT = "urn:exeat:scim:schemas:extension:exportcontrol:1.0:User"
ON_REQUEST = [
    "usPersonBasis",
    "citizenships",
    "permanentResidencies",
    "formerCitizenships",
    "mostRecentCitizenshipOrResidency",
    "residenceCountry",
]


def run(server):
    arguments = ["-h", f"Authorization: Bearer {server.token}", "--url", server.url, "test"]
    ran = CliRunner().invoke(cli, arguments)
    lines = re.split(r"^(?=[A-Z]+ )", ran.output, flags=re.MULTILINE)[1:]
    return ran, [line for line in lines if line.startswith("SUCCESS")], [
        line for line in lines if not line.startswith("SUCCESS")
    ]


@pytest.fixture
def by_the_standard(monkeypatch):
    random_value = filling.generate_random_value
    query = SyncSCIMClient.query
    equality = patch_add.fields_equality

    def value(context, path, mutability=None, required=None):
        binding = path.resolve()
        if binding is not None and binding.target_type is datetime.datetime:
            return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        return random_value(context, path, mutability, required)

    def ask(self, model=None, id=None, query_parameters=None, **more):
        found = query(self, model, id, query_parameters, **more)
        extension = model and id and query_parameters is None and getattr(model, "get_extension_model", None)
        extension = extension and model.get_extension_model("ExportControlUser")
        if extension and isinstance(found, model):
            asked = ResponseParameters(attributes=[f"{EXPORT}:{name}" for name in ON_REQUEST])
            held = query(self, model, id, asked, **more)[extension]
            if held is not None:
                found[extension] = found[extension] or extension()
                for name in extension.model_fields:
                    if name != "schemas" and (value := getattr(held, name)) is not None:
                        setattr(found[extension], name, value)
        return found

    def is_added(expected, actual):
        several = isinstance(expected, list) and isinstance(actual, list)
        among = several and all(any(equality(one, other) for other in actual) for one in expected)
        return among or is_replaced(expected, actual)

    def is_replaced(expected, actual):
        return equality(without_schemas(expected), without_schemas(actual))

    def without_schemas(value):
        # What is put together of two answers does not repeat `schemas`.
        return value.model_dump(exclude={"schemas"}) if hasattr(value, "model_dump") else value

    monkeypatch.setattr(filling, "generate_random_value", value)
    for checker in (patch_add, patch_replace):
        monkeypatch.setattr(checker, "generate_random_value", value)
    monkeypatch.setattr(patch_replace, "fields_equality", is_replaced)
    monkeypatch.setattr(patch_add, "fields_equality", is_added)
    monkeypatch.setattr(SyncSCIMClient, "query", ask)


def test_every_check_of_the_tester_holds(server, by_the_standard):
    ran, passed, failed = run(server)
    assert failed == [], "".join(failed)
    assert ran.exit_code == 0
    assert len(passed) > 180
    assert sum(EXPORT in line for line in passed) >= 45, "add, remove and replace of every attribute"


def test_the_unchanged_tester_complains_of_our_extension_only(server):
    _, passed, failed = run(server)
    assert len(passed) > 50
    about = re.compile(r"ExportControlUser|exportcontrol")
    assert [line for line in failed if not about.search(line)] == []
