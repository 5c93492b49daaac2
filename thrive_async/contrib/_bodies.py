"""Bodies that a browser sends, as models."""

from typing import TypeVar

import orjson

from thrive_async._base.model import Model
from thrive_async.errors import DecodeError, InvalidArgument

__all__ = ["M", "model_of"]

M = TypeVar("M", bound=Model)


def model_of(body: bytes, model: type[M]) -> M:
    """Make a model of the body of a request.

    Raises:
        InvalidArgument: The body is not JSON, or not what the model holds.
    """
    text = "$body is not JSON"
    try:
        return model.from_dict(orjson.loads(body))
    except orjson.JSONDecodeError:
        pass
    except DecodeError as error:
        text = f"$body cannot be read at {error.path}: {error.reason}"
    raise InvalidArgument(text, "body")
