"""Fetching over a line that breaks, from servers that lie, and what may not be fetched at all."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from split_trees import draw

from ltbench.registry import UnknownName
from ltbench.splits.datasets import fetch, open_dataset
from ltbench.splits.datasets.download import download
from ltbench.splits.datasets.facts import Archive
from ltbench.splits.datasets.licences import accept_licence, accepted
from ltbench.splits.errors import DataMissing, SplitsError, VerificationFailed

CONTENT = bytes(range(256)) * 40_000


class Server:
    """A local server whose behaviour a test chooses."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_after: int | None = None
        """Bytes after which each connection is closed."""
        self.ranges = True
        self.refuse: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *ignored: object) -> None:
                """Silence."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))
        self.thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range", "")
        self.asked.append((handler.path, asked))
        if handler.path in self.refuse:
            handler.send_error(self.refuse[handler.path])
            return
        content = self.files.get(handler.path)
        if content is None:
            handler.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.ranges else 0
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(content)}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        end = len(content) if self.cut_after is None else start + self.cut_after
        handler.wfile.write(content[start:end])

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


def archive(server: Server, name: str = "data.tar", content: bytes = CONTENT, **facts: object) -> Archive:
    server.files[f"/{name}"] = content
    digest = hashlib.sha256(content).hexdigest()
    return Archive(name, (f"{server.address}/{name}",), **{"sha256": digest, "size": len(content), **facts})  # type: ignore[arg-type]


def test_a_line_that_breaks_is_resumed_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.cut_after = 3_000_000
    wanted = archive(server)
    told: list[int] = []
    file, digest = download(wanted, tmp_path, progress=lambda _, done, __: told.append(done), pause_seconds=0)
    assert file.read_bytes() == CONTENT
    assert digest == wanted.sha256
    assert [asked for _, asked in server.asked] == ["", *(f"bytes={n * 3_000_000}-" for n in (1, 2, 3))]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert not file.with_name("data.tar.part").exists()


def test_a_later_call_continues_an_earlier_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.tar.part").write_bytes(CONTENT[:5_000_000])
    download(archive(server), tmp_path)
    assert server.asked == [("/data.tar", "bytes=5000000-")]
    download(archive(server), tmp_path)
    assert len(server.asked) == 1


def test_a_server_without_ranges_and_a_partial_file_begin_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "data.tar.part").write_bytes(b"other bytes")
    assert download(archive(server), tmp_path)[0].read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"too much"])
def test_a_partial_file_that_is_whole_or_too_long(server: Server, tmp_path: Path, extra: bytes) -> None:
    (tmp_path / "data.tar.part").write_bytes(CONTENT + extra)
    assert download(archive(server, size=None), tmp_path, pause_seconds=0)[0].read_bytes() == CONTENT
    assert len(server.asked) == (2 if extra else 1)


def test_mirrors_come_first_and_a_dead_one_is_passed_over(server: Server, tmp_path: Path) -> None:
    wanted = archive(server)
    server.files["/mirror/data.tar"] = CONTENT
    download(wanted, tmp_path / "a", mirrors=[f"{server.address}/dead", f"{server.address}/mirror/"])
    assert [path for path, _ in server.asked] == ["/dead/data.tar", "/mirror/data.tar"]


def test_a_server_that_never_delivers_is_given_up_with_a_sentence(server: Server, tmp_path: Path) -> None:
    server.refuse["/data.tar"] = 503
    with pytest.raises(SplitsError, match=r"'data\.tar' cannot be fetched .*503.*try again to continue"):
        download(archive(server), tmp_path, attempts=3, pause_seconds=0)
    assert len(server.asked) == 3
    server.refuse["/data.tar"] = 403
    with pytest.raises(SplitsError, match="403"):
        download(archive(server), tmp_path, attempts=3, pause_seconds=0)
    assert len(server.asked) == 4
    nowhere = Archive("x", ("http://127.0.0.1:9/x",))
    with pytest.raises(SplitsError, match="cannot be fetched"):
        download(nowhere, tmp_path, attempts=2, pause_seconds=0)


def test_wrong_content_is_deleted_and_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"'data\.tar' has sha256 .*, expected 0000"):
        download(archive(server, sha256="0" * 64), tmp_path)
    assert list(tmp_path.iterdir()) == []


def tar_of(folder: Path, prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.add(folder, arcname=prefix or ".")
    return stream.getvalue()


def zip_of(folder: Path, prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, f"{prefix}{path.relative_to(folder).as_posix()}")
    return stream.getvalue()


@pytest.mark.parametrize("prefix", ["", "VisA_20220922"])
def test_visa_is_fetched_unpacked_and_loads(server: Server, tmp_path: Path, prefix: str) -> None:
    draw(tmp_path / "src/candle/Data/Images/Normal/0000.JPG", level=50)
    (tmp_path / "src/split_csv").mkdir()
    wanted = archive(server, "VisA_20220922.tar", tar_of(tmp_path / "src", prefix))
    home, data = tmp_path / "home", tmp_path / "data"
    with pytest.raises(DataMissing, match=r"CC BY 4\.0.*is not accepted"):
        fetch.fetch("visa", data, home, archives=[wanted])
    assert server.asked == []
    accept_licence(fetch.facts_of("visa"), home)
    done = fetch.fetch("visa", data, home, archives=[wanted])
    assert done.archives == (("VisA_20220922.tar", wanted.sha256, True),)
    dataset = open_dataset("visa", data)
    image = next(image for image in dataset.images() if image.path == "candle/train/good/0000.JPG")
    assert (dataset.pixels(image) == 50).all()
    assert sorted(path.name for path in data.iterdir()) == ["visa"]
    assert fetch.fetch("visa", data, home, archives=[wanted]).archives == ()
    assert len(server.asked) == 1


@pytest.mark.parametrize("prefix", ["", "Class{}/", "DAGM_KaggleUpload/Class{}/"])
def test_dagms_ten_archives_become_one_folder(server: Server, tmp_path: Path, prefix: str) -> None:
    draw(tmp_path / "src/Train/0576.PNG", level=40)
    accept_licence(fetch.facts_of("dagm"), tmp_path)
    wanted = [
        archive(
            server, f"Class{index}.zip", zip_of(tmp_path / "src", prefix.format(index)), sha256="", size=None
        )
        for index in range(1, 11)
    ]
    done = fetch.fetch("dagm", tmp_path / "data", tmp_path, archives=wanted)
    assert [known for _, _, known in done.archives] == [False] * 10
    dataset = open_dataset("dagm", tmp_path / "data")
    for image in dataset.images():
        if image.path.endswith("/Train/0576.PNG"):
            assert (dataset.pixels(image) == 40).all()


def test_data_for_persons_only_say_what_to_do_by_hand(tmp_path: Path) -> None:
    for name in ("mvtec", "realiad"):
        with pytest.raises(DataMissing, match="handed out to persons only: go to https://"):
            fetch.fetch(name, tmp_path, tmp_path)
    with pytest.raises(UnknownName, match="did you mean 'visa'"):
        fetch.fetch("viza", tmp_path, tmp_path)


def test_a_folder_in_the_way_is_left_alone(server: Server, tmp_path: Path) -> None:
    accept_licence(fetch.facts_of("visa"), tmp_path)
    (tmp_path / "visa").mkdir()
    (tmp_path / "visa" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SplitsError, match="holds something else than 'visa'"):
        fetch.fetch("visa", tmp_path, tmp_path, archives=[archive(server)])
    assert (tmp_path / "visa" / "thesis.txt").is_file()


def _escaping_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr("../outside.txt", "x")
    return stream.getvalue()


def _escaping_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../outside.txt"))
    return stream.getvalue()


@pytest.mark.parametrize("make", [_escaping_zip, _escaping_tar])
def test_archives_that_reach_outside_are_refused(tmp_path: Path, make: Callable[[], bytes]) -> None:
    (tmp_path / "a").write_bytes(make())
    with pytest.raises(SplitsError, match=r"names '\.\./outside\.txt', a place outside"):
        fetch.unpack(tmp_path / "a", tmp_path / "out" / "in")
    (tmp_path / "a").write_bytes(b"neither tar nor zip")
    with pytest.raises(SplitsError, match="is damaged"):
        fetch.unpack(tmp_path / "a", tmp_path / "out" / "in")


def test_a_licence_is_accepted_once_and_kept_with_its_time(tmp_path: Path) -> None:
    facts = fetch.facts_of("visa")
    file = accept_licence(facts, tmp_path, datetime(2026, 1, 2, tzinfo=UTC))
    accept_licence(facts, tmp_path, datetime(2027, 1, 2, tzinfo=UTC))
    assert accepted(tmp_path)["visa"]["accepted_at"] == "2026-01-02T00:00:00+00:00"
    assert json.loads(file.read_text(encoding="utf-8"))["visa"]["licence"] == "CC BY 4.0"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(SplitsError, match="is damaged"):
        accepted(tmp_path)
