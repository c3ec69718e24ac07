"""Tasks: the dates follow the status, and a task that is past its due date is overdue without anyone saying so."""

from __future__ import annotations

import re
from typing import Any

from llamadapro_sandbox.clock import seconds_of
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.query import Record, condition
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State, visible

from . import handles

KIND = "tasks"
PREFIX = "task_"
EMPTY: Record = dict.fromkeys(("publishedAt", "dueDate", "completedAt", "cancelledAt", "cancellationReason"))
FILTERS = {
    "status": ("status", "eq"),
    "dueBefore": ("dueDate", "lt"),
    "dueAfter": ("dueDate", "gt"),
    "conversationId": ("context.conversationId", "eq"),
    "assignedToType": ("assignedTo.type", "eq"),
    "assignedToId": ("assignedTo.id", "eq"),
}


@handles("GetTasks")
def get_tasks(state: State, request: ApiRequest) -> Any:
    _mark_overdue(state)
    conditions = [condition(*FILTERS[name], value) for name, value in request.query.items() if name in FILTERS]
    return state.list(KIND, request, conditions=conditions, to_response=visible)


@handles("CreateTask")
def create_task(state: State, request: ApiRequest) -> Any:
    given = {**EMPTY, "status": "scheduled", **request.operation.known(request.body)}
    values = _with_due({**given, **_dates(state, given, {})})
    task = state.add(KIND, values, public_id=lambda number: f"{PREFIX}{number}")
    return _to_response(state, int(task["id"].removeprefix(PREFIX)))


@handles("GetTask")
def get_task(state: State, request: ApiRequest) -> Any:
    return _to_response(state, _find(request))


@handles("UpdateTask")
def update_task(state: State, request: ApiRequest) -> Any:
    _mark_overdue(state)
    number = _find(request)
    task, given = state.find(KIND, number, "task"), request.operation.known(request.body)
    if "dueDate" in given and "status" not in given and task.get("status") == "overdue":
        given["status"] = "scheduled"  # a new date: whether it is overdue is for the clock to say
    values = {**_dates(state, given, task), **given}
    state.change(KIND, number, task, {**values, "_due": _with_due({**task, **values})["_due"]})
    return _to_response(state, number)


@handles("DeleteTask")
def delete_task(state: State, request: ApiRequest) -> Any:
    number = _find(request)
    task = _to_response(state, number)
    state.store.delete(KIND, number)
    return task


def to_response(state: State, task: Record) -> Record:
    due = task.get("_due")
    return visible({**task, "status": "overdue"} if due is not None and due < state.clock.time() else task)


def _to_response(state: State, number: int) -> Record:
    return to_response(state, state.find(KIND, number, "task"))


def _with_due(task: Record) -> Record:
    """`_due` is when the task will be overdue unless something happens first."""
    waits = task.get("status") == "scheduled" and task.get("dueDate") is not None
    return {**task, "_due": seconds_of(task["dueDate"]) if waits else None}


def _mark_overdue(state: State) -> None:
    """Write down what the clock has brought about, so that a list can be filtered by it."""
    late = [condition("_due", "lt", state.clock.time())]
    while found := state.store.select(KIND, late, limit=500):
        for _, number, task in found:
            state.store.put(KIND, number, {**task, "status": "overdue", "_due": None})


def _find(request: ApiRequest) -> int:
    text = request.ids["taskId"]
    number = text.removeprefix(PREFIX)
    if not (text.startswith(PREFIX) and re.fullmatch(r"0|[1-9]\d{0,14}", number, re.ASCII)):
        raise NotFound("there is no such task")
    return int(number)


def _dates(state: State, given: Record, task: Record) -> Record:
    """The dates that a change of status brings with it, unless it is no change or they were given."""
    status = given.get("status")
    if status is None or status == task.get("status"):
        return {}
    done, off = status == "completed", status == "cancelled"
    dates = {
        "completedAt": given.get("completedAt") or (state.clock.stamp() if done else None),
        "cancelledAt": given.get("cancelledAt") or (state.clock.stamp() if off else None),
    }
    return dates if off else {**dates, "cancellationReason": given.get("cancellationReason")}
