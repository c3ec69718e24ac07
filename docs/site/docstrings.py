"""Shows griffe our code as its users see it: keywords in signatures, fields in tables, docstrings as Markdown."""

import re
from typing import Any

from griffe import (
    Class,
    Docstring,
    DocstringAttribute,
    DocstringParameter,
    DocstringSectionAttributes,
    DocstringSectionParameters,
    Extension,
    Function,
    Module,
    Object,
)

SHARED = {
    "max_items": "End after so many items.",
    "prefetch": "Fetch the next page while the current one is used.",
    "to": "The number to reach, in E.164 form.",
    "from_": "The sender's number, in E.164 form.",
    "timeout": "Seconds.",
}
"""What parameters mean that many methods share."""


class Docstrings(Extension):
    def on_module(self, *, mod: Module, **_: Any) -> None:
        """Give keywords that inherit others theirs: griffe's own extension looks at one class at a time."""
        if mod.path == "llamadapro_api.models":
            mod.docstring = None  # its pages each say what they show of it
        for keywords in mod.classes.values():
            parent = mod.classes.get(str(next(iter(keywords.bases), "")))
            if parent is not None and keywords.name.endswith("Body"):
                keywords.members = {**parent.members, **keywords.members}
                keywords.bases = parent.bases

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^::$|(?<=:):$", "", obj.docstring.value, flags=re.MULTILINE)

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Complete the table of parameters: griffe's extension lists only the keywords of `Unpack[…]`."""
        for parameter in [one for one in func.parameters if one.name.startswith("_")]:
            del func.parameters[parameter.name]  # for our own tests
        for parameter in func.parameters:
            if str(parameter.default) == "_UNCHANGED":
                parameter.default = "..."
        sections = func.docstring.parsed if func.docstring is not None else []
        for section in sections:
            if isinstance(section, DocstringSectionParameters):
                for row in section.value:
                    row.value = "not sent" if str(row.value) == "..." else row.value
                listed = {row.name for row in section.value}
                section.value[:0] = [
                    DocstringParameter(
                        parameter.name,
                        description=SHARED.get(parameter.name, ""),
                        annotation=parameter.annotation,
                        value=None if parameter.default is None else str(parameter.default),
                    )
                    for parameter in func.parameters
                    if parameter.name not in {*listed, "self", "", "query", "body", "fields", "options"}
                ]

    def on_class(self, *, cls: Class, **_: Any) -> None:
        """A table of a record's fields says more at a glance than a heading for each."""
        if not any(str(one.value).startswith(("attrs.", "dataclass")) for one in cls.decorators):
            return
        fields = [one for one in cls.members.values() if one.is_attribute and "property" not in one.labels]
        shown = [one for one in fields if one.name != "wire_names" and not one.name.startswith("_")]
        rows = [DocstringAttribute(one.name, annotation=one.annotation, description=_words(one)) for one in shown]
        if cls.docstring is None:
            cls.docstring = Docstring("", parent=cls)
        cls.docstring.parsed.append(DocstringSectionAttributes(rows))
        for one in fields:
            cls.del_member(one.name)


def _words(obj: Object) -> str:
    return obj.docstring.value if obj.docstring else ""
