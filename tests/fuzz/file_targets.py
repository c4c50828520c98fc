"""Parsers of files: configuration, keys, engines, models, recordings, events, images."""

from __future__ import annotations

import datetime
import random
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from mcap.writer import CompressionType, Writer
from PIL import Image
from tests.daemon.config.test_load import GOOD
from tests.fuzz.target import Case, Target
from tests.fuzz.wire_targets import GOLDEN, PIXELS, coded

from stripwatch.camera.light.reference import (
    LightReference,
    load_light_reference,
    save_light_reference,
)
from stripwatch.client.event_file import load_events
from stripwatch.client.position_file import load_place, save_place
from stripwatch.config.load import load_config
from stripwatch.config.toml import config_toml
from stripwatch.engines.manifest import (
    MANIFEST_NAME,
    DefectClass,
    FakeBehaviour,
    Gate,
    Manifest,
    Plan,
    SourceModel,
    load_manifest,
    save_manifest,
    sha256_files,
)
from stripwatch.errors import ConfigError, ModelError, StorageError
from stripwatch.feed.sources.image_file import read_grey
from stripwatch.feed.sources.mcap_file import MAGIC
from stripwatch.feed.sources.recording import recording_source
from stripwatch.net.allow_list import AllowList, Grant, read_allow_list, write_allow_list
from stripwatch.net.keys import make_key, read_public_key, read_secret_key
from stripwatch.page.users import User, load_users, save_users
from stripwatch.recording.writer import RecordingWriter
from stripwatch.resources import resource_path
from stripwatch.service.kept_thresholds import FILE as KEPT_FILE
from stripwatch.service.kept_thresholds import Kept, load_kept, save_kept
from stripwatch.wire.frame import FrameHeader
from stripwatch.wire.requests import Place
from stripwatch_engine.models.model_card import CARD_NAME, load_card, save_card

KEY = "0" * 40
MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, where there is one
_CHUNK = 6  # opcode


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _configurations(_: Path) -> list[Case]:
    shipped = resource_path("config.toml").read_bytes()
    # The shipped file with everything that is commented out in it.
    whole = b"\n".join(
        line.removeprefix(b"# ") if b" = " in line or b"# [" in line else line
        for line in shipped.splitlines()
        if b"allow_plaintext" not in line
    )
    return [(GOOD.encode(),), (shipped,), (whole.replace(b"mqtt://", b"mqtts://"),)]


def _load_config(case: Case, folder: Path) -> bool:
    config = load_config(_written(folder, "config.toml", case[0]))
    again = load_config(_written(folder, "again.toml", config_toml(config).encode()))
    assert again == config, "configuration does not come back"
    return True


def _allow_lists(folder: Path) -> list[Case]:
    day = datetime.date(2026, 3, 1)
    grants = (
        Grant(name="camera-pc", public_key=KEY, granted=day, send=("top", "bottom")),
        Grant(name="gateway", public_key="a" * 40, granted=day, may=("events", "requests")),
        Grant(name="old", public_key="b" * 40, granted=day, may=("write",), revoked=day),
    )
    cases: list[Case] = []
    for count in range(len(grants) + 1):
        write_allow_list(folder / "allowed.toml", AllowList(keys=grants[:count]))
        cases.append(((folder / "allowed.toml").read_bytes(),))
    return cases


def _read_allow_list(case: Case, folder: Path) -> bool:
    path = _written(folder, "allowed.toml", case[0])
    allowed = read_allow_list(path)
    write_allow_list(path, allowed)
    assert read_allow_list(path) == allowed, "allow-list does not come back"
    return True


def _secret_keys(folder: Path) -> list[Case]:
    for name, daemon_key in (("daemon", None), ("client", KEY)):
        path = folder / f"{name}.key"
        if not path.exists():
            make_key(path, name, daemon_key)
    return [((folder / f"{name}.key").read_bytes(),) for name in ("daemon", "client")]


def _read_secret_key(case: Case, folder: Path) -> bool:
    path = _written(folder, "secret.key", case[0])
    path.chmod(0o600)
    assert read_secret_key(path).secret_key not in repr(read_secret_key(path))
    return True


def _public_keys(folder: Path) -> list[Case]:
    _secret_keys(folder)
    return [((folder / f"{name}.pub").read_bytes(),) for name in ("daemon", "client")]


