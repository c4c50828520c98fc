"""Recipe files: found by name or path, with the changes of --set."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from stripwatch.errors import ConfigError
from stripwatch_train.data.text import read_text
from stripwatch_train.runs.recipe import Member, Recipe

Table = dict[str, Any]


def recipe_names() -> list[str]:
    """The recipes of this package."""
    folder = resources.files("stripwatch_train") / "recipes"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe of this package by name, or that of a .toml or .json file.

    Args:
        name: name or path.
        changes: `key=value` with TOML values, for example `schedule.epochs=3`. Keys of members
            (`network.encoder`) change every member, after a member's name (`gate.network.encoder`)
            that one; others change the recipe.

    Raises:
        ConfigError: there is no such recipe, or it breaks a rule.
    """
    table = _read(name)
    base, own_members = _parts(name, table)
    try:
        members = [_merged(base, member) for member in own_members]
        for change in changes:
            key, value = _change(change)
            parts = key.split(".")
            named = [member.get("name", Member().name) == parts[0] for member in members]
            if any(named):
                own = _nested(parts[1:], value)
                members = [
                    _merged(member, own) if is_meant else member
                    for member, is_meant in zip(members, named, strict=True)
                ]
            elif parts[0] in Member.__struct_fields__:
                members = [_merged(member, _nested(parts, value)) for member in members]
            elif parts[0] in ("base", "members"):  # or it would be ignored
                raise ConfigError(
                    f"--set {change}: write KEY=VALUE for all members, NAME.KEY=VALUE for one"
                )
            else:
                table = _merged(table, _nested(parts, value))
        _check_keys(name, table, members)
        return msgspec.convert(table | {"members": members}, Recipe)
    except (msgspec.ValidationError, AttributeError, TypeError) as error:
        raise ConfigError(f"recipe {name}: {error}") from error


def _parts(name: str, table: Table) -> tuple[Table, list[Table]]:
    """What all members share, taken out of the table, and what each has of its own.

    Raises:
        ConfigError: brackets are missing, or too many.
    """
    base, members = table.pop("base", {}), table.get("members", [{}])
    if not isinstance(base, dict):
        raise ConfigError(f"recipe {name}: base stands there once; write [base], not [[base]]")
    if not isinstance(members, list) or not all(isinstance(entry, dict) for entry in members):
        raise ConfigError(
            f"recipe {name}: members is a list of tables, one for each model; write [[members]] "
            'with two brackets before each, and in it name = "..."'
        )
    return base, members


def _check_keys(name: str, table: Table, members: Sequence[Table]) -> None:
    """Refuse keys that a recipe does not have, by name and with the nearest one.

    Raises:
        ConfigError: there are some.
    """
    named = [str(member.get("name", Member().name)) for member in members]
    wrong = [*_wrong_keys(Recipe, table, "", named)]
    for member in members:
        wrong += [words for words in _wrong_keys(Member, member, "") if words not in wrong]
    if wrong:
        raise ConfigError(f"recipe {name}: {'; '.join(wrong)}")


def _wrong_keys(
    kind: type[msgspec.Struct], table: Table, prefix: str, more: Sequence[str] = ()
) -> Iterator[str]:
    """A sentence for each key that a struct does not have; `more` may stand there, too."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if kind is Recipe and key in Member.__struct_fields__:
            yield f"{key} is a key of models; write it below [base], for all, or [[members]]"
            continue
        if key not in fields:
            names = sorted({*fields, *more})
            if kind is Recipe:  # --set writes members' keys at the top
                names = sorted({*names, *Member.__struct_fields__})
            near = difflib.get_close_matches(key, names, 1)
            hint = f"did you mean {prefix}{near[0]}?" if near else f"there are {', '.join(names)}"
            yield f"there is no key {prefix}{key}; {hint}"
            continue
        inner = fields[key]
        is_struct = isinstance(inner, type) and issubclass(inner, msgspec.Struct)
        if is_struct and isinstance(value, dict):
            yield from _wrong_keys(inner, value, f"{prefix}{key}.")
        elif is_struct:
            yield f"{prefix}{key} is a table of keys, such as {key}.{inner.__struct_fields__[0]}"


def _read(name: str) -> Table:
    path = Path(name)
    if path.suffix.lower() not in (".toml", ".json"):
        if name not in recipe_names():
            near = difflib.get_close_matches(name, recipe_names(), 1)
            hint = f"did you mean {near[0]}? " if near else ""
            known = ", ".join(recipe_names())
            raise ConfigError(
                f"there is no recipe {name!r}; {hint}there are {known}, or give the path of a "
                ".toml file"
            )
        text = (resources.files("stripwatch_train") / "recipes" / f"{name}.toml").read_text("utf-8")
        return tomllib.loads(text)
    try:
        text = read_text(path)
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        return msgspec.json.decode(text, type=Table)
    except ValueError as error:  # also what msgspec and tomllib raise
        raise ConfigError(f"{path}: {error}") from error


def _change(text: str) -> tuple[str, Any]:
    """A key and its value: TOML, or else a string."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {text}: write KEY=VALUE, for example schedule.epochs=3")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _nested(keys: Sequence[str], value: Any) -> Table:  # noqa: ANN401 - of any type of TOML
    for key in reversed(keys):
        value = {key: value}
    if not isinstance(value, dict):
        raise ConfigError("--set NAME=VALUE: a member's name needs a key behind it: gate.KEY=VALUE")
    return value


def _merged(below: Table, above: Table) -> Table:
    """Both tables' keys; where both have one, tables are merged and other values are `above`'s."""
    return below | {
        key: _merged(below[key], value)
        if isinstance(value, dict) and isinstance(below.get(key), dict)
        else value
        for key, value in above.items()
    }
