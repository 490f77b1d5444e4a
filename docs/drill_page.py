"""The page and the JSON Schema of drill files, from the types that check them."""

import json
from collections.abc import Iterable

import msgspec
from fields import meaning, table, type_words

from calldrill.drill import ARRIVALS, TABLES, Drill
from loadtest.conversation import SPEECH

HEADS = {
    "drill": "[drill]",
    "lab": "[lab]",
    "accesses": "[[lab.accesses]]",
    "sites": "[[lab.sites]]",
    "agent": "[agent]",
    "timeline": "[[timeline]]",
    "after": "after = { … }",
    "probe": "[probe]",
    "sampler": "[sampler]",
    "callers": "[callers]",
    "turns": "turns = [{ … }]",
    "checks": "[checks]",
}
BEFORE = {
    "checks": 'A sentence by itself, `calls_failed = "count == 0"`, stands for `{ check = … }`; a metric may have a'
    " list of them. See [the grammar](../how-to/write-a-drill.md#checks).\n\n",
    "turns": f"Clips that can be said: {', '.join(f'`{path.stem}`' for path in sorted(SPEECH.glob('*.opus')))}.\n\n",
}
TOP = ("presets",)  # what stands above the first table of a file
SCHEMA_TITLE = "calldrill drill file"


def page() -> str:
    """Every table of a drill file with its keys."""
    return (
        "# Drill files\n\nTOML. Every key is checked before anything is built; one that is not known is an error. A"
        " [JSON Schema](drill.schema.json) of them lets an editor complete and check: `#:schema"
        " …/drill.schema.json` in the first line. How they are used: [write a drill](../how-to/write-a-drill.md).\n\n"
        "`--set KEY=VALUE` (`CALLDRILL_SET`, several with blanks) says a key anew for one run:"
        " `--set lab.profile=3g --set timeline[0].duration_s=8`. A flag wins over its `CALLDRILL_*` variable, that over"
        " the file, and that over the default.\n\n## Above the first table\n\n"
        + _keys([one for one in msgspec.inspect.type_info(Drill).fields if one.encode_name in TOP])
        + "".join(_section(name, record) for name, record in TABLES.items())
        + "\n## `arrivals`\n\nOpen-loop: a call is due when it is due, whatever became of the others. Rates are calls"
        " per second.\n\n"
        + table(["`shape`", "keys", "what it is for"], [_arrival(name, shape) for name, shape in ARRIVALS.items()])
    )


def _section(name: str, record: type[msgspec.Struct]) -> str:
    also = ""
    if name == "checks":
        also = (
            'A sentence by itself, `calls_failed = "count == 0"`, stands for `{ check = … }`; a metric may have a list'
        )
        also += " of them. See [the grammar](../how-to/write-a-drill.md#checks).\n\n"
    return f"\n## `{HEADS[name]}`\n\n{also}{_keys(msgspec.inspect.type_info(record).fields)}"


def _keys(shown: Iterable[msgspec.inspect.Field]) -> str:
    rows = [[f"`{one.encode_name}`", _value(one), _default(one), meaning(one)] for one in shown]
    return table(["key", "value", "default", "what it is"], rows)


def _value(one: msgspec.inspect.Field) -> str:
    if one.encode_name == "arrivals":
        return "a table: see [below](#arrivals)"
    return type_words(one.type).removesuffix(" or null")


def _default(one: msgspec.inspect.Field) -> str:
    if one.required:
        return "required"
    made = one.default_factory() if one.default is msgspec.NODEFAULT else one.default
    value = msgspec.to_builtins(made)
    if value in (None, "", (), [], {}):
        return "–"
    return "one" if isinstance(value, (dict, list, tuple)) else f"`{json.dumps(value)}`"


def _arrival(name: str, shape: type[msgspec.Struct]) -> list[str]:
    keys = [
        f"`{one.encode_name}`" + ("" if one.required else f" (`{one.default:g}`)")
        for one in msgspec.inspect.type_info(shape).fields
    ]
    return [f"`{name}`", ", ".join(keys), (shape.__doc__ or "").replace("``", "`")]


def schema() -> str:
    """Drill files as a JSON Schema. A check may be a sentence or a list, which the program unfolds before it checks."""
    found = msgspec.json.schema(Drill)
    checks = found["$defs"]["Drill"]["properties"]["checks"]
    one = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/CheckPart"}]}
    checks["additionalProperties"] = {"anyOf": [*one["anyOf"], {"type": "array", "items": one}]}
    return json.dumps({"title": SCHEMA_TITLE, **found}, indent=2, ensure_ascii=False) + "\n"
