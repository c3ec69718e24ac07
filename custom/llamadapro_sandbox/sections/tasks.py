"""Tasks: the dates follow the status, and a task that is past its due date is overdue without anyone saying so."""

from __future__ import annotations

from functools import partial
from typing import Any

from llamadapro_sandbox.clock import seconds_of
from llamadapro_sandbox.errors import NotFound
from llamadapro_sandbox.looking import Test, condition
from llamadapro_sandbox.reading import Ask
from llamadapro_sandbox.store import Record
from llamadapro_sandbox.world import World

from . import does

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


@does("GetTasks")
def get_tasks(world: World, ask: Ask) -> Any:
    tests: list[Test] = [condition(*FILTERS[name], value) for name, value in ask.query.items() if name in FILTERS]
    return world.list(KIND, ask, tests=tests, shown=partial(shown, world))


@does("CreateTask")
def create_task(world: World, ask: Ask) -> Any:
    given = {**EMPTY, "status": "scheduled", **ask.operation.known(ask.body)}
    values = {**given, **_dates(world, given, {})}
    return shown(world, world.add(KIND, values, public_id=lambda number: f"{PREFIX}{number}"))


@does("GetTask")
def get_task(world: World, ask: Ask) -> Any:
    return shown(world, _find(world, ask)[1])


@does("UpdateTask")
def update_task(world: World, ask: Ask) -> Any:
    number, task = _find(world, ask)
    given = ask.operation.known(ask.body)
    if "dueDate" in given and "status" not in given and task.get("status") == "overdue":
        given["status"] = "scheduled"  # a new date: whether it is overdue is for the clock to say
    return shown(world, world.change(KIND, number, task, {**_dates(world, given, task), **given}))


@does("DeleteTask")
def delete_task(world: World, ask: Ask) -> Any:
    number, task = _find(world, ask)
    world.store.delete(KIND, number)
    return shown(world, task)


def shown(world: World, task: Record) -> Record:
    due = task.get("dueDate")
    late = due is not None and task.get("status") == "scheduled" and seconds_of(due) < world.clock.time()
    return {**task, "status": "overdue"} if late else task


def _find(world: World, ask: Ask) -> tuple[int, Record]:
    text = ask.ids["taskId"]
    number = text.removeprefix(PREFIX)
    if not (text.startswith(PREFIX) and number.isascii() and number.isdigit() and len(number) <= 15):
        raise NotFound("there is no such task")
    if str(int(number)) != number:
        raise NotFound("there is no such task")
    return int(number), world.find(KIND, int(number), "task")


def _dates(world: World, given: Record, task: Record) -> Record:
    """The dates that a change of status brings with it, unless it is no change or they were given."""
    status = given.get("status")
    if status is None or status == task.get("status"):
        return {}
    done, off = status == "completed", status == "cancelled"
    dates = {
        "completedAt": given.get("completedAt") or (world.clock.stamp() if done else None),
        "cancelledAt": given.get("cancelledAt") or (world.clock.stamp() if off else None),
    }
    return dates if off else {**dates, "cancellationReason": given.get("cancellationReason")}
