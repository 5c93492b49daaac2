"""Which operation brings which model, by the specification."""

import fuzz_rule as rule
from calls import CALLS

from thrive_async import models
from thrive_async._generated.operations import OPERATIONS
from thrive_async._generated.readers import READERS

READ = [name for name in CALLS if not OPERATIONS[name].any_answer]
LISTS = [name for name in READ if OPERATIONS[name].method == "GET" and rule.says_list(name)]


def of(operation: str) -> type:
    """The model that an operation's reply holds, by the specification."""
    pointer = rule.reply_schema(operation)
    assert pointer is not None
    item = rule.items_schema(pointer) if operation in LISTS else pointer
    found: type = getattr(models, item.rpartition("/")[2], None) or next(
        cls for cls in READERS if cls.__name__ == item.rpartition("/")[2]
    )
    return found
