//! The access log: one JSON object a line. Its fields travel in a map, and a map of the generated types has another order
//! in each run: the listener would be edited by a restart, which cuts its flows. So the few messages are written here with
//! maps that have an order; they are `google.protobuf.Struct`, `SubstitutionFormatString` and `FileAccessLog` on the wire.

use std::collections::BTreeMap;

use prost::Message;

use crate::proto::Any;

const TYPE: &str = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";

#[derive(Clone, PartialEq, Message)]
struct FileAccessLog {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(message, optional, tag = "5")]
    log_format: Option<Format>,
}

#[derive(Clone, PartialEq, Message)]
struct Format {
    #[prost(message, optional, tag = "2")]
    json_format: Option<Struct>,
}

#[derive(Clone, PartialEq, Message)]
struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, optional, tag = "3")]
    text: Option<String>,
}

/// A file with these fields a line: name and format.
pub(crate) fn file(path: &str, fields: &[(&str, &str)]) -> Any {
    let field =
        |(name, format): &(&str, &str)| ((*name).to_owned(), Value { text: Some((*format).to_owned()) });
    let fields = Struct { fields: fields.iter().map(field).collect() };
    let log = FileAccessLog { path: path.to_owned(), log_format: Some(Format { json_format: Some(fields) }) };
    Any { type_url: TYPE.to_owned(), value: log.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::extensions::access_loggers::file::v3 as generated;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_generated_types() {
        use generated::file_access_log::AccessLogFormat;
        let any = file("/log", &[("status", "%RESPONSE_CODE%"), ("door", "mesh")]);
        let read = generated::FileAccessLog::decode(&any.value[..]).unwrap();
        assert_eq!(read.path, "/log");
        let Some(AccessLogFormat::LogFormat(format)) = read.access_log_format else { panic!("{read:?}") };
        let Some(crate::proto::core::substitution_format_string::Format::JsonFormat(json)) = format.format
        else {
            panic!("{format:?}")
        };
        assert_eq!(json.fields.len(), 2);
        assert_eq!(file("/log", &[("door", "mesh"), ("status", "%RESPONSE_CODE%")]), any);
    }
}
