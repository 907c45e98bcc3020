"""What was acknowledged survives the end of the process at any moment."""

import random
import threading
import time

import httpx
from conftest import Server

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PEOPLE = 16
ROUNDS = 60


def create(server, name):
    body = {"schemas": [USER], "userName": name, "active": True}
    return server.client.post("/Users", json=body).raise_for_status().json()["id"]


def write(server, ids, acknowledged, attempted, count):
    """Flips users until the server is gone, and notes what was tried and what was acknowledged."""
    while True:
        at = random.choice(ids)
        active = not attempted[at]
        attempted[at] = active
        operation = {"op": "Replace", "path": "active", "value": str(active)}
        try:
            answer = server.client.patch(f"/Users/{at}", json={"schemas": [PATCH], "Operations": [operation]})
        except (httpx.HTTPError, RuntimeError):
            return
        assert answer.status_code == 200, answer.text
        acknowledged[at] = active
        count.release()


def test_no_acknowledged_deactivation_is_lost_by_a_kill(tmp_path):
    server = Server(tmp_path)
    shares = [[create(server, f"user-{share}-{at}") for at in range(PEOPLE // 4)] for share in range(4)]
    acknowledged = {at: True for share in shares for at in share}
    for _ in range(ROUNDS):
        attempted = dict(acknowledged)
        count = threading.Semaphore(0)
        arguments = [(server, share, acknowledged, attempted, count) for share in shares]
        writers = [threading.Thread(target=write, args=one) for one in arguments]
        for writer in writers:
            writer.start()
        for _ in range(random.randint(1, 8)):
            assert count.acquire(timeout=30), "writes are acknowledged"
        time.sleep(random.uniform(0, 0.02))
        server.process.kill()
        for writer in writers:
            writer.join()
        server.kill()
        server = Server(tmp_path)
        people = server.people()
        users = {one["id"]: one for one in server.client.get("/Users").json()["Resources"]}
        for at, active in acknowledged.items():
            shown = users[at]["active"]
            # A write that was tried and not answered may have been made or not.
            assert shown in (active, attempted[at])
            assert people[at]["state"] == ("active" if shown else "suspended"), "the registry says the same"
            acknowledged[at] = shown
    server.kill()
