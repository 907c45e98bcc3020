"""What the tests share: moto and s3s-fs as buckets, and a lake in a folder."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from world import LEAVES, client_of, program


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[str]:
    server = ThreadedMotoServer(port=0)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="session")
def conditional_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """s3s-fs, a server of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = ["--access-key", "key", "--secret-key", "secret"]
    command = [os.environ["S3S_FS"], *keys, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen([*command, str(tmp_path_factory.mktemp("s3s"))], stdout=subprocess.DEVNULL) as server:
        while server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture
def s3(bucket_server: str):
    return client_of(bucket_server)


@pytest.fixture
def ours(tmp_path: Path, bucket_server: str) -> Callable[..., object]:
    return program(bucket_server, tmp_path / "mark")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake in a folder."""
    where = tmp_path_factory.mktemp("lake")
    environment = {**os.environ, "LAKE_MARK": str(where / "mark")}
    url = f"file://{where}/objects"
    subprocess.run([os.environ["LAKE_PEER"], "fill", url, str(LEAVES)], env=environment, check=True)
    return f"{where}/objects"