def _read_public_key(case: Case, folder: Path) -> bool:
    read_public_key(_written(folder, "public.pub", case[0]))
    return True


def _manifests(folder: Path) -> list[Case]:
    engine = _written(folder, "graph.bin", b"weights")
    small = Manifest(
        target="openvino",
        engine_hash=sha256_files(engine),
        builder="test",
        precision="fp32",
        frame_shape=(8, 16),
        classes=(DefectClass(id=1, name="pits"), DefectClass(id=2, name="cracks")),
        files=("graph.bin",),
    )
    large = Manifest(
        target="tensorrt",
        engine_hash=small.engine_hash,
        builder="test",
        precision="fp16",
        frame_shape=(256, 1600),
        classes=small.classes,
        files=("graph.bin",),
        models=(SourceModel("segmentation", "a.onnx", "0" * 64, (1, 8, 16), (0.5,), (0.2,)),),
        batch=(1, 8),
        gate=Gate(mode="soft", gate_threshold=0.5, class_thresholds=(0.5, 0.5)),
        plan=Plan(version="10.7", compute_capabilities=("8.9",)),
        fake=FakeBehaviour(delay_ms=1.5, absent=(1,)),
    )
    cases: list[Case] = []
    for manifest in (small, large):
        save_manifest(folder, manifest)
        cases.append(((folder / MANIFEST_NAME).read_bytes(),))
    return cases


def _load_manifest(case: Case, folder: Path) -> bool:
    _written(folder, MANIFEST_NAME, case[0])
    manifest = load_manifest(folder)
    save_manifest(folder, manifest)
    assert load_manifest(folder) == manifest, "manifest does not come back"
    return True


def _cards(_: Path) -> list[Case]:
    edge = resource_path("models/edge/model.json").read_bytes()
    colour = edge.replace(b'"channels": 1', b'"channels": 3').replace(
        b'"mean": 0.36201', b'"mean": [0.5, 0.4, 0.3]'
    )
    background = edge.replace(b'"background": false', b'"background": "last"')
    return [(edge,), (colour,), (background.replace(b"sigmoid", b"softmax"),)]


def _load_card(case: Case, folder: Path) -> bool:
    _written(folder, CARD_NAME, case[0])
    model = folder / "net.onnx"
    card = load_card(model)
    save_card(model, card)
    assert load_card(model) == card, "card does not come back"
    return True


def _places(folder: Path) -> list[Case]:
    save_place(folder / "place", Place("5d0c", 17))
    return [((folder / "place").read_bytes(),)]


def _load_place(case: Case, folder: Path) -> bool:
    load_place(_written(folder, "place", case[0]))
    return True


def _users(folder: Path) -> list[Case]:
    users = [User(name=name, role="change", password=f"$argon2id${name}") for name in ("ada", "bo")]
    save_users(folder / "users.json", {user.name: user for user in users})
    return [((folder / "users.json").read_bytes(),)]


def _load_users(case: Case, folder: Path) -> bool:
    load_users(_written(folder, "users.json", case[0]))
    return True


def _kept_thresholds(folder: Path) -> list[Case]:
    kept = Kept(
        class_name="pits", key="threshold", value=0.6, configured=0.5, who="Ada", t_ns=10**18
    )
    save_kept(folder, [kept, msgspec.structs.replace(kept, key="min_area_px", value=80)])
    return [((folder / KEPT_FILE).read_bytes(),)]


def _load_kept(case: Case, folder: Path) -> bool:
    _written(folder, KEPT_FILE, case[0])
    kept = load_kept(folder)
    save_kept(folder, kept)
    assert load_kept(folder) == kept, "thresholds do not come back"
    return True


def _light_references(folder: Path) -> list[Case]:
    path = folder / "light.json"
    save_light_reference(path, LightReference(grey=90.5, shape=(0.9, None, 1.1)), "top", "")
    return [(path.read_bytes(),)]


def _load_light_reference(case: Case, folder: Path) -> bool:
    path = _written(folder, "light.json", case[0])
    return load_light_reference(path, "top", "", 3) is not None


def _event_files(_: Path) -> list[Case]:
    lines = [path.read_bytes() for path in sorted(GOLDEN.glob("event_*.json"))]
    return [(b"\n".join(lines),), (b"\n".join(lines[:2]),)]


