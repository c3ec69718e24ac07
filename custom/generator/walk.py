"""From parsed properties to annotations: one walk says how each type is written in Python, or that it cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import attrs
from openapi_python_client.config import Config
from openapi_python_client.parser.openapi import Endpoint, GeneratorData
from openapi_python_client.parser.properties import (
    AnyProperty,
    BooleanProperty,
    ConstProperty,
    DateProperty,
    DateTimeProperty,
    FileProperty,
    FloatProperty,
    IntProperty,
    ListProperty,
    LiteralEnumProperty,
    ModelProperty,
    NoneProperty,
    StringProperty,
    UnionProperty,
    UuidProperty,
)
from openapi_python_client.parser.properties.schemas import Class
from openapi_python_client.strings import ClassName

from .document import Document, OperationInfo, Parameter, media_type
from .refusals import Pointer, Unsupported
from .runtime.hints import camel_case
from .runtime.reading import Model

RESERVED = {*dir(Model), "absent_fields_", "unknown_fields_", "unparsed_fields_", "models", "types", "dt", "attrs"}
"""Names that a field cannot have: it gets a trailing underscore."""
IMPORTED = {"ABSENT", "Annotated", "Any", "Literal", "Mapping", "NotRequired", "Sequence", "TypedDict", "UUID"}
"""Names that generated modules import, and a class cannot have: it gets a trailing underscore."""
READ = {
    BooleanProperty: "bool",
    IntProperty: "int",
    FloatProperty: "float",
    StringProperty: "str",
    AnyProperty: "Any",
    NoneProperty: "None",
    DateTimeProperty: "dt.datetime",
    DateProperty: "dt.date",
    UuidProperty: "UUID",
}
SENT = {**READ, DateTimeProperty: "types.Moment", DateProperty: "types.Day", UuidProperty: "types.Uuid"}
NO_SCALARS = {ModelProperty: "an object", ListProperty: "a list", FileProperty: "binary"}


@attrs.frozen
class FieldView:
    """What a template prints of a field."""

    name: str
    wire: str
    members: list[str]
    """Of the union that is its type; of any other type, the type alone."""
    required: bool
    documented: str
    flags: Mapping[str, Any] = attrs.field(factory=dict)
    marks: tuple[str, ...] = ()

    @property
    def annotation(self) -> str:
        marks = [*self.marks, *([f"types.Wire({self.wire!r})"] if camel_case(self.name) != self.wire else [])]
        hint = " | ".join(self.members)
        return f"Annotated[{hint}, {', '.join(marks)}]" if marks else hint

    @property
    def deprecated(self) -> bool:
        return bool(self.flags.get("deprecated"))

    @property
    def description(self) -> str:
        return " ".join([self.documented] * bool(self.documented) + ["Deprecated."] * self.deprecated)


@attrs.frozen
class DictView:
    """What a template prints of a dictionary of keywords."""

    name: str
    fields: list[FieldView]
    base: str = "TypedDict"


@attrs.define
class OperationView:
    """What a template prints of an operation."""

    info: OperationInfo
    ids: dict[str, str]
    """Name → annotation."""
    dicts: list[DictView]
    keywords: str
    query: str
    headers: str
    body: str
    body_keyword: bool
    supplied: dict[str, str]
    returns: str
    answers: dict[str, str]
    docstring: str


class Walk:
    """The parsed document, as templates print it."""

    def __init__(self, document: Document, data: GeneratorData, config: Config) -> None:
        self.document = document
        self.config = config
        for one in (*data.models, *data.enums):
            one.class_info.name = class_of(one)
            if one.class_info.module_name == one.class_info.name:  # as in a script without capitals
                one.class_info.module_name += "_"
        self.models = {str(model.class_info.name): model for model in data.models}
        self.enums = {str(enum.class_info.name): enum for enum in data.enums}
        self.components = {self._class_name(name): name for name in document.schemas}
        self.answered: dict[str, list[FieldView]] = {}
        self.sent: dict[str, list[FieldView]] = {}
        self.extras: dict[tuple[str, bool], str] = {}
        self.dicts: dict[str, str] = {}
        """Class → that of the dictionary by which it is sent."""
        self.operations: dict[str, OperationView] = {}
        self.names: dict[str, str] = {name: f".{enum.class_info.module_name}" for name, enum in self.enums.items()}
        """Every public name of the package `models` → its module."""
        found = []
        for tag, collection in data.endpoint_collections_by_tag.items():
            for endpoint in collection.endpoints:
                info = document.operations[str(endpoint.name)]
                endpoint.name = info.name
                found.append((info, endpoint, str(tag)))
        # First what is answered: models have the schemas' names, and whatever else is named has to give way.
        answers = {}
        for info, endpoint, _ in found:
            with document.refusals.collected():
                answers[info.name] = self._answers(info, endpoint)
        for info, endpoint, tag in found:
            with document.refusals.collected():
                self.operations[info.name] = self._operation(info, endpoint, tag, answers.get(info.name, ("None", {})))
        self._check_modules()

    # --- types ------------------------------------------------------------------------------------------------------

    def annotation(self, prop: Any, pointer: Pointer, *, sending: bool, form: bool = False) -> str:
        """The type of a property; `form` where its values are parts of a form."""
        return " | ".join(self._members(prop, pointer, sending=sending, form=form))

    def _members(self, prop: Any, pointer: Pointer, *, sending: bool, form: bool = False) -> list[str]:
        """The members of the union that is the type of a property; of any other type, the type alone."""
        kind = type(prop)
        scalars = SENT if sending else READ
        if kind in scalars:
            return scalars[kind].split(" | ")
        if kind is FileProperty and form:
            return ["types.File"]
        if kind is LiteralEnumProperty:
            return [f"models.{class_of(prop)}", *([] if sending else [prop.value_type.__name__])]
        if kind is ConstProperty:
            value = prop.value.raw_value
            return [f"Literal[{value!r}]", *([] if sending else [type(value).__name__])]
        if kind is ListProperty:
            inner = self.annotation(prop.inner_property, (*pointer, "items"), sending=sending, form=form)
            return [f"{'Sequence' if sending else 'list'}[{inner}]"]
        if kind is UnionProperty:
            return self._union(prop, pointer, sending=sending, form=form)
        if kind is ModelProperty:
            return [self._object(prop, pointer, sending=sending)]
        raise Unsupported(
            pointer, "a binary value is supported in multipart bodies only; for text in Base64 use format: byte"
        )

    def _object(self, prop: Any, pointer: Pointer, *, sending: bool) -> str:
        name = class_of(prop)
        if not self._is_map(name):
            return self._class(name, sending=sending)
        values = self.models[name].additional_properties
        where = (*pointer, "additionalProperties")
        inner = "Any" if values is None else self.annotation(values, where, sending=sending)
        return f"{'Mapping' if sending else 'dict'}[str, {inner}]"

    def _is_map(self, name: str) -> bool:
        model = self.models.get(name)
        if model is None:  # the parser dropped it, and its reason is among the refusals
            pointer = self.document.sources.get(self.components.get(name, ""), ("components", "schemas", name))
            raise Unsupported(pointer, "the generator cannot read it")
        return not model.required_properties and not model.optional_properties

    def _union(self, prop: Any, pointer: Pointer, *, sending: bool, form: bool) -> list[str]:
        objects = [class_of(one) for one in prop.inner_properties if isinstance(one, ModelProperty)]
        objects = [name for name in objects if not self._is_map(name)]
        words: dict[str, None] = {}
        if len(objects) > 1:
            tag = self._tag(objects, sending=sending)
            if tag is None and sending:
                raise Unsupported(
                    pointer,
                    f"nothing tells {' and '.join(objects)} apart; give each a required property with its own const, "
                    "or the union a discriminator",
                )
            classes = [self._class(name, sending=sending) for name in objects]
            words = dict.fromkeys([f"Annotated[{' | '.join(classes)}, {tag}]"] if tag else classes)
        for one in prop.inner_properties:
            if len(objects) < 2 or not (isinstance(one, ModelProperty) and class_of(one) in objects):
                words |= dict.fromkeys(self._members(one, pointer, sending=sending, form=form))
        return _null_last(words)

    def _class(self, name: str, *, sending: bool) -> str:
        self._reach(name, sending=sending)
        return f"models.{self.dicts[name] if sending else name}"

    def _class_name(self, schema: str) -> str:
        """What the generator calls the class of a schema, `class_overrides` of its configuration included."""
        return _importable(str(Class.from_string(string=schema, config=self.config).name))

    def _tag(self, names: list[str], *, sending: bool) -> str | None:
        """What tells the objects of a union apart: a discriminator, or a property with one value in each."""
        found = self.document.discriminators.get(frozenset(self.components.get(name, name) for name in names))
        by_wire = [{_wire(one): _values(one) for one in self._properties(name)} for name in names]
        if found:
            wire, mapping = found
            kinds = {value: self._class_name(target) for value, target in mapping.items()}
            for name, values in zip(names, by_wire, strict=True):
                if name not in kinds.values():  # its tag is what its property lists, else the schema's name
                    tags = sorted(values.get(wire) or [self.components.get(name, name)])
                    kinds = {**dict.fromkeys(tags, name), **kinds}
        else:
            for wire in by_wire[0]:
                sets = [values.get(wire) for values in by_wire]
                if all(sets) and len(set().union(*sets)) == sum(map(len, sets)):  # no value in two of them
                    break
            else:
                return None
            kinds = {value: name for name, values in zip(names, sets, strict=True) for value in sorted(values)}
        classes = ", ".join(f"{value!r}: {self._class(name, sending=sending)}" for value, name in kinds.items())
        return f"types.Tag({wire!r}, {{{classes}}})"

    def _properties(self, name: str) -> list[Any]:
        model = self.models[name]
        return [*(model.required_properties or ()), *(model.optional_properties or ())]

    # --- objects ----------------------------------------------------------------------------------------------------

    def _reach(self, name: str, *, sending: bool) -> None:
        into = self.sent if sending else self.answered
        if name in into:
            return
        into[name] = []
        component = self.components[name]
        module = f".{self.models[name].class_info.module_name}"
        if sending:
            self.dicts[name] = self._free(f"{name}Dict")
        self._claim(self.dicts[name] if sending else name, module, self.document.sources[component])
        into[name] += self._fields(name, sending=sending)
        if self.document.is_open(component):
            values = self.models[name].additional_properties
            pointer = (*self.document.sources[component], "additionalProperties")
            self.extras[name, sending] = self.annotation(values, pointer, sending=sending) if values else "Any"

    def _free(self, name: str) -> str:
        while name in self.names:
            name += "_"
        return name

    def _claim(self, name: str, module: str, pointer: Pointer) -> None:
        if self.names.setdefault(name, module) != module:
            raise Unsupported(pointer, f"{name} is the name of something else in the package too; rename the schema")

    def _fields(self, name: str, *, sending: bool, form: bool = False) -> list[FieldView]:
        component = self.components[name]
        out = []
        for prop in self._properties(name):
            wire = _wire(prop)
            flags = self.document.flags(component, wire)
            if flags.get("readOnly" if sending else "writeOnly"):
                continue
            pointer = (*self.document.sources[component], "properties", wire)
            python_name = self.document.python_name(wire)
            python_name += "_" * (python_name in RESERVED)
            with self.document.refusals.collected():
                members = self._members(prop, pointer, sending=sending, form=form)
                if not sending and not prop.required:
                    members = _nullable(members)
                description = flags.get("description") or _text(prop.description)
                out.append(FieldView(python_name, wire, members, prop.required, description, flags))
        return out

    # --- operations -------------------------------------------------------------------------------------------------

    def _operation(
        self, info: OperationInfo, endpoint: Endpoint, tag: str, answers: tuple[str, dict[str, str]]
    ) -> OperationView:
        title = str(ClassName(info.name, self.document.prefix))
        ids = dict(self._id(one, endpoint) for one in info.in_place("path"))
        parameters = {_wire(one): one for one in endpoint.query_parameters}
        keywords: dict[str, str] = {}
        dicts: list[DictView] = []
        named = {"query": "", "header": "", "body": ""}
        for place, suffix in (("query", "Query"), ("header", "Headers")):
            fields = [self._parameter(one, parameters[one.parser_name], ids, keywords) for one in info.in_place(place)]
            if fields:
                named[place] = self._free(f"{title}{suffix}")
                dicts.append(DictView(named[place], fields))
        supplied: dict[str, str] = {}
        body_keyword = False
        if endpoint.bodies:
            fields, supplied, body_keyword = self._body(info, endpoint.bodies[0].prop, [*ids])
            where = (*info.pointer, "requestBody")
            for one in fields:
                self._keyword(one.name, keywords, where)
            info.deprecated_fields += [one.name for one in fields if one.deprecated]
            named["body"] = self._body_name(info, endpoint.bodies[0].prop, title)
            required, optional = [one for one in fields if one.required], [one for one in fields if not one.required]
            if required and optional:
                options = self._free(f"{title}Options")
                dicts += [DictView(options, optional), DictView(named["body"], required, options)]
            else:
                dicts.append(DictView(named["body"], fields))
        for one in dicts:
            self._claim(one.name, f"..api.{tag}.{info.module}", info.pointer)
        types = [name for name in named.values() if name]
        joined = types[0] if len(types) == 1 else f"{title}Keywords" if types else ""
        summary = str(info.raw.get("summary") or "").strip() or f"{info.method} {info.path}"
        parts = [summary if summary.endswith(".") else f"{summary}.", str(info.raw.get("description") or "").strip()]
        parts += ["Deprecated."] * bool(info.raw.get("deprecated"))
        return OperationView(
            info=info,
            ids=ids,
            dicts=dicts,
            keywords=joined,
            query=named["query"],
            headers=named["header"],
            body=named["body"],
            body_keyword=body_keyword,
            supplied=supplied,
            returns=answers[0],
            answers=answers[1],
            docstring="\n\n".join(part for part in parts if part),
        )

    def _id(self, parameter: Parameter, endpoint: Endpoint) -> tuple[str, str]:
        prop = next(one for one in endpoint.path_parameters if _wire(one) == parameter.parser_name)
        annotation = self.annotation(prop, parameter.pointer, sending=True)
        if annotation in ("int", "str", "int | str", "str | int", "Any"):
            annotation = "int | str"
        _check_scalar(prop, parameter)
        parameter.python_name += "_" * (parameter.python_name in ("types", "models", "dt"))
        return parameter.python_name, annotation

    def _parameter(self, parameter: Parameter, prop: Any, ids: Iterable[str], keywords: dict[str, str]) -> FieldView:
        _check_scalar(prop, parameter)
        name = parameter.python_name + "_" * (parameter.python_name in ids)
        self._keyword(name, keywords, parameter.pointer)
        members = self._members(prop, parameter.pointer, sending=True)
        return FieldView(
            name,
            parameter.name,
            members if parameter.required else _nullable(members),
            parameter.required,
            parameter.description or _text(prop.description),
            {"deprecated": parameter.deprecated},
            ("types.CommaSeparated()",) * parameter.comma_separated,
        )

    def _keyword(self, name: str, keywords: dict[str, str], pointer: Pointer) -> None:
        if name in keywords:
            raise Unsupported(pointer, f"{name} is a keyword for two things, here and in {keywords[name]}; rename one")
        keywords[name] = ".".join(map(str, pointer[3:])) or "the parameters"

    def _body(self, info: OperationInfo, prop: Any, ids: list[str]) -> tuple[list[FieldView], dict[str, str], bool]:
        form = not media_type(info.content_type or "").endswith("json")
        pointer = (*info.pointer, "requestBody")
        if not isinstance(prop, ModelProperty) or self._is_map(class_of(prop)):
            if form:
                raise Unsupported(pointer, "a form must be an object with properties")
            members = self._members(prop, pointer, sending=True)
            return [FieldView("body", "body", members, info.body_required, _text(prop.description))], {}, True
        name = class_of(prop)
        fields, supplied = [], {}
        for one in self._fields(name, sending=True, form=form):
            # The id that a path ends with may stand in the body as `id`.
            of_path = one.name == "id" and info.path.endswith("}")
            same = one.name if one.name in ids else ids[-1] if of_path and ids else None
            if same and one.required:
                supplied[one.wire] = same
            elif same and one.flags.get("x-in-path"):
                continue  # the document says that it only repeats the path
            else:
                fields.append(attrs.evolve(one, name=f"{one.name}_") if one.name in ids else one)
        if self.document.is_open(self.components[name]):
            values = self.models[name].additional_properties
            self.extras[info.name, True] = self.annotation(values, pointer, sending=True) if values else "Any"
        return fields, supplied, False

    def _body_name(self, info: OperationInfo, prop: Any, title: str) -> str:
        """The schema's own name, if it is that of a body and of no other."""
        name = class_of(prop) if isinstance(prop, ModelProperty) else ""
        if name.endswith("Body") and name not in self.names:
            return name
        return f"{title}Body" if f"{title}Body" not in self.names else self._free(f"{title}Content")

    def _answers(self, info: OperationInfo, endpoint: Endpoint) -> tuple[str, dict[str, str]]:
        by_status: dict[str, list[str]] = {}
        for response in endpoint.responses.patterns:
            status = response.status_code.pattern
            pointer = (*info.pointer, "responses", status)
            fixed = {"none": ["None"], "text": ["types.Text"]}.get(info.answers[status])
            by_status[status] = fixed or self._members(response.prop, pointer, sending=False)
        first = next((one for one in by_status.values() if one != ["None"]), ["None"])
        if all(one == first for one in by_status.values()):
            return " | ".join(first), {}
        words = _null_last(dict.fromkeys(chain(*by_status.values())))
        answers = {status: " | ".join(one) for status, one in {**by_status, "default": first}.items()}
        return "Any" if "Any" in words else " | ".join(words), answers

    def _check_modules(self) -> None:
        """Classes that differ only in upper and lower case would share a file."""
        owners: dict[str, str] = {}
        for name in (*self.answered, *self.sent, *self.enums):
            module = str((self.models.get(name) or self.enums[name]).class_info.module_name)
            other = owners.setdefault(module, name)
            if other != name:
                component = self.components.get(name, name)
                pointer = self.document.sources.get(component, ("components", "schemas", component))
                self.document.refusals.add(
                    pointer, f"{name} and {other} are one name in snake_case, {module}; rename one"
                )


