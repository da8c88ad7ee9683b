//! One message, one encoding: the entries of maps in the order of their keys.
//!
//! The protobuf types keep maps in hash tables, whose order differs from run to run and from table to table. So
//! two equal messages may encode to different bytes, and would pass for a change: with the filters of a virtual
//! host in another order, ten thousand scopes would be sent again after a restart of the node. Envoy is not
//! harmed by that, as its own comparison knows maps; it is only not the truth that "nothing changed".
//!
//! The bytes alone do not say what is a map, so the tables below do, for the messages that a data plane is made
//! of. A map elsewhere keeps the order in which it was encoded.

use bytes::{Buf, Bytes};
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, skip_field,
};

use crate::kind::Kind;

/// What a field of bytes holds.
#[derive(Clone, Copy)]
enum Holds {
    Message(&'static Shape),
    /// A map with string keys; its values are of this shape.
    Map(&'static Shape),
    /// An `Any`, whose type tells the shape.
    Any,
}

/// The fields of a message in which maps may be; all others are taken as they are.
struct Shape(&'static [(u32, Holds)]);

use Holds::{Any, Map, Message};

static PLAIN: Shape = Shape(&[]);
/// `Any` in the place of a message: see [`any`].
static ANY: Shape = Shape(&[(0, Any)]);
static STRUCT: Shape = Shape(&[(1, Map(&VALUE))]);
static VALUE: Shape = Shape(&[(5, Message(&STRUCT)), (6, Message(&LIST))]);
static LIST: Shape = Shape(&[(1, Message(&VALUE))]);
static METADATA: Shape = Shape(&[(1, Map(&STRUCT)), (2, Map(&ANY))]);

static SCOPE: Shape = Shape(&[(5, Message(&ROUTES))]);
static ROUTES: Shape = Shape(&[(2, Message(&HOST)), (16, Map(&ANY)), (17, Message(&METADATA))]);
static HOST: Shape = Shape(&[(3, Message(&ROUTE)), (15, Map(&ANY)), (24, Message(&METADATA))]);
static ROUTE: Shape = Shape(&[(2, Message(&ACTION)), (4, Message(&METADATA)), (13, Map(&ANY))]);
static ACTION: Shape = Shape(&[(3, Message(&WEIGHTED)), (4, Message(&METADATA))]);
static WEIGHTED: Shape = Shape(&[(1, Message(&WEIGHT))]);
static WEIGHT: Shape = Shape(&[(3, Message(&METADATA)), (10, Map(&ANY))]);

static CLUSTER: Shape = Shape(&[(25, Message(&METADATA)), (33, Message(&ENDPOINTS)), (36, Map(&ANY))]);
static ENDPOINTS: Shape = Shape(&[(2, Message(&LOCALITY)), (5, Map(&PLAIN))]);
static LOCALITY: Shape = Shape(&[(2, Message(&ENDPOINT)), (9, Message(&METADATA))]);
static ENDPOINT: Shape = Shape(&[(3, Message(&METADATA))]);

static LISTENER: Shape = Shape(&[(3, Message(&CHAIN)), (6, Message(&METADATA)), (25, Message(&CHAIN))]);
static CHAIN: Shape = Shape(&[(3, Message(&NETWORK)), (5, Message(&METADATA))]);
static NETWORK: Shape = Shape(&[(4, Any)]);
static MANAGER: Shape = Shape(&[(4, Message(&ROUTES)), (5, Message(&HTTP))]);
static HTTP: Shape = Shape(&[(4, Any)]);

static FILTER: Shape = Shape(&[(2, Any)]);
static RBAC: Shape = Shape(&[(1, Message(&RULES)), (2, Message(&RULES))]);
static RULES: Shape = Shape(&[(2, Map(&PLAIN))]);
static RBAC_PER_ROUTE: Shape = Shape(&[(2, Message(&RBAC))]);
static JWT: Shape = Shape(&[(1, Map(&PLAIN)), (3, Message(&BY_STATE)), (5, Map(&PLAIN))]);
static BY_STATE: Shape = Shape(&[(3, Map(&PLAIN))]);

static SECRET: Shape = Shape(&[(5, Message(&GENERIC))]);
static GENERIC: Shape = Shape(&[(2, Map(&PLAIN))]);

/// Messages in messages. What is deeper is taken as it is.
const DEPTH: usize = 32;

/// The bytes as they are kept: equal for equal messages. What cannot be read stays as it is.
pub fn bytes(kind: Kind, encoded: Vec<u8>) -> Bytes {
    let shape = match kind {
        Kind::Secret => &SECRET,
        Kind::Cluster => &CLUSTER,
        Kind::Endpoints => &ENDPOINTS,
        Kind::Filter => &FILTER,
        Kind::Listener => &LISTENER,
        Kind::Scope => &SCOPE,
    };
    match message(shape, &encoded, DEPTH) {
        Some(ordered) => Bytes::from(ordered),
        None => Bytes::from(encoded),
    }
}

/// The message with its maps in order; `None` if it cannot be read.
fn message(shape: &Shape, mut rest: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(rest.len());
    // The entries of the map that is being read. Those of one map stand together.
    let mut entries: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut of = 0;
    while !rest.is_empty() {
        let start = rest;
        let (field, wire) = decode_key(&mut rest).ok()?;
        let holds = shape.0.iter().find(|(number, _)| *number == field).map(|(_, holds)| *holds);
        let holds = holds.filter(|_| wire == WireType::LengthDelimited && depth > 0);
        if of != field {
            flush(&mut out, of, &mut entries);
            of = field;
        }
        let Some(holds) = holds else {
            skip_field(wire, field, &mut rest, DecodeContext::default()).ok()?;
            out.extend_from_slice(start.get(..start.len() - rest.len())?);
            continue;
        };
        let body = delimited(&mut rest)?;
        match holds {
            Map(value) => entries.push(entry(value, body, depth - 1)?),
            Message(inner) => put(&mut out, field, &message(inner, body, depth - 1)?),
            Any => put(&mut out, field, &any(body, depth - 1)?),
        }
    }
    flush(&mut out, of, &mut entries);
    Some(out)
}

/// Key and whole entry of one place in a map.
fn entry(value: &'static Shape, mut rest: &[u8], depth: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let (mut key, mut held) = (None, None);
    while !rest.is_empty() {
        match decode_key(&mut rest).ok()? {
            (1, WireType::LengthDelimited) => key = Some(delimited(&mut rest)?),
            (2, WireType::LengthDelimited) => {
                let body = delimited(&mut rest)?;
                let is_any = std::ptr::eq(value, &ANY);
                held = Some(if is_any { any(body, depth)? } else { message(value, body, depth)? });
            }
            _ => return None,
        }
    }
    // What has its default is not written.
    let mut whole = Vec::new();
    key.iter().for_each(|key| put(&mut whole, 1, key));
    held.iter().for_each(|held| put(&mut whole, 2, held));
    Some((key.unwrap_or_default().to_vec(), whole))
}

fn any(body: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (mut rest, mut url, mut value) = (body, &[][..], &[][..]);
    while !rest.is_empty() {
        match decode_key(&mut rest).ok()? {
            (1, WireType::LengthDelimited) => url = delimited(&mut rest)?,
            (2, WireType::LengthDelimited) => value = delimited(&mut rest)?,
            _ => return None,
        }
    }
    let shape = match url.strip_prefix(b"type.googleapis.com/").unwrap_or_default() {
        b"envoy.extensions.filters.http.rbac.v3.RBAC" => &RBAC,
        b"envoy.extensions.filters.http.rbac.v3.RBACPerRoute" => &RBAC_PER_ROUTE,
        b"envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication" => &JWT,
        b"envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager" => &MANAGER,
        b"google.protobuf.Struct" => &STRUCT,
        _ => return Some(body.to_vec()),
    };
    let value = message(shape, value, depth)?;
    let mut out = Vec::with_capacity(body.len());
    put(&mut out, 1, url);
    if !value.is_empty() {
        put(&mut out, 2, &value);
    }
    Some(out)
}

fn flush(out: &mut Vec<u8>, field: u32, entries: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (_, whole) in entries.drain(..) {
        put(out, field, &whole);
    }
}

fn put(out: &mut Vec<u8>, field: u32, body: &[u8]) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
    let body = rest.get(..length)?;
    rest.advance(length);
    Some(body)
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::cluster::v3::Cluster;
    use envoy_types::pb::envoy::config::core::v3::{Metadata, TypedExtensionConfig};
    use envoy_types::pb::envoy::config::rbac::v3::{Policy, Rbac as Rules};
    use envoy_types::pb::envoy::config::route::v3::{
        Route, RouteConfiguration, ScopedRouteConfiguration, VirtualHost,
    };
    use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::{Rbac, RbacPerRoute};
    use envoy_types::pb::google::protobuf::value::Kind as ValueKind;
    use envoy_types::pb::google::protobuf::{Any as AnyMessage, Struct, Value};
    use proptest::prelude::*;
    use prost::{Message as _, Name};

    use super::bytes;
    use crate::kind::Kind;
    use crate::resource::Resource;

    fn keys<T: Clone>(value: &T) -> std::collections::HashMap<String, T> {
        (0..12).map(|n| (format!("key {n}"), value.clone())).collect()
    }

    fn any_of<M: prost::Message + Name>(message: &M) -> AnyMessage {
        AnyMessage {
            type_url: format!("type.googleapis.com/{}", M::full_name()),
            value: message.encode_to_vec(),
        }
    }

    fn metadata() -> Option<Metadata> {
        let one = Value { kind: Some(ValueKind::NumberValue(1.5)) };
        let inner = Value { kind: Some(ValueKind::StructValue(Struct { fields: keys(&one) })) };
        let filter_metadata = keys(&Struct { fields: keys(&inner) });
        Some(Metadata { filter_metadata, ..Metadata::default() })
    }

    fn rbac() -> Rbac {
        Rbac {
            rules: Some(Rules { policies: keys(&Policy::default()), ..Rules::default() }),
            ..Rbac::default()
        }
    }

    /// A scope with maps in maps, made anew: in each its hash tables have another order.
    fn scope() -> ScopedRouteConfiguration {
        let per_filter = || keys(&any_of(&RbacPerRoute { rbac: Some(rbac()) }));
        let route = Route { typed_per_filter_config: per_filter(), metadata: metadata(), ..Route::default() };
        let host = VirtualHost {
            name: "all".into(),
            domains: vec!["b".into(), "a".into()],
            routes: vec![route],
            typed_per_filter_config: per_filter(),
            ..VirtualHost::default()
        };
        ScopedRouteConfiguration {
            name: "s".into(),
            route_configuration: Some(RouteConfiguration {
                virtual_hosts: vec![host],
                typed_per_filter_config: per_filter(),
                ..RouteConfiguration::default()
            }),
            ..ScopedRouteConfiguration::default()
        }
    }

    #[test]
    fn equal_messages_are_equal_bytes_and_say_the_same() {
        assert_ne!(scope().encode_to_vec(), scope().encode_to_vec(), "the maps are too small to show it");
        let (first, second) = (Resource::scope(&scope()), Resource::scope(&scope()));
        assert_eq!(first.body(), second.body());
        assert_eq!(first.version(), second.version());
        let back = ScopedRouteConfiguration::decode(first.body().clone()).unwrap();
        let host = |scope: &ScopedRouteConfiguration| {
            scope.route_configuration.as_ref().unwrap().virtual_hosts[0].clone()
        };
        assert_eq!(host(&back).domains, ["b", "a"], "lists keep their order");
        assert_eq!(host(&back).routes[0].metadata, metadata());
        assert_eq!(first.body().len(), scope().encode_to_vec().len());
    }

    #[test]
    fn filters_and_clusters_too() {
        let filter = || {
            let typed_config = Some(any_of(&rbac()));
            Resource::filter(&TypedExtensionConfig { name: "f".into(), typed_config })
        };
        assert_eq!(filter().body(), filter().body());
        let cluster = || {
            let options = keys(&any_of(&rbac()));
            let cluster = Cluster { typed_extension_protocol_options: options, ..Cluster::default() };
            Resource::cluster(&Cluster { metadata: metadata(), ..cluster })
        };
        assert_eq!(cluster().body(), cluster().body());
    }

    proptest! {
        #[test]
        fn what_cannot_be_read_stays_as_it_is(garbage in prop::collection::vec(0..=255u8, 0..200)) {
            for kind in Kind::ALL {
                let kept = bytes(kind, garbage.clone());
                prop_assert!(kept.len() <= garbage.len() + 64);
                // Once is enough.
                prop_assert_eq!(bytes(kind, kept.to_vec()), kept);
            }
        }
    }
}
