"""Unmodified SDKs behind `exeat agent`: they call with its local secret, and the demo sees tokens bound to its key."""

import json
import os
import subprocess

import anthropic
import openai
import pytest
from support import ask
from test_workloads import Platform


class Agent:
    """A running agent and what it tells programs to call with."""

    def __init__(self, demo, platform, folder):
        token = folder / "token"
        token.write_text(platform.token())
        command = [os.environ["EXEAT_BIN"], "--json", "agent", "--gateway", demo.told["base_url"], "--listen", "127.0.0.1:0",
                   "--dir", folder / "agent", "--identity-token-file", token, "--federation-rule", platform.name]
        self.process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, text=True)
        self.told = self._told()
        with open(self.told["secret_file"]) as file:
            self.secret = file.read()

    def _told(self):
        text = ""
        for line in self.process.stdout:
            text += line
            try:
                return json.loads(text)
            except json.JSONDecodeError:
                continue
        raise AssertionError(f"the agent ended: {text}")

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def agent(demo, tmp_path_factory):
    agent = Agent(demo, Platform(demo, "agent"), tmp_path_factory.mktemp("agent"))
    yield agent
    agent.stop()


@pytest.fixture
def environment(agent, monkeypatch):
    """All that a program is given: two variables for each SDK."""
    for name in ("OPENAI", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_BASE_URL", agent.told[f"{name}_BASE_URL"])
        monkeypatch.setenv(f"{name}_API_KEY", agent.secret)
    return monkeypatch


def test_the_openai_sdk_gets_an_answer_through_the_agent(demo, environment):
    answer = openai.OpenAI().chat.completions.create(model=demo.best, messages=ask(), max_tokens=4)
    assert answer.choices[0].finish_reason in ("stop", "length")


def test_the_openai_sdk_streams_through_the_agent(demo, environment):
    stream = openai.OpenAI().chat.completions.create(model=demo.best, messages=ask(), max_tokens=4, stream=True)
    assert [chunk for chunk in stream][-1].object == "chat.completion.chunk"


def test_the_anthropic_sdk_gets_an_answer_through_the_agent(demo, environment):
    answer = anthropic.Anthropic().messages.create(model=demo.best, messages=ask(), max_tokens=4)
    assert answer.stop_reason in ("end_turn", "max_tokens")


def test_the_anthropic_sdk_streams_through_the_agent(demo, environment):
    with anthropic.Anthropic().messages.stream(model=demo.best, messages=ask(), max_tokens=4) as stream:
        assert stream.get_final_message().stop_reason in ("end_turn", "max_tokens")


def test_another_secret_gets_no_answer_in_either_dialect(demo, environment):
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(api_key="another").chat.completions.create(model=demo.best, messages=ask(), max_tokens=4)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(api_key="another").messages.create(model=demo.best, messages=ask(), max_tokens=4)
