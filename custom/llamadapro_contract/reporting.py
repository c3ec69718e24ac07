"""The report for people (text, Markdown) and for machines (JSON, JUnit, GitHub annotations)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from html import escape
from xml.etree import ElementTree

from .findings import DIFFERENCES, KINDS, Finding, Report

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def as_text(report: Report) -> str:
    lines = [_summary(report)]
    for one in report.of(*DIFFERENCES):
        lines.append(f"{one.severity:14} {one.kind:20} {one.operation}")
        lines.append(f"{'':14} {one.message}{f' at {one.path}' if one.path else ''}")
        lines.append(f"{'':14} openapi.yaml:{one.line} {one.location}")
    lines += [f"accepted: {one.kind} ({one.operation}): {one.message}" for one in report.of("accepted")]
    return "\n".join([*lines, *_footer(report)])


def as_markdown(report: Report) -> str:
    lines = [f"# {_cell(report.base_url)} against openapi.yaml", "", _cell(_summary(report))]
    titles = {"contradiction": "Contradictions", "addition": "Additions", "accepted": "Accepted by the baseline"}
    for group, title in titles.items():
        if found := report.of(group):
            lines += ["", f"## {title} ({len(found)})", ""]
            lines += ["| operation | difference | in the answer | in the document |", "|---|---|---|---|"]
            lines += [
                f"| {_cell(one.operation)} | {one.kind}: {_cell(one.message)} | {_cell(one.path)} | line {one.line} |"
                for one in found
            ]
    return "\n".join([*lines, "", *(f"- {_cell(line)}" for line in _footer(report))])


def as_json(report: Report) -> str:
    same = ("severity", "kind", "operations", "path", "message")
    found = [
        {
            "id": one.id,
            **{name: getattr(one, name) for name in same},
            "accepted": report.group(one) == "accepted",
            "document": {"pointer": one.location, "line": one.line},
        }
        for one in report.findings
    ]
    content = {
        "baseUrl": report.base_url,
        "error": report.error,
        "requests": report.requests,
        "counts": report.counts,
        "notes": report.notes,
        "resolved": report.resolved,
        "findings": found,
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def as_junit(report: Report) -> str:
    """A test case for each operation and kind of difference, in every run; and one for the service as such."""
    suite = ElementTree.Element("testsuite", name="llamadapro contract")
    service = ElementTree.SubElement(suite, "testcase", classname="service", name="answers")
    if report.error is not None:
        ElementTree.SubElement(service, "error", message=_clean(report.error))
    reasons = {one.operation: one.message for one in report.findings if one.kind == "operation-not-seen"}
    for name in report.operations:
        for kind in KINDS:
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=kind)
            found = [one for one in report.findings if one.kind == kind and name in one.operations]
            failing = [one for one in found if report.fails(one)]
            if failing:
                message = _clean("; ".join(one.message for one in failing))
                ElementTree.SubElement(case, "failure", message=message).text = _details(report, found)
            elif found:
                ElementTree.SubElement(case, "system-out").text = _details(report, found)
            elif name not in report.succeeded:
                ElementTree.SubElement(case, "skipped", message=_clean(reasons.get(name, "not checked")))
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(1 for _ in suite.iter(tag))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def as_github(report: Report) -> str:
    """Annotations of a workflow run, after the summary."""
    lines = [_summary(report)]
    if report.error is not None:
        lines.append(f"::error title=llamadapro contract::{_escape(report.error)}")
    for one in report.of(*DIFFERENCES):
        title = f"{one.kind} ({one.operation})".replace(",", "%2C").replace(":", "%3A")
        message = _escape(f"{one.message} {one.path} openapi.yaml:{one.line}")
        lines.append(f"::{'error' if report.fails(one) else 'warning'} title={title}::{message}")
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Report], str]] = {
    show.__name__.removeprefix("as_"): show for show in (as_github, as_json, as_junit, as_markdown, as_text)
}


def _summary(report: Report) -> str:
    counts = report.counts
    counted = [f"{counts[name]} {name}{'s' * (counts[name] != 1)}" for name in ("contradiction", "addition")]
    counted += [f"{counts[name]} {name}" for name in ("accepted", "resolved") if report.baseline]
    seen = len(report.succeeded.intersection(report.operations))
    counted += [f"{seen} of {len(report.operations)} operations seen"]
    failed = f"not checked: {report.error}; " if report.error is not None else ""
    return f"{failed}{report.requests} requests to {report.base_url}: {', '.join(counted)}"


def _footer(report: Report) -> Iterator[str]:
    """Entries of the baseline that no longer occur, what was not seen (a line for each reason), what agrees, notes."""
    for entry in report.resolved:
        yield f"resolved: {report.shown(entry['id'])} no longer occurs; take it out of the baseline"
    reasons: dict[str, list[str]] = {}
    for one in report.of("not seen"):
        reasons.setdefault(one.message, []).append(one.path or one.operation)
    yield from (f"not seen, {reason}: {', '.join(names)}" for reason, names in reasons.items())
    if confirmed := [one.operation for one in report.of("confirmation")]:
        yield f"seen: {', '.join(confirmed)}"
    yield from (f"note: {note}" for note in report.notes)


def _details(report: Report, found: list[Finding]) -> str:
    lines = (f"{report.group(one)}: {one.message} {one.path} openapi.yaml:{one.line} {one.location}" for one in found)
    return _clean("\n".join(lines))


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _CONTROL.sub("?", text)


def _cell(text: str) -> str:
    return re.sub(r"([\\`|]|(?<=\])\()", r"\\\1", escape(text, quote=False)).replace("\n", " ")


def _escape(text: str) -> str:
    """As the workflow commands of GitHub want it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
