"""Tasks: the dates follow the status, and a task that is past its due date is overdue without anyone saying so."""

from __future__ import annotations

from functools import partial
from typing import Any

from llamadapro_sandbox.clock import seconds_of
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.query import Test, condition
from llamadapro_sandbox.request import ApiRequest
from llamadapro_sandbox.state import State
from llamadapro_sandbox.store import Record

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
    tests: list[Test] = [condition(*FILTERS[name], value) for name, value in request.query.items() if name in FILTERS]
    return state.list(KIND, request, tests=tests, to_response=partial(to_response, state))


@handles("CreateTask")
def create_task(state: State, request: ApiRequest) -> Any:
    given = {**EMPTY, "status": "scheduled", **request.operation.known(request.body)}
    values = {**given, **_dates(state, given, {})}
    return to_response(state, state.add(KIND, values, public_id=lambda number: f"{PREFIX}{number}"))


@handles("GetTask")
def get_task(state: State, request: ApiRequest) -> Any:
    return to_response(state, _find(state, request)[1])


@handles("UpdateTask")
def update_task(state: State, request: ApiRequest) -> Any:
    number, task = _find(state, request)
    given = request.operation.known(request.body)
    if "dueDate" in given and "status" not in given and task.get("status") == "overdue":
        given["status"] = "scheduled"  # a new date: whether it is overdue is for the clock to say
    return to_response(state, state.change(KIND, number, task, {**_dates(state, given, task), **given}))


@handles("DeleteTask")
def delete_task(state: State, request: ApiRequest) -> Any:
    number, task = _find(state, request)
    state.store.delete(KIND, number)
    return to_response(state, task)


def to_response(state: State, task: Record) -> Record:
    due = task.get("dueDate")
    late = due is not None and task.get("status") == "scheduled" and seconds_of(due) < state.clock.time()
    return {**task, "status": "overdue"} if late else task


def _find(state: State, request: ApiRequest) -> tuple[int, Record]:
    text = request.ids["taskId"]
    number = text.removeprefix(PREFIX)
    if not (text.startswith(PREFIX) and number.isascii() and number.isdigit() and len(number) <= 15):
        raise NotFound("there is no such task")
    if str(int(number)) != number:
        raise NotFound("there is no such task")
    return int(number), state.find(KIND, int(number), "task")


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
