"""What the tests need of the running demo."""

import itertools
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import anthropic
import openai

ROOT = Path(__file__).resolve().parents[3]
ORDER = ROOT / "examples" / "june-12.directive.json"
# A key of the right form and checksum is not needed: any other text is refused before the look-up.
BAD_KEY = "ex_live_0000000000000000_" + "0" * 49
# More than any of these prompts is answered with; the small model writes about 20 tokens a second on a busy core.
LONG = {"max_tokens": 400, "extra_body": {"ignore_eos": True}}


@dataclass
class Demo:
    """The running demo: where it is, who may call, and what its operator can do."""

    told: dict
    orders: itertools.count = field(default_factory=itertools.count)

    @classmethod
    def running(cls) -> "Demo":
        return cls(json.loads(Path(os.environ["EXEAT_READY"]).read_text()))

    @property
    def alias(self) -> str:
        return self.told["alias"]

    @property
    def best(self) -> str:
        """The controlled version."""
        return self.told["models"][0]

    @property
    def open(self) -> str:
        """The version that anybody with a key may use."""
        return self.told["models"][1]

    def openai(self, who: str, client=openai.OpenAI, **more):
        return client(api_key=self.key(who), base_url=self.told["base_url"] + "/v1", **more)

    def anthropic(self, who: str, client=anthropic.Anthropic, **more):
        return client(api_key=self.key(who), base_url=self.told["base_url"], **more)

    def key(self, who: str) -> str:
        return self.told["keys"].get(who, who)

    def admin(self, method: str, path: str, body: dict | None = None) -> dict:
        """Calls the admin API as an officer does."""
        return json.loads(self._ask(self.told["admin_url"] + path, method, body))

    def apply_order(self) -> str:
        """Applies an order of the words of June 12 under an id of its own; returns the id."""
        order = json.loads(ORDER.read_text())
        order["id"] = f"DIR-SDK-{os.getpid()}-{next(self.orders)}"
        self.admin("POST", "/admin/v1/directives?apply=true", order)
        return order["id"]

    def lift(self, order: str) -> None:
        self.admin("POST", f"/admin/v1/directives/{order}/lift")

    def calls_ended(self, outcome: str) -> int:
        """Returns how many permitted calls ended so, by the gateway's metrics."""
        lines = self._ask(self.told["admin_url"] + "/metrics", "GET", None).splitlines()
        counts = [line.rsplit(" ", 1)[1] for line in lines if line.startswith("exeat_calls_total{") and f'outcome="{outcome}"' in line]
        return sum(int(float(count)) for count in counts)

    def wait_for_calls_ended(self, outcome: str, count: int) -> None:
        deadline = time.monotonic() + 20
        while self.calls_ended(outcome) < count:
            assert time.monotonic() < deadline, f"no {count} calls ended as {outcome}"
            time.sleep(0.1)

    def exeat(self, *arguments: str) -> dict:
        """Runs `exeat` on the demo's ledger and returns what it answers."""
        command = [os.environ["EXEAT_BIN"], "--json", *arguments, "--ledger", self.told["ledger_dir"]]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def receipt(self, who: str, receipt: str) -> dict:
        """Fetches a receipt as its owner; waits until a signed checkpoint covers the entry."""
        deadline = time.monotonic() + 10
        while True:
            try:
                return json.loads(self._ask(f"{self.told['base_url']}/receipts/{receipt}", "GET", None, self.key(who)))
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _ask(self, url: str, method: str, body: dict | None, token: str | None = None) -> str:
        request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)
        request.add_header("authorization", f"Bearer {token or self.told['admin_token']}")
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()


class Sent:
    """Counts the HTTP requests that an SDK sends, retries among them."""

    def __init__(self, http_client):
        self.count = 0
        self.client = http_client(event_hooks={"request": [self._add]})

    def _add(self, _request):
        self.count += 1


def ask(text: str = "Say one word.") -> list[dict]:
    return [{"role": "user", "content": text}]


# A talk in each dialect that calls for a tool; three examples in it lead even a small model to the call,
# if it always takes the likeliest next word.
TOOLS = json.loads((ROOT / "tests" / "sdk" / "tools.json").read_text())
LIKELIEST = {"extra_body": {"temperature": 0}}
