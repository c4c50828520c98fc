"""Recipes: where they come from, what changes them, and every rule that they can break."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stripwatch.errors import ConfigError
from stripwatch_train.runs.recipe import Member, Recipe, Schedule
from stripwatch_train.runs.recipe_files import load_recipe, recipe_names

SMALLEST = """
about = "the smallest"
[[members]]
"""
TWO = """
about = "two members"
folds = 3

[base]
images = { shrink = [2, 2], on_defect = 0.25 }
schedule = { epochs = 7 }

[[members]]
name = "one"

[[members]]
name = "other"
images = { shrink = [1, 2] }
"""
GATE: dict[str, Any] = {"role": "gate", "network": {"architecture": "classifier"}}
SOFT: dict[str, Any] = {"activation": "softmax", "loss": {"bce": 0.0, "cross_entropy": 1.0}}


@pytest.fixture
def two(tmp_path: Path) -> str:
    return written(tmp_path, TWO)


def written(folder: Path, text: str, name: str = "own.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(name: str, changes: Sequence[str] = ()) -> str:
    with pytest.raises(ConfigError) as error:
        load_recipe(name, changes)
    return str(error.value)


def nested(keys: str, value: object) -> dict[str, Any]:
    for key in reversed(keys.split(".")):
        value = {key: value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_of_the_package_loads_and_describes_itself(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.about
    assert len({member.name for member in recipe.members}) == len(recipe.members)


def test_the_smallest_recipe_has_every_default(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, SMALLEST))
    assert recipe == Recipe(about="the smallest", members=(Member(),))
    assert load_recipe(written(tmp_path, 'about = "the smallest"')) == recipe
    assert load_recipe(written(tmp_path, SMALLEST, "OWN.TOML")) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_that_was_written_as_json_is_the_same_again(name: str, tmp_path: Path) -> None:
    """So a run's own recipe.json trains the same."""
    recipe = load_recipe(name, ["seed=5"])
    path = tmp_path / "recipe.json"
    path.write_bytes(msgspec.json.encode(recipe))
    assert load_recipe(str(path)) == recipe


def test_members_begin_with_the_base_and_say_what_differs(two: str) -> None:
    one, other = load_recipe(two).members
    assert (one.images.shrink, other.images.shrink) == ((2, 2), (1, 2))
    assert one.images.on_defect == other.images.on_defect == 0.25
    assert one.schedule == other.schedule == Schedule(epochs=7)


def test_a_change_of_a_member_changes_every_member_and_nothing_beside_it(two: str) -> None:
    before = load_recipe(two)
    after = load_recipe(two, ["images.shrink=[3, 1]", "schedule.batch=2"])
    for old, new in zip(before.members, after.members, strict=True):
        images = msgspec.structs.replace(old.images, shrink=(3, 1))
        schedule = msgspec.structs.replace(old.schedule, batch=2)
        assert new == msgspec.structs.replace(old, images=images, schedule=schedule)


def test_a_change_of_the_recipe_leaves_members_alone(two: str) -> None:
    after = load_recipe(two, ["folds=4", "deployment.flip=true", "classes.threshold=0.25"])
    assert (after.folds, after.deployment.flip, after.classes.threshold) == (4, True, 0.25)
    assert after.members == load_recipe(two).members


def test_the_last_change_of_a_key_counts(two: str) -> None:
    assert load_recipe(two, ["seed=1", "seed=2"]).seed == 2
    changes = ["schedule.epochs=1", "schedule={epochs=9}"]
    assert {member.schedule.epochs for member in load_recipe(two, changes).members} == {9}


@pytest.mark.parametrize("value", ["resnet18", '"resnet18"', " 'resnet18' "])
def test_a_word_needs_no_quotes(two: str, value: str) -> None:
    assert load_recipe(two, [f"network.encoder={value}"]).members[0].network.encoder == "resnet18"


@pytest.mark.parametrize("value", ["32", '"32"', "bf16-mixed"])
def test_a_precision_is_written_as_it_is_called(two: str, value: str) -> None:
    members = load_recipe(two, [f"schedule.precision={value}"]).members
    assert {str(member.schedule.precision) for member in members} == {value.strip('"')}


def test_a_value_may_be_empty_or_hold_an_equals_sign(two: str) -> None:
    assert load_recipe(two, ["network.weights="]).members[0].network.weights == ""
    changed = load_recipe(two, ["network.weights=/data/a=b.pt"])
    assert changed.members[0].network.weights == "/data/a=b.pt"


@pytest.mark.parametrize("change", ["schedule.epochs", "=3", ""])
def test_a_change_without_key_or_value_is_refused(two: str, change: str) -> None:
    assert f"--set {change}: write KEY=VALUE" in refusal(two, [change])


@pytest.mark.parametrize("change", ["members.schedule.epochs=3", "base.schedule.epochs=3"])
def test_a_change_that_would_change_nothing_is_refused(two: str, change: str) -> None:
    """The file's own words for where members stand are none of the recipe's."""
    assert f"--set {change}: write KEY=VALUE for all members" in refusal(two, [change])


