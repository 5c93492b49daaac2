"""The first client of a process: what its calls need is loaded when it is built, and none of them waits for a file."""

import asyncio
import gzip
import json
import os
import ssl
import sys
from pathlib import Path

import orjson
import pytest
import trustme
from raw_server import RawServer, reply

from thrive_async.sandbox import Sandbox

PROGRAM = Path(__file__).with_name("first_use.py")
PACKED = reply(200, gzip.compress(orjson.dumps([])), Content_Encoding="gzip")


@pytest.mark.parametrize("built", ["outside", "inside"])
async def test_no_call_opens_or_imports_a_file_on_the_loop(built: str, tmp_path: Path) -> None:
    """After `ThriveClient(...)`, built outside of the loop or on it, the loop's thread opens and imports nothing."""
    authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with Sandbox(users=30, seed=1) as sandbox, RawServer([PACKED], tls=tls) as packed:
        sandbox.faults.add("rate_limited", operation="listTags", retry_after="date:-1")
        sandbox.faults.add("wrong_shape", operation="listSkillLevels", body=[{"name": 1}])
        sandbox.faults.add("html", operation="listContents", status=403)
        sandbox.faults.add("close_before", operation="addMembers")
        sandbox.faults.add("cut_body", operation="getUser")
        settings = {
            "built": built,
            # By name, as everybody's Thrive is.
            "base_url": sandbox.base_url.replace("127.0.0.1", "localhost"),
            "tenant_id": sandbox.tenant_id,
            "client_id": sandbox.oauth.client_id,
            "client_secret": sandbox.oauth.client_secret.reveal(),
            "tls_url": packed.base_url.replace("127.0.0.1", "localhost"),
            "ca_file": str(ca_file),
        }
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "NO_PROXY": "localhost"}
        # In its debug mode asyncio itself reads the source of whatever makes a task.
        environment.pop("PYTHONASYNCIODEBUG", None)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), json.dumps(settings)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        printed, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        assert json.loads(printed) == []
        assert len(packed.requests) == 1
        kinds = {entry.operation: entry.status for entry in sandbox.requests}
        assert {"createAccessToken", "createAudience", "addMembers", "addManagers", "updateUser"} <= kinds.keys()
