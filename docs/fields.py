"""Tables in Markdown, and the fields of a record in words."""

import json

import msgspec

WORDS = {"Str": "string", "Int": "integer", "Float": "number", "Bytes": "binary", "Bool": "boolean", "None": "null"}
BOUNDS = {"min_length": "at least {} long", "max_length": "at most {} long", "ge": "≥ {}", "gt": "> {}", "le": "≤ {}"}


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def type_words(kind: msgspec.inspect.Type) -> str:
    """A field's type in words, with its bounds."""
    match kind:
        case msgspec.inspect.Metadata(type=inner):
            return type_words(inner)
        case msgspec.inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(type_words(one) for one in types)
        case msgspec.inspect.StructType(cls=record):
            return f"{{{', '.join(one.encode_name for one in msgspec.structs.fields(record))}}}"
        case (
            msgspec.inspect.ListType(item_type=item)
            | msgspec.inspect.VarTupleType(item_type=item)
            | msgspec.inspect.DictType(value_type=item)
        ):
            return f"{'table' if isinstance(kind, msgspec.inspect.DictType) else 'list'} of {type_words(item)}"
    bounds = {words: getattr(kind, name, None) for name, words in BOUNDS.items()}
    told = [words.format(bound) for words, bound in bounds.items() if bound is not None]
    return WORDS[type(kind).__name__.removesuffix("Type")] + (f" ({', '.join(told)})" if told else "")


def meaning(one: msgspec.inspect.Field) -> str:
    """What the code says that a field is for; nothing where it does not."""
    extra = one.type.extra_json_schema if isinstance(one.type, msgspec.inspect.Metadata) else None
    return str((extra or {}).get("description", ""))


def field_list(record: type[msgspec.Struct]) -> str:
    """A record's fields in one cell; a dash for none."""
    shown = msgspec.inspect.type_info(record).fields
    parts = []
    for one in shown:
        optional = "" if one.required else f", else `{json.dumps(one.default)}`"
        text = meaning(one)
        parts.append(f"`{one.encode_name}` {type_words(one.type)}{optional}" + (f": {text}" if text else ""))
    return "<br>".join(parts) or "–"
