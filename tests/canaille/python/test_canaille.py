"""Canaille, a directory for small organizations, provisions into our server of its own accord.

Whatever is saved in it goes out by its own SCIM client: it looks users up by `externalId`, creates and replaces them, and
says `active` as long as they are not locked.
"""

import datetime

import pytest
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend

NOW = datetime.datetime.now(datetime.timezone.utc)


@pytest.fixture
def directory(server):
    """A directory of which our server is a trusted client, with the token that our server was given."""
    configuration = {
        "SECRET_KEY": "for tests",
        "SERVER_NAME": "directory.example.com",
        "CANAILLE": {"DATABASE": "memory", "SMTP": None, "EMAIL_CONFIRMATION": False},
        "CANAILLE_OIDC": {},
        "CANAILLE_SCIM": {"ENABLE_CLIENT": True},
    }
    app = create_app(configuration, env_file="")
    with app.app_context():
        with app.backend.session():
            client = models.Client(
                client_id="exeat", client_name="Exeat", client_uri=server.url, client_secret="s"
            )
            Backend.instance.save(client)
            token = models.Token(
                token_id="1",
                access_token=server.token,
                client=client,
                audience=[client],
                issue_date=NOW,
                lifetime=3600,
                scope=["openid"],
            )
            Backend.instance.save(token)
            yield Backend.instance


def ada():
    return models.User(
        user_name="ada",
        formatted_name="Ada L",
        family_name="L",
        given_name="Ada",
        emails=["ada@larkspur.example"],
        title="Mate",
    )


def test_a_life_in_the_directory_is_one_in_the_registry(server, directory):
    user = ada()
    directory.save(user)
    found = server.client.get("/Users", params={"filter": f'externalId eq "{user.id}"'}).json()
    assert found["totalResults"] == 1
    resource = found["Resources"][0]
    assert (resource["userName"], resource["active"], resource["title"]) == ("ada", True, "Mate")
    known = server.people()[resource["id"]]
    assert (known["state"], known["person"]["display_name"]) == ("active", "Ada L")

    user.title = "Captain"
    directory.save(user)
    shown = server.client.get(f"/Users/{resource['id']}").json()
    assert (shown["title"], shown["active"]) == ("Captain", True)

    user.lock_date = NOW - datetime.timedelta(days=1)
    directory.save(user)
    locked = server.people()[resource["id"]]
    assert locked["state"] == "suspended"
    assert all(held["ends_at"] <= server.now() for held in locked["person"]["affiliations"])
    assert server.client.get(f"/Users/{resource['id']}").json()["active"] is False

    user.lock_date = None
    directory.save(user)
    assert server.people()[resource["id"]]["state"] == "active"

    directory.delete(user)
    assert server.client.get(f"/Users/{resource['id']}").status_code == 404
    assert server.people()[resource["id"]]["state"] == "ended"


def test_who_comes_after_somebody_of_the_same_name_is_somebody_else(server, directory):
    first = ada()
    directory.save(first)
    directory.delete(first)
    directory.save(ada())
    people = server.people().values()
    assert sorted(one["state"] for one in people) == ["active", "ended"]
    assert len({one["person"]["id"] for one in people}) == 2


def test_a_group_goes_out_with_its_members(server, directory):
    user = ada()
    directory.save(user)
    group = models.Group(display_name="crew", members=[user])
    directory.save(group)
    [found] = server.client.get("/Groups", params={"filter": 'displayName eq "Crew"'}).json()["Resources"]
    [user_id] = server.people()
    assert [member["value"] for member in found["members"]] == [user_id]
    directory.delete(group)
    assert server.client.get("/Groups").json()["totalResults"] == 0
