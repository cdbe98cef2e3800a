# SPDX-License-Identifier: Apache-2.0
"""Files of OTLP profiles, as OpenTelemetry's own Python package reads them."""
import json
import pathlib

import live

READER = pathlib.Path(__file__).resolve().parent / "otlp_reader.py"


def read(path):
    """What otlp_reader.py makes of a file: a list of resources."""
    folder = live.run([live.PYTHONS, "--package", "3.12", "opentelemetry-proto"])
    if folder.code:
        raise live.Skip(folder.err.strip())
    done = live.run([live.versioned("3.12"), str(READER), str(path)], env={"PYTHONPATH": folder.out.strip()})
    live.check("OpenTelemetry's package reads it", done.code == 0, done.err)
    return json.loads(done.out)
