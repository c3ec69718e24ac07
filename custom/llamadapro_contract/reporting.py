"""The report for people (text, Markdown) and for machines (JSON, JUnit)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from .findings import SEVERITIES, Finding, Report

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def as_text(report: Report) -> str:
    lines = []
    for severity in SEVERITIES:
        for one in report.of(severity):
            lines.append(f"{severity:14} {one.kind:20} {one.operation}")
            path = f" at {one.path}" if one.path else ""
            lines.append(f"{'':14} {one.message}{path}")
            lines.append(f"{'':14} openapi.yaml:{one.line} {one.location}")
    lines += [f"note: {note}" for note in report.notes]
    return "\n".join([*lines, _summary(report)])


def as_markdown(report: Report) -> str:
    lines = [f"# {report.base_url} against openapi.yaml", "", _summary(report)]
    for severity in SEVERITIES:
        found = report.of(severity)
        if found:
            lines += ["", f"## {severity.capitalize()} ({len(found)})", ""]
            lines += ["| operation | what | in the answer | in the document |", "|---|---|---|---|"]
            lines += [
                f"| {_cell(one.operation)} | {one.kind}: {_cell(one.message)} | {_cell(one.path)} | line {one.line} |"
                for one in found
            ]
    return "\n".join([*lines, *(f"\nNote: {note}" for note in report.notes)])


def as_json(report: Report) -> str:
    found = [
        {
            "severity": one.severity,
            "kind": one.kind,
            "operations": list(one.operations),
            "path": one.path,
            "message": one.message,
            "document": {"pointer": one.location, "line": one.line},
        }
        for one in report.findings
    ]
    content = {
        "baseUrl": report.base_url,
        "requests": report.requests,
        "counts": report.counts,
        "notes": report.notes,
        "findings": found,
    }
    return json.dumps(content, ensure_ascii=False, indent=2)


def as_junit(report: Report) -> str:
    """A test case for each finding: contradictions fail, what was not seen is skipped."""
    counts = report.counts
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="llamadapro contract" tests="{len(report.findings)}"'
        f' failures="{counts["contradiction"]}" skipped="{counts["not seen"]}">',
    ]
    for one in report.findings:
        lines.append(
            f"  <testcase classname={_attribute(one.operation)} name={_attribute(f'{one.kind}: {one.message}')}>"
        )
        if one.severity == "contradiction":
            lines.append(f"    <failure message={_attribute(one.message)}>{_details(one)}</failure>")
        elif one.severity == "not seen":
            lines.append(f"    <skipped message={_attribute(one.message)}/>")
        else:
            lines.append(f"    <system-out>{_details(one)}</system-out>")
        lines.append("  </testcase>")
    return "\n".join([*lines, "</testsuite>"])


FORMATS: dict[str, Callable[[Report], str]] = {
    "text": as_text,
    "json": as_json,
    "markdown": as_markdown,
    "junit": as_junit,
}


def _summary(report: Report) -> str:
    counted = ", ".join(f"{count} {severity}" for severity, count in report.counts.items())
    return f"{report.requests} requests to {report.base_url}: {counted}"


def _details(finding: Finding) -> str:
    return escape(
        _CONTROL.sub("?", f"{finding.severity} {finding.path} openapi.yaml:{finding.line} {finding.location}")
    )


def _attribute(text: str) -> str:
    return quoteattr(_CONTROL.sub("?", text))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
