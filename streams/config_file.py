"""`faust.yaml` as a tree: parsed strictly, and with the sandbox in place of the providers."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr

from channels.catalogue import SETTINGS
from streams.config_errors import ConfigInvalid


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice: the first one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "expected a name as the key", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict[str, Any]:
    """The file's mapping.

    Raises:
        ConfigInvalid: it cannot be read, is no YAML, or is no mapping of names to values.
    """
    try:
        tree = yaml.load(path.read_text(), _Loader)  # a SafeLoader of ours
    except OSError as error:
        raise ConfigInvalid([f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigInvalid(["expected text in UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigInvalid([f"{where}{error.problem}"]) from None
    except yaml.YAMLError as error:
        raise ConfigInvalid([f"not YAML: {' '.join(str(error).split())}"]) from None
    if not isinstance(tree, dict):
        raise ConfigInvalid(["expected a mapping of keys to values"])
    return {str(key): _with_text_keys(each) for key, each in tree.items()}


def announcement_in(data_dir: Path) -> Path:
    """Where `postrider sandbox` writes how to reach it."""
    return data_dir / "sandbox" / "sandbox.json"


def with_sandbox(tree: dict[str, Any], announcement: Path) -> dict[str, Any] | None:
    """The tree with every provider's place and credentials replaced by the sandbox's.

    None when the sandbox does not run.
    """
    try:
        announced = json.loads(announcement.read_text())
    except (OSError, ValueError):
        return None
    providers = tree.get("providers")
    if not isinstance(providers, dict):
        return tree
    replaced = {
        name: each | _settings(name, announced[name])
        if isinstance(each, dict) and name in SETTINGS and name in announced
        else each
        for name, each in providers.items()
    }
    return tree | {"providers": replaced}


def _settings(provider: str, announced: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in dataclasses.fields(SETTINGS[provider]):
        value = announced.get(each.name)
        if value is not None and each.metadata.get("secret"):
            text = value if isinstance(value, str) else json.dumps(value)
            found[each.name] = SecretStr(text)
        elif value is not None:
            found[each.name] = value
    return found


def _with_text_keys(tree: Any) -> Any:
    """YAML reads `on`, `no` and numbers as keys of other kinds; here every key is a name."""
    if isinstance(tree, dict):
        return {str(key): _with_text_keys(each) for key, each in tree.items()}
    return [_with_text_keys(each) for each in tree] if isinstance(tree, list) else tree