def class_of(prop: Any) -> str:
    """The class of an object or of a set of values."""
    return _importable(str(prop.class_info.name))


def _importable(name: str) -> str:
    return name + "_" * (name in IMPORTED)


def _check_scalar(prop: Any, parameter: Parameter) -> None:
    """Whether a parameter can be written as text."""
    kinds = [prop, *getattr(prop, "inner_properties", ())]
    if parameter.place != "path":
        kinds = [getattr(one, "inner_property", one) for one in kinds]
        kinds += chain(*(getattr(one, "inner_properties", ()) for one in kinds))
    for one in kinds:
        if type(one) in NO_SCALARS:
            raise Unsupported(
                parameter.pointer,
                f"{parameter.name} is {NO_SCALARS[type(one)]} in a {parameter.place}, which is not supported; "
                "use scalars",
            )


def _null_last(members: Iterable[str]) -> list[str]:
    return sorted(members, key=lambda member: member == "None")


def _nullable(members: list[str]) -> list[str]:
    return members if members == ["Any"] or "None" in members else [*members, "None"]


def _values(prop: Any) -> set[Any]:
    """The values that a property can have, where the document lists them."""
    if isinstance(prop, ConstProperty):
        return {prop.value.raw_value}
    return set(prop.values) if isinstance(prop, LiteralEnumProperty) else set()


def _wire(prop: Any) -> str:
    return str(prop.name.get_untrusted_value())


def _text(untrusted: Any) -> str:
    return "" if untrusted is None else str(untrusted.get_untrusted_value())
