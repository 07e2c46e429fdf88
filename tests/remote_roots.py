"""Folders behind URLs to test with: an S3 server on this machine, and fsspec's file system in memory."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ltbench.results.places import Place, place


@contextmanager
def s3_environment() -> Iterator[dict[str, str]]:
    """A running server; yields the variables by which a process, ours or another, finds it."""
    server_module = pytest.importorskip(
        "moto.server", reason="no S3 server: pip install 'moto[s3]' flask flask-cors"
    )
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "something",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.stop()


def new_bucket(variables: dict[str, str], *, complete: bool = False) -> str:
    """URL of an empty bucket; `complete` = opens where the variables are not set too."""
    from pyarrow import fs

    name = f"bucket-{uuid.uuid4().hex[:12]}"
    host = variables["AWS_ENDPOINT_URL"].removeprefix("http://")
    system = fs.S3FileSystem(
        access_key=variables["AWS_ACCESS_KEY_ID"],
        secret_key=variables["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=host,
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    system.create_dir(name)
    if complete:
        keys = f"{variables['AWS_ACCESS_KEY_ID']}:{variables['AWS_SECRET_ACCESS_KEY']}"
        return f"s3://{keys}@{name}/runs?endpoint_override={host}&scheme=http&region=us-east-1"
    return f"s3://{name}/runs"


def in_memory() -> Place:
    """An empty folder that only this process sees."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    return place(f"memory://{uuid.uuid4().hex}/runs")