def _load_events(case: Case, folder: Path) -> bool:
    load_events(_written(folder, "events.jsonl", case[0]))
    return True


def _recordings(folder: Path) -> list[Case]:
    """As the recorder writes them, and as another program may: no checksums, no compression."""
    path = folder / "recorded.mcap"
    writer = RecordingWriter(path, overwrite=True)
    for number in range(8):
        header = FrameHeader(
            v=1,
            camera=("top", "bottom")[number % 2],
            session="s",
            seq=number // 2,
            t_ns=10**18 + number,
            shape=(2, 16),
            dtype="u8",
            codec="raw",
        )
        writer.add(header, PIXELS.tobytes()[number : number + 32])
        if number == 3:
            writer.flush()
    writer.close()
    cases: list[Case] = [(path.read_bytes(),)]
    message = b'{"stripwatch":{"v":1,"camera":"top","session":"s","seq":0,"t_ns":5,"shape":[1,3],'
    message += b'"dtype":"u8","codec":"raw"},"data":"AAAA"}'
    for compression in (CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD):
        with path.open("wb") as file:
            other = Writer(file, chunk_size=400, compression=compression, enable_crcs=False)
            other.start()
            schema = other.register_schema("foxglove.RawImage", "jsonschema", b"{}")
            channel = other.register_channel("frame.top", "json", schema, {"camera": "top"})
            for number in range(5):
                other.add_message(channel, number, message, number)
            other.finish()  # type: ignore[no-untyped-call]
        cases.append((path.read_bytes(),))
    return cases


def _mend_chunks(chance: random.Random, case: Case) -> Case:
    """Chunks without a checksum to compare, as far as the records outside them can be read."""
    data = bytearray(case[0])
    position = len(MAGIC)
    while chance.random() < 0.7 and len(data) - position >= 9 + 28:
        opcode, length = struct.unpack_from("<BQ", data, position)
        if opcode == _CHUNK:
            data[position + 9 + 24 : position + 9 + 28] = bytes(4)
        position += 9 + length
    return (bytes(data),)


def _read_recording(case: Case, folder: Path) -> bool:
    source = recording_source(_written(folder, "damaged.mcap", case[0]))
    read = 0
    for frame in source.frames():
        assert frame.recorded is not None
        read += 1
    assert read == source.count or source.remark(), "a loss that is not said"
    return True


def _image_files(folder: Path) -> list[Case]:
    palette = folder / "palette.png"
    Image.fromarray(np.minimum(PIXELS, 3)).convert("P").save(palette, transparency=200)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        (palette.read_bytes(),),
        (coded("PNG"),),
        (coded("JPEG", exif=exif),),
        (coded("BMP"),),
        (coded("TIFF"),),
        (coded("TIFF", compression="tiff_lzw"),),
    ]


def _read_image(case: Case, folder: Path) -> bool:
    pixels = read_grey(_written(folder, "image", case[0]))
    assert pixels.ndim == 2
    return True


def _parser(
    name: str,
    seeds: Callable[[Path], list[Case]],
    parse: Callable[[Case, Path], bool],
    weight: int = 1,
    *refusals: type[Exception],
) -> Target:
    return Target(name, seeds, parse, refusals or (ConfigError,), weight)


FILE_TARGETS = (
    _parser("configuration", _configurations, _load_config),
    _parser("allow-list", _allow_lists, _read_allow_list, 2),
    _parser("secret key", _secret_keys, _read_secret_key, 2),
    _parser("public key", _public_keys, _read_public_key, 2),
    _parser("engine manifest", _manifests, _load_manifest, 2, ModelError),
    _parser("model card", _cards, _load_card, 2, ModelError),
    _parser("position file", _places, _load_place, 2),
    _parser("users of the page", _users, _load_users, 2),
    _parser("kept thresholds", _kept_thresholds, _load_kept, 2, StorageError),
    _parser("light reference", _light_references, _load_light_reference, 2),
    _parser("file of events", _event_files, _load_events, 2),
    Target("recording", _recordings, _read_recording, (ConfigError, StorageError), 4, _mend_chunks),
    _parser("image file", _image_files, _read_image, 2, ConfigError, StorageError),
)
