"""Starts our SCIM server, empty, over a folder of its own."""

import json
import os
import subprocess

import httpx
import pytest

SERVER = os.environ["SCIM_SERVER"]


class Server:
    """One process of our server, and what it printed."""

    def __init__(self, folder):
        self.process = subprocess.Popen([SERVER, str(folder)], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        ready = json.loads(line)
        self.url, self.token = ready["url"], ready["token"]
        self.client = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=30
        )

    def people(self):
        """What became of everybody in the registry, by the id that SCIM gave them."""
        origin = self.url.split("/scim/")[0]
        return {one["id"]: one for one in httpx.get(f"{origin}/registry/people").json()}

    def kill(self):
        """Ends the process as a power cut would."""
        self.process.kill()
        self.process.wait()
        self.client.close()


@pytest.fixture
def server(tmp_path):
    started = Server(tmp_path)
    yield started
    started.kill()
