"""What `custom/generator/` relies on in openapi-python-client, which promises none of it: upgrades fail here.

Whether the output is right is the affair of test_generated.py; here is what the input to it looks like.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import openapi_python_client
import pytest
from generator.build import Package, parse
from generator.document import Document
from generator.walk import Walk
from jinja2 import StrictUndefined
from openapi_python_client import Project
from openapi_python_client.config import Config, ConfigFile, MetaType
from openapi_python_client.parser.properties import LiteralEnumProperty, ModelProperty
from openapi_python_client.schema.untrusted_string import UntrustedString
from ruamel.yaml import YAML

from tests.contract.check_generated import ROOT
from tests.openapi import OPERATIONS

OURS = ROOT / "custom" / "generator" / "templates"
THEIRS = Path(openapi_python_client.__file__).parent / "templates"

FILTERS = {"safe_for_docstring", "in_double_quote_literal", "in_f_string_literal", "as_unembedded_code"}
GLOBALS = {
    "config",
    "strings",
    "PythonCode",
    "python_identifier",
    "class_name",
    "openapi",
    "endpoint_collections_by_tag",
}
WRITTEN = {
    "api_init", "client", "endpoint_init", "endpoint_module", "errors", "int_enum", "literal_enum", "model",
    "models_init", "package_init", "str_enum", "types",
}  # fmt: skip
"""The templates that it renders; the rest of its own are imported by these, or are for a project of its making."""


def project(output: Path, *hooks: str, overwrite: bool = False) -> Project:
    """As `make generate` sets it up, with other hooks."""
    file = ConfigFile.load_from_path(ROOT / "generator-config.yaml")
    config = Config.from_sources(
        ConfigFile(**{**file.model_dump(), "post_hooks": list(hooks)}),
        meta_type=MetaType.NONE,
        document_source=ROOT / "openapi.yaml",
        file_encoding="utf-8",
        overwrite=overwrite,
        output_path=output,
    )
    document = Document(ROOT / "openapi.yaml")
    data = parse(document, config)
    return Package(document, data, config, Walk(document, data, config))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Built where an attribute that is not there is an error rather than no text; with hooks that leave traces."""
    output = tmp_path_factory.mktemp("built") / "package"
    made = project(output, "echo first >> hooks", "pwd >> hooks", "not-a-command-here x", "echo $((1+1)) >> hooks")
    made.env.undefined = StrictUndefined
    made.rendered = names = []  # type: ignore[attr-defined]
    get_template = made.env.get_template

    def noted(name: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(name)
        return get_template(name, *args, **kwargs)

    made.env.get_template = noted  # type: ignore[method-assign]
    made.returned = made.build()  # type: ignore[attr-defined]
    return made


# --- versions ----------------------------------------------------------------------------------------------------


def test_the_version_is_the_pinned_one() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    assert f"openapi-python-client=={version('openapi-python-client')}" in groups["generate"]
    assert f"ruff=={version('ruff')}" in groups["generate"]


def test_every_key_of_our_configuration_is_known() -> None:
    """It ignores others silently."""
    given = YAML(typ="safe").load((ROOT / "generator-config.yaml").read_text())
    assert set(given) <= set(ConfigFile.model_fields)


# --- templates ---------------------------------------------------------------------------------------------------


def test_it_renders_the_templates_that_we_replace(built: Project) -> None:
    rendered = built.rendered  # type: ignore[attr-defined]
    asked = {name.removesuffix(".py.jinja") for name in rendered if name.endswith(".py.jinja")}
    assert asked == WRITTEN
    ours = {path.name.removesuffix(".py.jinja") for path in OURS.glob("*.py.jinja")}
    assert ours <= {path.name.removesuffix(".py.jinja") for path in THEIRS.glob("*.py.jinja")}
    assert WRITTEN - ours == {"str_enum", "int_enum"}  # with `literal_enums` neither is used


def test_no_template_reads_what_is_not_there(built: Project) -> None:
    """StrictUndefined: a name or an attribute that went away would have stopped the build."""
    output = built.package_dir
    assert (output / "models" / "contact.py").stat().st_size > 1000
    assert (output / "api" / "v1contacts" / "get_contacts.py").stat().st_size > 500


def test_the_environment(built: Project) -> None:
    assert set(built.env.filters) >= FILTERS
    assert set(built.env.globals) >= GLOBALS
    assert (built.env.trim_blocks, built.env.lstrip_blocks, built.env.keep_trailing_newline) == (True, True, True)
    assert "jinja2.ext.LoopControlExtension" in built.env.extensions
    used = {name for path in OURS.glob("*.jinja") for name in re.findall(r"\|\s*([a-z_]+)", path.read_text())}
    assert used - {"str"} <= set(built.env.filters)  # `int | str` is a type


def test_texts_of_the_document_cannot_become_code_unnoticed(built: Project) -> None:
    """What our hook looks for in the output."""
    text = UntrustedString('""" + boom() + """')
    for show in (str, repr, "{}".format):
        try:
            shown = show(text)
        except Exception:
            continue  # refusing is as good
        assert "boom" not in shown
        assert "UntrustedString" in shown
    for name in FILTERS - {"as_unembedded_code"}:
        assert '"""' not in str(built.env.filters[name](text))


# --- the parsed document -----------------------------------------------------------------------------------------


def endpoints(built: Project) -> Iterator[Any]:
    for collection in built.openapi.endpoint_collections_by_tag.values():
        yield from collection.endpoints


def test_endpoints(built: Project) -> None:
    found = {endpoint.name: endpoint for endpoint in endpoints(built)}
    assert set(found) == {operation.name for operation in OPERATIONS.values()}
    assert "v1contacts" in built.openapi.endpoint_collections_by_tag
    update = found["update_contact"]
    assert update.method == "put"
    assert update.bodies[0].prop.class_info.name == "UpdateContactBody"
    assert [one.python_name for one in update.path_parameters] == ["id"]
    listed = found["get_contacts"]
    assert [str(one.python_name) for one in listed.query_parameters][-2:] == ["page_size", "page_token"]
    assert not listed.header_parameters
    assert not listed.cookie_parameters
    answers = {one.status_code.range: one.prop for one in listed.responses.patterns}
    assert answers[200, 200].class_info.name == "ContactPage"
    assert isinstance(update.summary, UntrustedString)
    assert isinstance(update.path, UntrustedString)


def test_models_and_sets(built: Project) -> None:
    models = {str(model.class_info.name): model for model in built.openapi.models}
    contact = models["Contact"]
    assert isinstance(contact, ModelProperty)
    assert contact.class_info.module_name == "contact"
    assert [str(prop.python_name) for prop in contact.required_properties or ()] == ["id"]
    names: dict[str, Any] = {str(prop.python_name): prop for prop in contact.optional_properties or ()}
    assert names["first_name"].required is False
    assert names["addresses"].inner_property.class_info.name == "ContactAddress"
    assert [one.get_base_type_string().as_unembedded_code() for one in names["user_id"].inner_properties] == [
        "int",
        "None",
    ]
    kinds = {str(enum.class_info.name): enum for enum in built.openapi.enums}
    assert isinstance(kinds["TaskStatus"], LiteralEnumProperty)
    assert kinds["TaskStatus"].values == {"completed", "cancelled", "scheduled", "overdue"}


def test_what_the_parser_leaves_out_is_why_the_document_is_read_twice(built: Project) -> None:
    """Should one of these appear, `document.py` of the generator could do with less."""
    for name in ("servers", "security_schemes", "securitySchemes", "components"):
        assert not hasattr(built.openapi, name)
    endpoint = next(iter(endpoints(built)))
    assert not hasattr(endpoint, "model_extra")
    assert not hasattr(endpoint, "operation_id")


# --- hooks and files ---------------------------------------------------------------------------------------------


def test_hooks_run_in_order_in_the_output_by_a_shell(built: Project) -> None:
    lines = (built.package_dir / "hooks").read_text().split()
    assert lines == ["first", os.path.realpath(built.package_dir), "2"]


def test_a_hook_that_is_not_on_the_path_is_only_a_warning(built: Project) -> None:
    """Hence the generator refuses on any of them."""
    (warning,) = built.returned  # type: ignore[attr-defined]
    assert warning.level.value == "WARNING"
    assert "not-a-command-here" in str(warning.detail)
