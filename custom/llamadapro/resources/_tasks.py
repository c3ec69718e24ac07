"""Tasks (section v1/tasks)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Unpack

from llamadapro_api import api, models

from .._pagination import AsyncPaginator
from ._base import Resource


class Tasks(Resource, section="tasks"):
    """Things to do, for users and AI employees."""

    def list(
        self, *, max_items: int | None = None, prefetch: bool = False, **query: Unpack[models.GetTasksQuery]
    ) -> AsyncPaginator[models.Task]:
        """List tasks (GetTasks); keywords: `GetTasksQuery`. `limit` is the page size.

        Example::

            async for task in client.tasks.list(status="overdue", assigned_to_type="user"):
                print(task.due_date, task.objective)
        """
        return self._paginate(api.get_tasks, query, max_items=max_items, prefetch=prefetch)

    async def create(self, **fields: Unpack[models.CreateTaskBody]) -> models.Task:
        """Create a task (CreateTask); keywords: `CreateTaskBody`.

        Example::

            await client.tasks.create(
                objective="Send the proposal",
                context={"conversation_id": 12},
                created_by={"type_": "user", "id": "7"},
                assigned_to={"type_": "user", "id": "7"},
                due_date=timedelta(days=2),
            )

        `due_date` is a datetime with a time zone, a time from now (timedelta or python-dateutil's relativedelta), or a
        date, which means its last second, UTC.
        """
        _end_of_day(fields)
        return await self._send(api.create_task, **fields)

    async def get(self, task_id: int | str, /) -> models.Task:
        """Get one task (GetTask); raises `NotFoundError` if there is none.

        Example: ``task = await client.tasks.get("t-17")``
        """
        return await self._send(api.get_task, task_id)

    async def update(self, task_id: int | str, /, **fields: Unpack[models.UpdateTaskBody]) -> models.Task:
        """Change the given fields of a task (UpdateTask); keywords: `UpdateTaskBody`. `due_date` is as in `create`.

        Example: ``await client.tasks.update("t-17", due_date=timedelta(hours=4))``
        """
        _end_of_day(fields)
        return await self._send(api.update_task, task_id, **fields)

    async def delete(self, task_id: int | str, /) -> models.Task:
        """Delete a task permanently (DeleteTask), and return it.

        Example: ``await client.tasks.delete("t-17")``
        """
        return await self._send(api.delete_task, task_id)

    async def complete(self, task_id: int | str, /) -> models.Task:
        """Mark a task as done (UpdateTask with status ``completed``).

        Example: ``await client.tasks.complete("t-17")``
        """
        return await self._send(api.update_task, task_id, status="completed")

    async def cancel(self, task_id: int | str, /, *, reason: str | None = None) -> models.Task:
        """Cancel a task (UpdateTask with status ``cancelled``).

        Example: ``await client.tasks.cancel("t-17", reason="The customer has paid")``
        """
        if reason is None:
            return await self._send(api.update_task, task_id, status="cancelled")
        return await self._send(api.update_task, task_id, status="cancelled", cancellation_reason=reason)


def _end_of_day(fields: models.CreateTaskBody | models.UpdateTaskBody) -> None:
    """A task that is due on a day is not overdue before that day has ended."""
    due = fields.get("due_date")
    if isinstance(due, date) and not isinstance(due, datetime):
        fields["due_date"] = datetime.combine(due, time(23, 59, 59), UTC)