def test_a_change_behind_a_members_name_is_of_that_member(two: str, tmp_path: Path) -> None:
    one, other = load_recipe(two, ["other.images.crop=[8, 8]", "other.name=third"]).members
    assert one == load_recipe(two).members[0]
    assert (other.name, other.images.crop, other.images.shrink) == ("third", (8, 8), (1, 2))
    own = written(tmp_path, SMALLEST, "smallest.toml")
    assert load_recipe(own, [f"{Member().name}.schedule.epochs=3"]).members[0].schedule.epochs == 3
    assert "a member's name needs a key behind it" in refusal(two, ["one=3"])
    assert "there is no key third; " in refusal(two, ["third.schedule.epochs=3"])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("epoch=3", "epoch"),
        ("schedule.epoch=3", "epoch"),
        ("network.encoder.name=x", "network.encoder"),
        ("schedule..epochs=3", "schedule"),
        ("deployment.flipped=true", "flipped"),
        ("classes.min_area=3", "min_area"),
    ],
)
def test_an_unknown_key_is_named_with_the_recipe(two: str, change: str, key: str) -> None:
    words = refusal(two, [change])
    assert words.startswith(f"recipe {two}: ")
    assert key in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[members]\nname = "one"', "write [[members]] with two brackets"),
        ('[members.one]\nrole = "gate"', "write [[members]] with two brackets"),
        ('members = ["one"]', "write [[members]] with two brackets"),
        ("[[base]]\nseed = 1", "write [base], not [[base]]"),
        ("[[deployment]]\nflip = true", "deployment is a table of keys, such as deployment.flip"),
        ('[[members]]\nnetwork = "unet"', "network is a table of keys, such as network.arch"),
        ('[[member]]\nname = "one"', "there is no key member; did you mean members?"),
        ("[schedule]\nepochs = 3", "schedule is a key of models; write it below [base]"),
        ("[base]\nshedule = { epochs = 3 }", "there is no key shedule; did you mean schedule?"),
    ],
)
def test_a_recipe_file_of_the_wrong_shape_is_refused_in_its_own_words(
    tmp_path: Path, text: str, words: str
) -> None:
    """Brackets and places that TOML allows and a recipe does not; no words of Python."""
    refused = refusal(written(tmp_path, f'about = "own"\n{text}\n'))
    assert words in refused
    assert "object" not in refused


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("network.architecture", ["u-net", 3]),
        ("network.depth", [0, 7, 2.5, "5"]),
        ("network.channels", [[], [0], [8, -1], 8]),
        ("images.shrink", [[1], [0, 1], [1, 1, 1], 2]),
        ("images.crop", [[0, 8], [8]]),
        ("images.on_defect", [-0.1, 1.1, float("nan")]),
        ("images.clean", [2]),
        ("images.pseudo", [-1]),
        ("augmentation.stretch", [0.6, -0.1]),
        ("augmentation.gain", [1.0, -0.1]),
        ("augmentation.contrast", [1.0]),
        ("augmentation.noise", [-0.1]),
        ("augmentation.dropout_lines", [1.5]),
        ("loss.bce", [-1, float("nan")]),
        ("loss.teacher", [1.5]),
        ("loss.class_weights", [[0.0], "even"]),
        ("optimizer.kind", ["lion"]),
        ("optimizer.learning_rate", [0, -1, float("nan")]),
        ("optimizer.warm_up", [2]),
        ("optimizer.gradient_clip", [-1]),
        ("schedule.epochs", [0, True]),
        ("schedule.batch", [0]),
        ("schedule.average", [1.0]),
        ("schedule.precision", ["16"]),
        ("name", ["", "Big", "a b", "a/b", "-a", "a\n", "a" * 65]),
        ("role", ["judge"]),
        ("activation", ["none"]),
    ],
)
def test_a_value_outside_its_limits_is_refused_and_its_place_named(
    tmp_path: Path, key: str, values: list[Any]
) -> None:
    name = written(tmp_path, SMALLEST)
    for value in values:
        change = f"{key}={json.dumps(value).replace('NaN', 'nan')}"  # else TOML writes it alike
        assert key.partition(".")[0] in refusal(name, [change]), change


