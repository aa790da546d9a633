"""Reads a message to Google's bulk uploader from the standard input with Google's own protobuf runtime, and prints it as JSON.

The message is that of cookie-bulk-upload.proto (Authorized Buyers, "Bulk Uploader"), as far as it is used.
"""

import sys

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

Field = descriptor_pb2.FieldDescriptorProto
OPERATION = [
    ("user_id", 1, Field.TYPE_STRING),
    ("user_list_id", 4, Field.TYPE_INT64),
    ("time_added_to_user_list", 5, Field.TYPE_INT64),
    ("delete", 6, Field.TYPE_BOOL),
    ("data_source_id", 7, Field.TYPE_INT32),
    ("opt_out", 12, Field.TYPE_BOOL),
    ("user_id_type", 14, Field.TYPE_INT32),
]


def main():
    file = descriptor_pb2.FileDescriptorProto(name="bulk.proto", package="bulk", syntax="proto2")
    operation = file.message_type.add(name="UserDataOperation")
    for name, number, kind in OPERATION:
        operation.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    request = file.message_type.add(name="UpdateUsersDataRequest")
    request.field.add(name="ops", number=1, type=Field.TYPE_MESSAGE, type_name=".bulk.UserDataOperation",
                      label=Field.LABEL_REPEATED)
    for name, number in [("send_notifications", 2), ("process_consent", 3)]:
        request.field.add(name=name, number=number, type=Field.TYPE_BOOL, label=Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("bulk.UpdateUsersDataRequest"))()
    read = message.ParseFromString(sys.stdin.buffer.read())
    assert read > 0, "nothing was read"
    print(json_format.MessageToJson(message, preserving_proto_field_name=True, indent=None))


main()
