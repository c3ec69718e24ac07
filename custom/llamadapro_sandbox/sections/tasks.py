"""Tasks: the dates follow the status, and a task that is past its due date is overdue without anyone saying so."""

from __future__ import annotations

from typing import Any

from llamadapro_sandbox.clock import seconds_of
from llamadapro_sandbox.query import Record, condition
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State, number_in, visible

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
    task = {**EMPTY, "status": "scheduled", **request.operation.known(request.body)}
    task |= _dates(state, task, {})
    return to_response(state, state.add(KIND, {**task, "_due": _due(task)}, prefix=PREFIX))


@handles("GetTask")
def get_task(state: State, request: ApiRequest) -> Any:
    return to_response(state, _find(state, request)[1])


@handles("UpdateTask")
def update_task(state: State, request: ApiRequest) -> Any:
    _mark_overdue(state)
    number, task = _find(state, request)
    given = request.operation.known(request.body)
    if "dueDate" in given and "status" not in given and task.get("status") == "overdue":
        given["status"] = "scheduled"  # a new date: whether it is overdue is for the clock to say
    values = {**_dates(state, given, task), **given}
    values["_due"] = _due({**task, **values})
    return to_response(state, state.change(KIND, number, task, values))


@handles("DeleteTask")
def delete_task(state: State, request: ApiRequest) -> Any:
    number, task = _find(state, request)
    state.store.delete(KIND, number)
    return to_response(state, task)


def to_response(state: State, task: Record) -> Record:
    due = task.get("_due")
    return visible({**task, "status": "overdue"} if due is not None and due < state.clock.time() else task)


def _due(task: Record) -> float | None:
    """When the task will be overdue unless something happens first."""
    waits = task.get("status") == "scheduled" and task.get("dueDate") is not None
    return seconds_of(task["dueDate"]) if waits else None


def _mark_overdue(state: State) -> None:
    """Write down what the clock has brought about, so that a list can be filtered by it."""
    late = [condition("_due", "lt", state.clock.time())]
    while found := state.store.select(KIND, late, limit=500):
        for _, number, task in found:
            state.store.put(KIND, number, {**task, "status": "overdue", "_due": None})


def _find(state: State, request: ApiRequest) -> tuple[int, Record]:
    number = number_in(request.ids["taskId"], PREFIX)
    return number, state.find(KIND, number, "task", request.ids["taskId"])


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
