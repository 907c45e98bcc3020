"""Other people's servers under our lake: moto and s3s-fs are the bucket it lies in.

s3s-fs is the one for conditional writes, moto the one for object lock, which s3s-fs does not have.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from moto.s3 import models
from moto.s3.exceptions import AccessDeniedByLock
from world import LEAVES, SPAN, client_of, program


def bucket(s3, *, locked: bool = False) -> str:
    name = f"lake-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=locked)
    return name


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
