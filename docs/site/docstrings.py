"""Shows griffe our code as its users see it: keywords in signatures, fields in tables, docstrings as Markdown."""

import re
from typing import Any

from griffe import (
    Class,
    Docstring,
    DocstringAttribute,
    DocstringSectionAttributes,
    Extension,
    Function,
    Module,
    Object,
)


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
        for parameter in [one for one in func.parameters if one.name.startswith("_")]:
            del func.parameters[parameter.name]  # for our own tests
        for parameter in func.parameters:
            if str(parameter.default) == "_UNCHANGED":
                parameter.default = "..."

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
