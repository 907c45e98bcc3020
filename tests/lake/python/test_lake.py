"""Other people's programs against our lake: DuckDB reads it and agrees with us; moto and s3s-fs are the bucket it lies in.

s3s-fs is the one for conditional writes, moto the one for object lock, which s3s-fs does not have.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import duckdb
import pytest
from moto.s3 import models
from moto.s3.exceptions import AccessDeniedByLock
from moto.server import ThreadedMotoServer

SPAN = 65_536
# A whole file and a tail that stays in the log.
LEAVES = SPAN + 100
REGION = "us-east-1"


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


def client_of(server: str):
    return boto3.client(
        "s3", endpoint_url=server, aws_access_key_id="key", aws_secret_access_key="secret", region_name=REGION
    )


def program(server: str, mark: Path) -> Callable[..., object]:
    """Our program, whose buckets are those of a server; its answer is JSON."""
    environment = {
        **os.environ,
        "LAKE_MARK": str(mark),
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
    }

    def run(*words: object) -> object:
        command = [os.environ["LAKE_PEER"], *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


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


@pytest.fixture(scope="session")
def table(folder: str) -> duckdb.DuckDBPyConnection:
    """The lake as an engine sees it: nothing but a glob."""
    db = duckdb.connect()
    db.execute(
        f"CREATE VIEW lake AS SELECT * FROM read_parquet('{folder}/lake/v2/**/*.parquet', hive_partitioning = true)"
    )
    return db


def bucket(s3, *, locked: bool = False) -> str:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
    return name


def test_every_leaf_is_one_row_in_order(table: duckdb.DuckDBPyConnection) -> None:
    count, first, last, distinct = table.execute(
        'SELECT count(*), min("index"), max("index"), count(DISTINCT "index") FROM lake'
    ).fetchone()
    assert (count, first, last, distinct) == (SPAN, 0, SPAN - 1, SPAN)
    assert table.execute("SELECT count(*) FROM lake WHERE leaf IS NOT NULL").fetchone() == (0,)


def test_folders_are_columns_for_day_and_hour(table: duckdb.DuckDBPyConnection) -> None:
    days = table.execute('SELECT DISTINCT "day"::VARCHAR, hour::INT, log FROM lake').fetchall()
    assert days and all(day == "2026-06-09" and log == "log.example.com_2fexeat_2f1" for day, _, log in days)


def test_a_column_has_what_the_format_says(table: duckdb.DuckDBPyConnection) -> None:
    row = table.execute(
        "SELECT kind, octet_length(call), octet_length(subject), model, outcome, len(organizations), "
        "octet_length(private), typeof(recorded_at) FROM lake WHERE kind = 'close' LIMIT 1"
    ).fetchone()
    assert row[:3] == ("close", 16, 16) and row[4] in ("completed", "client_gone") and row[5:7] == (1, 32)
    assert row[7] == "TIMESTAMP WITH TIME ZONE"


TOKENS = """
    WITH opened AS (SELECT "index", model, unnest(organizations) AS organization FROM lake WHERE kind = 'open')
    SELECT lower(hex(organization)), opened.model, count(*),
           coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0)
    FROM opened LEFT JOIN (SELECT opened AS "index", input_tokens, output_tokens FROM lake WHERE kind = 'close')
    USING ("index") GROUP BY ALL
"""
REFUSALS = "SELECT code, model, count(*) FROM lake WHERE kind = 'refusal' GROUP BY ALL"
WHO = """
    SELECT lower(hex(o.subject)), o.model, count(*), coalesce(sum(c.input_tokens), 0), coalesce(sum(c.output_tokens), 0)
    FROM lake o LEFT JOIN lake c ON c.kind = 'close' AND c.opened = o."index" WHERE o.kind = 'open' GROUP BY ALL
