"""config.toml: what is allowed, and what a mistake says."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stripwatch.config.load import load_config
from stripwatch.engines.manifest import DefectClass, Manifest
from stripwatch.errors import ConfigError
from stripwatch.resources import resource_path
from stripwatch.service.engine_fit import resolve_classes

GOOD = """
[line]
frame_lines = 256
frame_pixels = 1600
mm_per_line = 0.5
mm_per_pixel = 0.6
[[cameras]]
name = "top"
[[inputs]]
endpoint = "tcp://127.0.0.1:5550"
[engine]
folder = "engine"
[publish]
endpoint = "ipc:///run/stripwatch/events"
"""
SHIPPED = resource_path("config.toml").read_text()
LINES = [line for line in SHIPPED.splitlines() if " = " in line and not line.startswith("#")]
VALUES = [
    *("-1", "0", "1", "1e400", "nan", "inf", "-inf", "9" * 30, "true", "2020-01-01", "07:00:00"),
    *('""', '"a"', '"top\\n"', '"\\u0000"', '"ipc://"', '"tcp://[::1]:5"', '"\\U0010FFFF"'),
    *("[]", "[[]]", "[{}]", "{}", "{a = 1}", '["x"]', "{'`' = 1}", "", "]"),
]


def manifest(frame_shape: tuple[int, int] = (256, 1600)) -> Manifest:
    return Manifest(
        target="fake",
        engine_hash="0" * 64,
        builder="test",
        precision="fp32",
        frame_shape=frame_shape,
        classes=(DefectClass(id=1, name="pits"), DefectClass(id=2, name="cracks")),
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "line.toml"
    path.write_text(text)
    return path


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, GOOD))
    assert config.line.frame_shape == (256, 1600)
    assert config.engine.folder == str(tmp_path / "engine")  # relative to the file
    assert (config.batch.rows, config.inputs[0].pattern) == (4, "sub")


def test_the_shipped_configuration_is_good_and_names_every_key() -> None:
    """Its values are the defaults, so that leaving a key out changes nothing."""
    path = resource_path("config.toml")
    config = load_config(path)
    text = path.read_text()
    sections = (config.line, config.engine, config.batch, config.publish, config.service)
    for section in (
        *sections,
        config.cameras[0],
        config.inputs[0],
        config.strip,
        config.inspect,
        config.periodic,
        config.security,
    ):
        for key in section.__struct_fields__:
            assert key in text, key
    bare = load_config(path)
    assert (bare.batch, bare.service) == (type(bare.batch)(), type(bare.service)())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[line]", "[lime]", ["lime", "did you mean line", "allowed:"]),
        ("folder", "floder", ["[engine]", "floder", "did you mean folder"]),
        ("frame_lines = 256", "frame_lines = 0", ["line.frame_lines", "= 0", ">= 1"]),
        ("frame_lines = 256", 'frame_lines = "a"', ["line.frame_lines", "'a'", "a whole number"]),
        ("frame_lines = 256\n", "", ["[line]", "lacks", "frame_lines"]),
        ('name = "top"', 'name = "Top"', ["cameras[0].name", "'Top'", "a-z 0-9 _ -"]),
        ("tcp://127.0.0.1:5550", "udp://x", ["inputs[0].endpoint", "udp://x", "tcp://HOST:PORT"]),
        ("tcp://127.0.0.1:5550", "tcp://x:99999", ["99999", "65535"]),
        ("tcp://127.0.0.1:5550", "ipc:///run/stripwatch/events", ["twice"]),
        (
            "[engine]",
            "[requests]\nendpoint = 'ipc:///run/stripwatch/events'\n[engine]",
            ["events'", "twice"],
        ),
        ("[engine]", "[requests]\nattach = 'bind'\n[engine]", ["[requests]", "no key attach"]),
        ("mm_per_line = 0.5", "mm_per_line = -1", ["line.mm_per_line", "-1", "> 0"]),
        ("mm_per_line = 0.5", "mm_per_line = nan", ["line.mm_per_line", "nan"]),
        ("mm_per_line = 0.5", "mm_per_line = inf", ["line.mm_per_line", "inf", "<= 1000000.0"]),
        ("mm_per_line = 0.5", "mm_per_line = true", ["a number", "got true or false"]),
        ('name = "top"', 'name = "top"\ncrossweb_offset_mm = nan', ["crossweb_offset_mm", "nan"]),
        ("[[cameras]]", "[cameras]", ["cameras", "a list", "[[cameras]]"]),
        ("[line]", "[[line]]", ["line = ", "expected a section, got a list"]),
        ('"engine"', '"a\\u0000b"', ["engine.folder", "the path of a folder"]),
        ('"engine"', '""', ["engine.folder", "the path of a folder"]),
        ("stripwatch/events", "a\\u0000b", ["publish.endpoint", "ipc://PATH"]),
        ("[engine]", "[[inspect.classes]]\nnam = 'a'\n[engine]", ["classes[0]", "mean name"]),
        ("[engine]", "[[inspect.classes]]\nname = 'a'\n" * 2 + "[engine]", ["'a'", "twice"]),
        ("256", "9" * 5000, ["TOML", "digits"]),
        ("256", "[" * 5000, ["TOML", "recursion"]),
        ("[engine]", "[batch]\nrows = 65\n[engine]", ["batch.rows", "65", "<= 64"]),
        ("[engine]", "[service]\nlog_level = 'loud'\n[engine]", ["loud", "warning"]),
        ("[engine]", "[[cameras]]\nname = 'top'\n[engine]", ["'top'", "twice"]),
        ("[engine]", "[strip]\nedges = 'given'\n[engine]", ["edges_mm", "go together"]),
        ("[engine]", "[[rolls]]\nname = 'a'\n[engine]", ["rolls[0]", "lacks", "diameter_mm"]),
        (
            "[engine]",
            "[[rolls]]\nname = 'a'\ndiameter_mm = [700, 600]\n[engine]",
            ["rolls.diameter_mm of 'a'", "the smallest first"],
        ),
        (
            "[engine]",
            "[[rolls]]\nname = 'a'\ndiameter_mm = [600]\n[engine]",
            ["rolls[0].diameter_mm"],
        ),
        (
            "[engine]",
            "[periodic]\nperiod_mm = [10, 600]\n[engine]",
            ["periodic.period_mm", "10", ">= 50"],
        ),
        (
            "[engine]",
            "[[rolls]]\nname = 'a'\ndiameter_mm = [600, 700]\nelongation = [2, 1]\n[engine]",
            ["rolls.elongation of 'a'", "the smallest first"],
        ),
        ("[engine]", "[strip]\nedges_mm = [0, 9]\n[engine]", ["edges_mm", "go together"]),
        ("[engine]", "[strip]\nedges = 'seen'\n[engine]", ["strip.edges", "'given', 'found'"]),
        (
            "[engine]",
            "[strip]\nedges = 'given'\nedges_mm = [9, 0]\n[engine]",
            ["[9.0, 0.0]", "left first"],
        ),
        ("[engine]", "[journal]\ngigabytes_max = 50\n[engine]", ["= 40", "at least", "= 50"]),
        ("[line]", "[line", ["TOML", "line 2"]),
    ],
)
def test_a_mistake_names_file_key_value_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_all_mistakes_are_named_in_one_go(tmp_path: Path) -> None:
    """In the order of the file; what is missing after what is wrong, in each section."""
    text = GOOD.replace("frame_lines = 256", "frame_limes = 256").replace("0.6", "-1")
    text = text.replace('name = "top"', 'name = "Top"\nmirrored = 1').replace('"engine"', "5")
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text + "queue_events = 0\n[service]\nlog_level = 'loud'\n"))
    head, *rows = str(caught.value).splitlines()
    assert head == f"{tmp_path / 'line.toml'}: 8 mistakes:"
    for row, words in zip(
        rows,
        (
            "[line] has no key frame_limes (did you mean frame_lines?)",
            "line.mm_per_pixel = -1",
            "[line] lacks the key frame_lines",
            "cameras[0].name = 'Top'",
            "cameras[0].mirrored = 1",
            "engine.folder = 5",
            "publish.queue_events = 0",
            "service.log_level = 'loud'",
        ),
        strict=True,
    ):
        assert words in row


def test_what_does_not_fit_the_engine_names_the_file(tmp_path: Path) -> None:
    text = GOOD + "[batch]\nrows = 9\n[[inspect.classes]]\nname = 'rust'\n"
    path = write(tmp_path, text)
    narrow = msgspec.structs.replace(manifest((64, 1600)), batch=(1, 4))
    with pytest.raises(ConfigError) as caught:
        resolve_classes(load_config(path), narrow, path)
    head, *rows = str(caught.value).splitlines()
    assert head == f"{path}: 3 mistakes:"
    assert [row.split()[0] for row in rows] == [
        "batch.rows",
        "line.frame_lines",
        "inspect.classes.name",
    ]


@given(st.sampled_from(LINES), st.sampled_from(VALUES))
def test_any_value_of_any_key_is_good_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, line: str, value: str
) -> None:
    """And the error names the file."""
    key = line.partition(" = ")[0]
    path = write(tmp_path_factory.getbasetemp(), SHIPPED.replace(line, f"{key} = {value}", 1))
    try:
        load_config(path)
    except ConfigError as error:
        assert str(path) in str(error)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot be read: No such file"):
        load_config(tmp_path / "nothing.toml")
    (tmp_path / "line.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(tmp_path / "line.toml")


def test_a_byte_order_mark_makes_no_difference(tmp_path: Path) -> None:
    """Notepad writes one, PowerShell writes UTF-16 with one."""
    path = tmp_path / "line.toml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_bytes(GOOD.encode(encoding))
        assert load_config(path) == load_config(write(tmp_path, GOOD))


def test_classes_come_from_the_engine_and_may_be_overridden(tmp_path: Path) -> None:
    text = GOOD + '[[inspect.classes]]\nname = "cracks"\nthreshold = 0.7\n'
    classes = resolve_classes(load_config(write(tmp_path, text)), manifest())
    assert [(entry.name, entry.threshold) for entry in classes] == [("pits", 0.5), ("cracks", 0.7)]
    rusty = load_config(write(tmp_path, GOOD + '[[inspect.classes]]\nname = "rust"\n'))
    with pytest.raises(ConfigError, match=r"'rust'.*allowed: pits, cracks"):
        resolve_classes(rusty, manifest())


@pytest.mark.parametrize(
    ("rows", "batch", "words"),
    [
        (5, (1, 4), r"batch\.rows is 5, .* takes 1 to 4 frames .* lower it to 4, .* --batch 1:5"),
        (2, (3, 8), r"batch\.rows is 2, .* takes 3 to 8 frames .* raise it to 3, .* --batch 1:2"),
        (3, (1, 4), None),
        (4, (4, 4), None),
        (64, None, None),
    ],
)
def test_an_engine_for_other_batches_says_what_to_change(
    tmp_path: Path, rows: int, batch: tuple[int, int] | None, words: str | None
) -> None:
    """Both numbers and both remedies; an engine without a range takes any."""
    config = load_config(write(tmp_path, GOOD + f"[batch]\nrows = {rows}\n"))
    engine = msgspec.structs.replace(manifest(), batch=batch)
    if words is None:
        assert resolve_classes(config, engine) == engine.classes
    else:
        with pytest.raises(ConfigError, match=words):
            resolve_classes(config, engine)


def test_an_engine_for_another_frame_says_how_to_rebuild_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"engine-build MODEL\.onnx --frame 256x1600"):
        resolve_classes(load_config(write(tmp_path, GOOD)), manifest((512, 2048)))


@pytest.mark.parametrize(
    ("endpoint", "kept"),
    [
        ("tcp://[::1]:5550", "tcp://[::1]:5550"),
        ("tcp://[fe80::1%eth0]:5550", "tcp://[fe80::1%eth0]:5550"),
        ("tcp://[::]:65535", "tcp://[::]:65535"),
        ("tcp://*:1", "tcp://*:1"),
        ("ipc:///run/frames", "ipc:///run/frames"),
        ("ipc://@abstract", "ipc://@abstract"),
        ("ipc://frames", "ipc://{folder}/frames"),
        ("ipc://sub/frames", "ipc://{folder}/sub/frames"),
    ],
)
def test_an_endpoint_is_found_by_its_peers(tmp_path: Path, endpoint: str, kept: str) -> None:
    """IPv6 has brackets; a relative path starts at the file, wherever the daemon is started."""
    text = GOOD.replace("tcp://127.0.0.1:5550", endpoint)
    config = load_config(write(tmp_path, f"{text}\n[security]\nallow_plaintext = true\n"))
    assert config.inputs[0].endpoint == kept.format(folder=tmp_path.resolve())


def test_requests_are_answered_only_where_an_endpoint_says_so(tmp_path: Path) -> None:
    """Its relative path starts at the file, too."""
    assert load_config(write(tmp_path, GOOD)).requests is None
    config = load_config(write(tmp_path, GOOD + "\n[requests]\nendpoint = 'ipc://requests'\n"))
    assert config.requests is not None
    assert config.requests.endpoint == f"ipc://{tmp_path.resolve()}/requests"


@pytest.mark.parametrize(
    "endpoint", ["tcp://127.0.0.1:0", "tcp://*:00", "ipc://*", "tcp://::1:5550", "tcp://[::1]"]
)
def test_an_endpoint_that_nobody_finds_is_refused(tmp_path: Path, endpoint: str) -> None:
    """Port 0 and a wildcard path would be chosen by the system, and told to nobody."""
    with pytest.raises(ConfigError, match=r"expected tcp://HOST:PORT with a port from 1"):
        load_config(write(tmp_path, GOOD.replace("tcp://127.0.0.1:5550", endpoint)))


def test_a_pipe_and_an_endless_file_are_refused_at_once(tmp_path: Path) -> None:
    """A reload must not wait for a writer, or read for ever."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigError, match=r"not a regular file|Is a directory"):
            load_config(path)
    (tmp_path / "long").write_bytes(bytes(2_000_000))
    with pytest.raises(ConfigError, match="longer than"):
        load_config(tmp_path / "long")
