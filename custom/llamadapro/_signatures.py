"""Methods that can be introspected, and whose errors about wrong arguments name the method that was called.

A method such as ``contacts.create(**fields: Unpack[CreateContactBody])`` shows the dictionary's keys as its keywords.
They are looked up when someone asks, so that importing a resource loads no model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, wraps
from typing import Any, TypeVar, Unpack, cast, get_args, get_origin, get_type_hints

from llamadapro_api.errors import ValidationError
from llamadapro_api.hints import fields_of
from llamadapro_api.types import UNSET
from llamadapro_api.writing import did_you_mean

from .errors import InvalidRequestError

F = TypeVar("F", bound=Callable[..., Any])


def named(name: str) -> Callable[[F], F]:
    """Decorate a method that users call as `name`, such as ``contacts.create``.

    Its signature shows all keywords; errors about its arguments begin with its name.
    """

    def decorate(function: F) -> F:
        signature = MethodSignature(function)

        def restated(error: Exception, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Exception | None:
            if isinstance(error, ValidationError):
                return InvalidRequestError(f"{name}: {_with_own_name(error, signature)}")
            faults = "; ".join(_faults(signature, args, kwargs))
            return TypeError(f"{name}(): {faults}") if faults else None

        def method(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except (TypeError, ValidationError) as error:
                if (better := restated(error, args, kwargs)) is None:
                    raise
                raise better from None

        async def async_method(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except (TypeError, ValidationError) as error:
                if (better := restated(error, args, kwargs)) is None:
                    raise
                raise better from None

        wrapper: Any = wraps(function)(async_method if inspect.iscoroutinefunction(function) else method)
        wrapper.__signature__ = signature
        return cast(F, wrapper)

    return decorate


class MethodSignature(inspect.Signature):
    """A function's signature with annotations resolved and ``**fields: Unpack[…]`` expanded, once it is looked at."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    @cached_property
    def _expanded(self) -> inspect.Signature:
        hints = get_type_hints(self._function)
        plain = inspect.signature(self._function)
        parameters: list[inspect.Parameter] = []
        for parameter in plain.parameters.values():
            hint = hints.get(parameter.name, parameter.annotation)
            if parameter.kind is parameter.VAR_KEYWORD and get_origin(hint) is Unpack:
                parameters += sorted(_keywords(get_args(hint)[0]), key=lambda one: one.default is not one.empty)
            else:
                parameters.append(parameter.replace(annotation=hint))
        return inspect.Signature(parameters, return_annotation=hints.get("return", plain.return_annotation))

    @property
    def parameters(self) -> Any:
        return self._expanded.parameters

    @property
    def return_annotation(self) -> Any:
        return self._expanded.return_annotation

    def replace(self, **changes: Any) -> inspect.Signature:  # type: ignore[override]
        return self._expanded.replace(**changes)

    def __reduce__(self) -> Any:
        return self._expanded.__reduce__()


def _keywords(dictionary: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(dictionary)
    for name, field in fields_of(dictionary).items():
        default = inspect.Parameter.empty if field.required else UNSET
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[name])


def _with_own_name(error: ValidationError, signature: inspect.Signature) -> str:
    """The operation calls its path parameter ``id``, where the method's is named after what it identifies."""
    own = [one.name for one in [*signature.parameters.values()][1:] if one.kind is one.POSITIONAL_ONLY]
    if error.place == "id" and len(own) == 1 and "id" not in signature.parameters:
        return f"{own[0]}: {error.reason}"
    return str(error)


def _faults(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the arguments of a method, `self` among them; nothing if they fit its signature."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        pass
    else:
        return
    parameters = [*signature.parameters.values()][1:]
    by_position = [one.name for one in parameters if one.kind is not one.KEYWORD_ONLY]
    keywords = [one.name for one in parameters if one.kind is not one.POSITIONAL_ONLY]
    given = len(args) - 1

    def advice(name: str) -> str:
        return did_you_mean(name, keywords) if keywords else "it takes none"

    unknown = [name for name in kwargs if name not in keywords]
    for name in unknown:
        positional = f"{name} is positional: give it without its name"
        yield positional if name in by_position else f"unknown keyword {name!r}; {advice(name)}"
    if given > len(by_position):
        expected = f"only {', '.join(by_position)}" if by_position else "no positional arguments"
        yield f"takes {expected}, but {given} {'were' if given > 1 else 'was'} given; use keywords"
    absent = [one for one in parameters if one.name not in kwargs and one.name not in by_position[:given]]
    missing = [one.name for one in absent if one.default is one.empty]
    if missing and not unknown:  # else it is probably what the unknown ones were meant to be
        yield f"missing {', '.join(missing)}"
