# SPDX-License-Identifier: Apache-2.0
"""otlp_reader.py FILE: an OTLP profiles request, read by OpenTelemetry's own Python package, as JSON.

Every index is followed, and what the format demands is checked: a table that begins with anything but its zero, an index
outside its table or a key that occurs twice in one place is an error. Fields that the format does not know are
errors too.
"""
import json
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import ExportProfilesServiceRequest


def demand(what, ok):
    if not ok:
        sys.exit(f"not as the format demands: {what}")


def check_known(message):
    demand(f"{message.DESCRIPTOR.name} has known fields only", len(UnknownFieldSet(message)) == 0)
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for one in value if field.is_repeated else [value]:
                check_known(one)


def check_zeros(tables):
    for name in ("mapping", "location", "function", "attribute", "stack"):
        demand(f"{name}_table[0] is zero", not getattr(tables, f"{name}_table")[0].ListFields())
    demand("string_table[0] is empty", tables.string_table[0] == "")
    demand("link_table[0] is zero", not any(tables.link_table[0].trace_id + tables.link_table[0].span_id))


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


class Reader:
    def __init__(self, tables):
        self.tables = tables

    def at(self, table, index):
        rows = getattr(self.tables, f"{table}_table")
        demand(f"{table} {index} of {len(rows)}", 0 <= index < len(rows))
        return rows[index]

    def attributes(self, indices):
        rows = [self.at("attribute", index) for index in indices]
        found = {self.at("string", row.key_strindex): value_of(row.value) for row in rows}
        demand("keys are told once", len(found) == len(rows))
        return found

    def frame(self, index):
        location = self.at("location", index)
        demand("a location has a mapping, if any, of the table", self.at("mapping", location.mapping_index) is not None)
        line = location.lines[0]
        function = self.at("function", line.function_index)
        return {"name": self.at("string", function.name_strindex), "file": self.at("string", function.filename_strindex),
                "line": line.line, "type": self.attributes(location.attribute_indices).get("profile.frame.type")}

    def sample(self, sample):
        link = self.at("link", sample.link_index)
        demand("a value and nothing else", len(sample.values) == 1 and not sample.timestamps_unix_nano)
        return {"frames": [self.frame(index) for index in self.at("stack", sample.stack_index).location_indices],
                "value": sample.values[0], "attributes": self.attributes(sample.attribute_indices),
                "link": [link.trace_id.hex(), link.span_id.hex()] if sample.link_index else None}

    def value_type(self, kind):
        return [self.at("string", kind.type_strindex), self.at("string", kind.unit_strindex)]

    def profile(self, profile):
        demand("an id of 16 bytes", len(profile.profile_id) == 16)
        return {"type": self.value_type(profile.sample_type), "period_type": self.value_type(profile.period_type),
                "period": profile.period, "time": profile.time_unix_nano, "duration": profile.duration_nano,
                "id": profile.profile_id.hex(), "attributes": self.attributes(profile.attribute_indices),
                "samples": [self.sample(sample) for sample in profile.samples]}


def read(data):
    request = ExportProfilesServiceRequest.FromString(data)
    check_known(request)
    check_zeros(request.dictionary)
    reader = Reader(request.dictionary)
    return [{"resource": {fact.key: value_of(fact.value) for fact in resource.resource.attributes}, "scope": scope.scope.name,
             "profiles": [reader.profile(profile) for profile in scope.profiles]}
            for resource in request.resource_profiles for scope in resource.scope_profiles]


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        json.dump(read(file.read()), sys.stdout)
