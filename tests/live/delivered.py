# SPDX-License-Identifier: Apache-2.0
"""What an agent delivered, as stacks: names root first."""
import gzip

import receiver

TREE = ("parent", "<task Task-awaited>", "func_awaited")
CREATED = ("parent", "<task Task-not_awaited (created)>", "func_not_awaited")


def packed(values):
    """A repeated number as fields() gives it."""
    numbers = []
    for value in values:
        number = shift = 0
        for byte in value if isinstance(value, bytes) else b"":
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(number)
                number = shift = 0
        if not isinstance(value, bytes):
            numbers.append(value)
    return numbers


def otlp_stacks(request):
    dictionary = receiver.fields(receiver.fields(receiver.plain_body(request))[2][0])
    strings = [text.decode() for text in dictionary[5]]
    functions = [strings[receiver.fields(one)[1][0]] if receiver.fields(one)[1] else "" for one in dictionary[3]]

    def name(index):
        line = receiver.fields(receiver.fields(dictionary[2][index])[3][0])
        return functions[line[1][0]]
    return [[name(index) for index in reversed(packed(receiver.fields(stack)[1]))] for stack in dictionary[7]]


def pprof_profile(path):
    return receiver.fields(gzip.decompress(path.read_bytes()))


def pprof_stacks(path):
    profile = pprof_profile(path)
    names = {one[1][0]: profile[6][one[2][0]].decode() for one in map(receiver.fields, profile[5])}
    places = {one[1][0]: names[receiver.fields(one[4][0])[1][0]] for one in map(receiver.fields, profile[4])}
    return [[places[index] for index in reversed(packed(receiver.fields(sample)[1]))] for sample in profile[2]]


def comments(path):
    profile = pprof_profile(path)
    return [profile[6][index].decode() for index in packed(profile[13])]


def under(stacks, names):
    def holds(stack):
        rest = iter(stack)
        return all(any(frame == name for frame in rest) for name in names)
    return any(map(holds, stacks))


def files(folder):
    return sorted(folder.glob("*.pb.gz")) if folder.is_dir() else []
