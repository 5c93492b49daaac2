"""`thrive spec` prints the document that is in the package, whole."""

import pytest
import yaml

from thrive_async._generated.operations import OPERATIONS
from thrive_async.cli import main


def test_it_prints_a_document_with_every_operation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec"]) == 0
    document = yaml.safe_load(capsys.readouterr().out)
    methods = [method for path in document["paths"].values() for method in path.values()]
    printed = {method["operationId"] for method in methods if "operationId" in method}
    assert printed >= OPERATIONS.keys()
