#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What protobuf-c compiles is what the .proto files say.

The files given to protobuf-c are rewritten ones (tools/proto3-optional.py).
Their descriptors must equal those of the pristine files in everything that
reaches the wire: messages, field numbers, types, labels, presence, methods.

usage: rpc_proto_same.py PROTOC PRISTINE_DIR REWRITTEN_DIR C_INCLUDEDIR NAME...
"""

import subprocess
import sys
import tempfile

from google.protobuf import descriptor_pb2


def load(protoc, name, *dirs):
    with tempfile.NamedTemporaryFile() as f:
        args = [arg for d in dirs for arg in ("-I", d)]
        subprocess.run([protoc, *args, "-o", f.name, name + ".proto"], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(f.read()).file[0]


def oneof(message, field):
    if not field.HasField("oneof_index"):
        return None
    return message.oneof_decl[field.oneof_index].name


def describe(file):
    """Everything of a file that callers and the wire can see, as one dictionary."""
    out = {}

    def message(m, prefix):
        path = prefix + "." + m.name
        out[path] = {
            f.number: (f.name, f.type, f.type_name, f.label, oneof(m, f)) for f in m.field
        }
        for nested in m.nested_type:
            message(nested, path)
        for e in m.enum_type:
            enum(e, path)

    def enum(e, prefix):
        out[prefix + "." + e.name] = {v.number: v.name for v in e.value}

    for m in file.message_type:
        message(m, "")
    for e in file.enum_type:
        enum(e, "")
    for s in file.service:
        out["service " + s.name] = {
            m.name: (m.input_type, m.output_type, m.client_streaming, m.server_streaming)
            for m in s.method
        }
    out["package"] = file.package
    return out


def main():
    protoc, pristine_dir, rewritten_dir, c_include, *names = sys.argv[1:]
    for name in names:
        pristine = load(protoc, name, pristine_dir)
        rewritten = load(protoc, name, rewritten_dir, c_include)
        a, b = describe(pristine), describe(rewritten)
        differ = sorted(k for k in a.keys() | b.keys() if a.get(k) != b.get(k))
        if differ:
            sys.exit(f"{name}: differ: {', '.join(differ)}")
        left = [f.name for m in rewritten.message_type for f in m.field if f.proto3_optional]
        if left:
            sys.exit(f"{name}: still optional: {', '.join(left)}")
        print(f"{name}: {len(a)} descriptors are the same")


if __name__ == "__main__":
    main()