"""


@pytest.mark.parametrize(
    ("question", "sql", "columns"),
    [
        ("tokens", TOKENS, ["organization", "model", "calls", "input_tokens", "output_tokens"]),
        ("refusals", REFUSALS, ["code", "model", "refusals"]),
        ("who", WHO, ["subject", "model", "calls", "input_tokens", "output_tokens"]),
    ],
)
def test_an_engine_and_we_give_the_same_answer(
    table: duckdb.DuckDBPyConnection, ours, folder: str, question: str, sql: str, columns: list[str]
) -> None:
    theirs = sorted(tuple(row) for row in table.execute(sql).fetchall())
    # The engine sees whole files, so we are asked about these leaves alone.
    mine = ours("query", question, f"file://{folder}", SPAN)
    assert sorted(tuple(row[column] for column in columns) for row in mine) == theirs
    assert len(theirs) > 10


def test_a_bucket_holds_the_same_bytes_as_a_folder(ours, s3, folder: str) -> None:
    name = bucket(s3, locked=False)
    assert ours("fill", f"s3://{name}/archive", LEAVES) == {"covered": SPAN, "size": LEAVES}
    listed = s3.list_objects_v2(Bucket=name)["Contents"]
    assert len(listed) == 1
    for item in listed:
        there = s3.get_object(Bucket=name, Key=item["Key"])["Body"].read()
        assert there == Path(folder, item["Key"].removeprefix("archive/")).read_bytes()


def test_filling_a_lake_again_changes_nothing(ours, s3) -> None:
    name = bucket(s3, locked=False)
    ours("fill", f"s3://{name}", LEAVES)
    before = {item["Key"]: item["LastModified"] for item in s3.list_objects_v2(Bucket=name)["Contents"]}
    assert ours("fill", f"s3://{name}", LEAVES)["covered"] == SPAN
    assert before == {item["Key"]: item["LastModified"] for item in s3.list_objects_v2(Bucket=name)["Contents"]}


@pytest.fixture(params=["bucket_server", "conditional_server"])
def swapping(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[..., object], object]:
    """Each of the two servers that write under a condition: our program before it, and a client of others."""
    server = request.getfixturevalue(request.param)
    return program(server, tmp_path / "mark"), client_of(server)


def test_only_whoever_read_last_swaps_the_checkpoint(swapping) -> None:
    ours, s3 = swapping
    name = bucket(s3)
    assert ours("swap", f"s3://{name}") == {"before": None, "swapped": [True, False, True], "after": 12}
    assert ours("swap", f"s3://{name}") == {"before": 12, "swapped": [True, False, True], "after": 12}


def test_a_checkpoint_that_somebody_else_wrote_is_not_overwritten(swapping) -> None:
    ours, s3 = swapping
    name = bucket(s3)
    ours("swap", f"s3://{name}")
    [item] = s3.list_objects_v2(Bucket=name)["Contents"]
    got = s3.get_object(Bucket=name, Key=item["Key"])
    theirs = got["Body"].read().replace(b'"size":12', b'"size":13')
    s3.put_object(Bucket=name, Key=item["Key"], Body=theirs, IfMatch=got["ETag"])
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=name, Key=item["Key"], Body=b"late", IfMatch=got["ETag"])
    assert ours("swap", f"s3://{name}")["before"] == 13


def test_an_object_that_is_there_is_left_as_it_is_and_is_an_alarm_if_it_is_another(swapping, tmp_path: Path) -> None:
    ours, s3 = swapping
    name = bucket(s3)
    assert ours("fill", f"s3://{name}/archive", LEAVES)["covered"] == SPAN
    [item] = s3.list_objects_v2(Bucket=name)["Contents"]
    body = s3.get_object(Bucket=name, Key=item["Key"])["Body"].read()
    with pytest.raises(s3.exceptions.ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket=name, Key=item["Key"], Body=b"another", IfNoneMatch="*")
    # The same leaves a second time, by a process that knows nothing of the first.
    (tmp_path / "mark").unlink()
    assert ours("fill", f"s3://{name}/archive", LEAVES)["covered"] == SPAN
    assert s3.list_objects_v2(Bucket=name)["Contents"][0]["LastModified"] == item["LastModified"]
    s3.put_object(Bucket=name, Key=item["Key"], Body=body[:-1] + b"?")
    (tmp_path / "mark").unlink()
    with pytest.raises(AssertionError, match="other content"):
        ours("fill", f"s3://{name}/archive", LEAVES)
    assert s3.get_object(Bucket=name, Key=item["Key"])["Body"].read() == body[:-1] + b"?"


def test_small_files_become_a_wide_one_in_a_bucket(conditional_server: str, tmp_path: Path) -> None:
    ours, s3 = program(conditional_server, tmp_path / "mark"), client_of(conditional_server)
    name = bucket(s3)
    ours("fill", f"s3://{name}", 2 * SPAN)
    assert ours("compact", f"s3://{name}", 2 * SPAN) == {"made": 1, "removed": 2}
    [item] = s3.list_objects_v2(Bucket=name)["Contents"]
    assert item["Key"].endswith(f"part-0-{2 * SPAN - 1}.parquet")


def test_a_bucket_that_takes_a_lock_and_forgets_it_is_not_called_worm(conditional_server: str, tmp_path: Path) -> None:
    name = bucket(client_of(conditional_server))
    assert str(program(conditional_server, tmp_path / "mark")("probe", f"s3://{name}")).startswith("Unable")


def test_an_object_of_a_held_lake_cannot_be_removed(ours, s3) -> None:
    name = bucket(s3, locked=True)
    assert ours("fill", f"s3://{name}", SPAN, "hold")["covered"] == SPAN
    version = s3.list_object_versions(Bucket=name)["Versions"][0]
    held = s3.head_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
    assert held["ObjectLockMode"] == "COMPLIANCE" and held["ObjectLockRetainUntilDate"].year == 2031
    with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])


def test_a_bucket_without_object_lock_is_not_called_worm(ours, s3) -> None:
    assert str(ours("probe", f"s3://{bucket(s3, locked=False)}")).startswith("Unable")


def test_a_folder_is_not_called_worm(ours, tmp_path: Path) -> None:
    assert str(ours("probe", f"file://{tmp_path}/lake")).startswith("Unable")


def test_a_bucket_that_lets_a_retention_be_shortened_is_not_called_worm(ours, s3) -> None:
    # This release of moto does, which S3 does not.
    assert "shortened" in str(ours("probe", f"s3://{bucket(s3, locked=True)}"))


def test_a_bucket_that_lets_a_version_be_removed_is_not_called_worm(ours, s3, monkeypatch) -> None:
    monkeypatch.setattr(models.FakeKey, "is_locked", lambda _key, **_named: False)
    assert "removed" in str(ours("probe", f"s3://{bucket(s3, locked=True)}"))


def test_a_bucket_that_refuses_all_three_is_called_worm(ours, s3, monkeypatch) -> None:
    def refuse(*_arguments, **_named):
        raise AccessDeniedByLock

    monkeypatch.setattr(models.S3Backend, "put_object_retention", refuse)
    assert ours("probe", f"s3://{bucket(s3, locked=True)}") == "Held"


def test_wrong_credentials_are_not_called_a_bucket_without_object_lock(ours, s3, monkeypatch) -> None:
    def refuse(*_arguments, **_named):
        raise AccessDeniedByLock

    monkeypatch.setattr(models.S3Backend, "put_object", refuse)
    with pytest.raises(AssertionError, match="AccessDenied"):
        ours("probe", f"s3://{bucket(s3, locked=True)}")


def test_an_object_whose_retention_has_not_ended_is_not_compacted(ours, s3) -> None:
    name = bucket(s3, locked=True)
    assert ours("fill", f"s3://{name}", 2 * SPAN, "hold")["covered"] == 2 * SPAN
    with pytest.raises(AssertionError, match="held until its retention ends"):
        ours("compact", f"s3://{name}", 2 * SPAN)
    assert len(s3.list_objects_v2(Bucket=name)["Contents"]) == 2


def test_an_object_under_a_legal_hold_is_not_compacted(ours, s3) -> None:
    name = bucket(s3, locked=True)
    ours("fill", f"s3://{name}", 2 * SPAN)
    key = s3.list_objects_v2(Bucket=name)["Contents"][1]["Key"]
    s3.put_object_legal_hold(Bucket=name, Key=key, LegalHold={"Status": "ON"})
    with pytest.raises(AssertionError, match="held"):
        ours("compact", f"s3://{name}", 2 * SPAN)
    s3.put_object_legal_hold(Bucket=name, Key=key, LegalHold={"Status": "OFF"})
    assert ours("compact", f"s3://{name}", 2 * SPAN)["removed"] == 2