@pytest.mark.parametrize(
    ("member", "sentence"),
    [
        ({"role": "gate"}, "role 'gate' cannot be of architecture 'unet'"),
        ({"role": "classifier"}, "gates and classifiers are classifiers, and only they"),
        ({"network": {"architecture": "classifier"}}, "'segmentation' cannot be of architecture"),
        (GATE | {"per_class": True}, "per_class is for members that segment"),
        (SOFT | {"per_class": True}, "activation softmax is for members that segment several"),
        (SOFT | GATE, "activation softmax is for members that segment several classes"),
        ({"activation": "softmax"}, "loss.bce is for activation sigmoid; with softmax use"),
        ({"loss": {"cross_entropy": 1.0}}, "loss.cross_entropy is for activation softmax"),
        ({"loss": {"class_weights": "balanced"}}, "loss.class_weights are of loss.cross_entropy"),
        (
            {"activation": "softmax", "loss": {"bce": 0.0, "class_weights": [1.0, 2.0]}},
            "loss.class_weights are of loss.cross_entropy, which is 0",
        ),
        ({"loss": {"bce": 0.0, "dice": 0.0}}, "all weights are 0; there is nothing to train on"),
        (GATE | {"loss": {"bce": 0.0}}, "gates and classifiers need loss.bce"),
    ],
)
def test_a_member_that_contradicts_itself_is_refused(
    tmp_path: Path, member: dict[str, Any], sentence: str
) -> None:
    path = tmp_path / "own.json"
    path.write_bytes(msgspec.json.encode({"about": "x", "members": [member]}))
    assert sentence in refusal(str(path))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["name=same"], "two members have the same name in same, same"),
        (["train_folds=[3]"], "train_folds must be different numbers from 0 to 2"),
        (["train_folds=[1, 1]"], "train_folds must be different numbers from 0 to 2"),
        (["train_folds=[]"], "train_folds"),
        (["train_folds=[-1]"], "train_folds"),
        (["folds=1"], "folds"),
        (["seed=-1"], "seed"),
        (["role=gate", "network.architecture=classifier"], "no member segments"),
        (["classes.min_areas_px=[1,1,1,1,1,1,1,1,1]"], "classes.min_areas_px: at most 8"),
        (["classes.min_areas_px=[-1]"], "min_areas_px"),
        (["classes.threshold=1.5"], "threshold"),
        (["deployment.gate_mode=hard"], "gate_mode"),
        (["deployment.min_area_factor=0.5"], "min_area_factor"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(
    two: str, changes: list[str], sentence: str
) -> None:
    assert sentence in refusal(two, changes)


def test_a_recipe_that_is_not_there_is_refused_with_those_that_are() -> None:
    words = refusal("unett")
    assert "there is no recipe 'unett'; did you mean unet? there are " in words
    assert all(name in words for name in recipe_names())


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("about = ", "broken.toml", "Invalid value"),
        ("{", "broken.json", "truncated"),
        ("[]", "list.json", "Expected `object`"),
        ("members = 3", "own.toml", "recipe"),
        ("members = ['a']", "own.toml", "recipe"),
        ("base = 3", "own.toml", "recipe"),
        ("", "empty.toml", "about"),
        ("about = 'x'\nmembers = []", "own.toml", "members"),
        ("about = 'x'\nfold = 3", "own.toml", "there is no key fold; did you mean folds"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_and_named(
    tmp_path: Path, text: str, name: str, words: str
) -> None:
    message = refusal(written(tmp_path, text, name))
    assert name in message
    assert words in message


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "none.toml: cannot be read: No such file" in refusal(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b'about = "\xe4"')
    assert "latin.toml" in refusal(str(tmp_path / "latin.toml"))
    (tmp_path / "folder.toml").mkdir()
    assert "folder.toml: cannot be read" in refusal(str(tmp_path / "folder.toml"))


@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_recipe_is_refused_or_a_recipe(tmp_path: Path, seed: int) -> None:
    """Never another exception, whatever bytes are lost or changed."""
    rng = random.Random(seed)
    for turn in range(100):
        data = bytearray(TWO.encode())
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            if rng.random() < 0.5:
                del data[place : place + rng.randint(1, 9)]
            else:
                data[place] = rng.randrange(256)
        path = tmp_path / "own.toml"
        path.write_bytes(data)
        try:
            assert isinstance(load_recipe(str(path)), Recipe)
        except ConfigError as error:
            assert "own.toml" in str(error), f"seed {seed}, turn {turn}"


@pytest.mark.parametrize("name", ["loss", "schedule", "a-class1", "b-fold12"])
def test_a_member_is_not_called_like_a_key_or_a_folder(tmp_path: Path, name: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'about = "x"\n[[members]]\nname = "{name}"\n')
    with pytest.raises(ConfigError, match="cannot be called"):
        load_recipe(str(path))


def test_warm_up_and_flat_leave_something_to_the_cosine() -> None:
    with pytest.raises(ConfigError, match="warm_up and flat"):
        load_recipe("unet", ["optimizer.warm_up=0.6", "optimizer.flat=0.5"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("schedule.epoch=3", r"no key schedule\.epoch; did you mean schedule\.epochs\?"),
        ("gate.network.encodr=x", r"no key network\.encodr; did you mean network\.encoder\?"),
        ("schedul.epochs=3", r"no key schedul; did you mean schedule\?"),
        ("fold=3", r"no key fold; did you mean folds\?"),
        ("loss.zzz=3", r"no key loss\.zzz; there are bce, class_weights"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest_one(change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_recipe("fpn-b5", [change])
