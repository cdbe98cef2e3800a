# SPDX-License-Identifier: Apache-2.0
"""Samples of a pprof file with their labels, whole: `go tool pprof` shows numeric labels as floating point, which no 64-bit id survives."""
import collections
import gzip

Sample = collections.namedtuple("Sample", "names values labels")  # names: leaf first; labels: name -> int or str


def varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if byte < 128:
            return number, at


def fields(data):
    """(field number, value) of a message: an int, or the bytes of a string or message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {key & 7}")
        yield key >> 3, value


def packed(values):
    """A repeated number: packed, or one by one."""
    for value in values:
        at = 0
        while not isinstance(value, int) and at < len(value):
            number, at = varint(value, at)
            yield number
        if isinstance(value, int):
            yield value


def message(data):
    found = collections.defaultdict(list)
    for number, value in fields(data):
        found[number].append(value)
    return found


def read(path):
    """The samples of a gzipped profile.proto."""
    profile = message(gzip.decompress(path.read_bytes()))
    strings = [text.decode("utf-8") for text in profile[6]]
    functions = {one[1][0]: strings[one[2][0]] for one in map(message, profile[5])}
    names = {}
    for location in map(message, profile[4]):
        names[location[1][0]] = [functions[message(line)[1][0]] for line in location[4]]
    for sample in map(message, profile[2]):
        labels = {}
        for label in map(message, sample[3]):
            labels[strings[label[1][0]]] = strings[label[2][0]] if label[2] else (label[3] or [0])[0]
        yield Sample([name for at in packed(sample[1]) for name in names[at]], list(packed(sample[2])), labels)
