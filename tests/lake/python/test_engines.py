"""Other people's engines on our lake: DuckDB, ClickHouse and Spark read it as it is, and agree with us."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from chdb.session import Session
from pyspark.sql import SparkSession
from world import LEAVES, SPAN


class DuckDb:
    """The lake is a view over nothing but a glob."""

    index, each, size, millis = '"index"', "unnest", "len", "epoch_ms"

    def __init__(self, folder: str) -> None:
        self.db = duckdb.connect()
        files = f"read_parquet('{folder}/lake/v2/log=*/**/*.parquet', hive_partitioning = true)"
        self.db.execute(f"CREATE VIEW lake AS SELECT * FROM {files}")

    def rows(self, sql: str) -> list[tuple]:
        return self.db.execute(sql).fetchall()

    def close(self) -> None:
        self.db.close()


class ClickHouse:
    """The same in ClickHouse."""

    index, each, size, millis = '"index"', "arrayJoin", "length", "toUnixTimestamp64Milli"

    def __init__(self, folder: str) -> None:
        self.session = Session()
        self.session.query(f"CREATE VIEW lake AS SELECT * FROM file('{folder}/lake/v2/log=*/**/*.parquet', 'Parquet')")

    def rows(self, sql: str) -> list[tuple]:
        settings = "SETTINGS output_format_json_quote_64bit_integers = 0"
        answer = json.loads(str(self.session.query(f"{sql} {settings}", "JSONCompact")))
        return [tuple(row) for row in answer["data"]]

    def close(self) -> None:
        self.session.close()


class Spark:
    """Spark is given the folder of the log, and finds the rest."""

    index, each, size, millis = "`index`", "explode", "size", "unix_millis"

    def __init__(self, folder: str) -> None:
        few = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.shuffle.partitions": "1"}
        builder = SparkSession.builder.master("local[1]")
        for name, value in few.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        lake = f"file://{folder}/lake/v2"
        files = self.spark.read.option("basePath", lake).option("pathGlobFilter", "*.parquet")
        files.parquet(f"{lake}/log=log.example.com_2fexeat_2f1").createOrReplaceTempView("lake")

    def rows(self, sql: str) -> list[tuple]:
        return [tuple(row) for row in self.spark.sql(sql).collect()]

    def close(self) -> None:
        self.spark.stop()


@pytest.fixture(scope="module", params=[DuckDb, ClickHouse, Spark])
def engine(request: pytest.FixtureRequest, folder: str) -> Iterator[DuckDb | ClickHouse | Spark]:
    engine = request.param(folder)
    yield engine
    engine.close()


def ask(engine, sql: str) -> list[tuple]:
    return engine.rows(sql.format(index=engine.index, each=engine.each, size=engine.size, millis=engine.millis))


def test_every_leaf_is_one_row_in_order(engine) -> None:
    asked = "SELECT count(*), min({index}), max({index}), count(DISTINCT {index}) FROM lake"
    assert ask(engine, asked) == [(SPAN, 0, SPAN - 1, SPAN)]
    assert ask(engine, "SELECT count(*) FROM lake WHERE leaf IS NOT NULL") == [(0,)]


def test_folders_are_columns_for_day_and_hour(engine) -> None:
    found = {(str(day), int(hour), log) for day, hour, log in ask(engine, "SELECT DISTINCT day, hour, log FROM lake")}
    assert found == {("2026-06-09", 10, "log.example.com_2fexeat_2f1")}


def test_a_column_has_what_the_format_says(engine) -> None:
    lengths = "octet_length(call), octet_length(subject), octet_length(commitment), octet_length(private)"
    asked = f"SELECT DISTINCT kind, {lengths}, {{size}}(organizations) FROM lake WHERE kind = 'close'"
    assert ask(engine, asked) == [("close", 16, 16, 32, 32, 1)]
    outcomes = ask(engine, "SELECT DISTINCT outcome FROM lake WHERE kind = 'close'")
    assert sorted(outcomes) == [("client_gone",), ("completed",)]


def test_the_time_of_an_entry_is_a_point_in_time(engine) -> None:
    [(first, last)] = ask(engine, "SELECT min({millis}(recorded_at)), max({millis}(recorded_at)) FROM lake")
    hour = datetime(2026, 6, 9, 10, tzinfo=UTC).timestamp() * 1000
    assert hour <= first < last < hour + 3_600_000
    if isinstance(engine, DuckDb):
        assert ask(engine, "SELECT DISTINCT typeof(recorded_at) FROM lake") == [("TIMESTAMP WITH TIME ZONE",)]


TOKENS = """
    SELECT lower(hex(o.organization)) AS organization, o.model AS model, count(*) AS calls,
           coalesce(sum(c.input_tokens), 0) AS input, coalesce(sum(c.output_tokens), 0) AS output
    FROM (SELECT {index}, model, {each}(organizations) AS organization FROM lake WHERE kind = 'open') o
    LEFT JOIN (SELECT opened, input_tokens, output_tokens FROM lake WHERE kind = 'close') c
    ON c.opened = o.{index} GROUP BY o.organization, o.model
"""
REFUSALS = "SELECT code, model, count(*) FROM lake WHERE kind = 'refusal' GROUP BY code, model"
WHO = """
    SELECT lower(hex(o.subject)) AS subject, o.model AS model, count(*) AS calls,
           coalesce(sum(c.input_tokens), 0) AS input, coalesce(sum(c.output_tokens), 0) AS output
    FROM (SELECT {index}, model, subject FROM lake WHERE kind = 'open') o
    LEFT JOIN (SELECT opened, input_tokens, output_tokens FROM lake WHERE kind = 'close') c
    ON c.opened = o.{index} GROUP BY o.subject, o.model
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
    engine, ours, folder: str, question: str, sql: str, columns: list[str]
) -> None:
    theirs = sorted(ask(engine, sql))
    # The engine sees whole files, so we are asked about these leaves alone.
    mine = ours("query", question, f"file://{folder}", SPAN)
    assert sorted(tuple(row[column] for column in columns) for row in mine) == theirs
    assert len(theirs) > 10


def test_clickhouse_reads_the_lake_where_it_lies_in_a_bucket(ours, s3, bucket_server: str, tmp_path: Path) -> None:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    assert ours("fill", f"s3://{name}/archive", LEAVES)["covered"] == SPAN
    files = f"s3('{bucket_server}/{name}/archive/lake/v2/log=*/**/*.parquet', 'key', 'secret', 'Parquet')"
    session = Session()
    answer = session.query(f"SELECT kind, count() FROM {files} GROUP BY kind", "JSONCompact")
    counted = {kind: int(count) for kind, count in json.loads(str(answer))["data"]}
    session.close()
    assert sum(counted.values()) == SPAN and set(counted) >= {"open", "close", "refusal"}
