//! What holds for every text: the parsers agree with the grammar as restated here, and with each other.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use catalyst_names::{
    Limits, NameError, NodeId, NodeName, OrgId, OriginId, Protocol, ServiceLabel, ServiceName, SpiffeId,
    check,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

/// RFC 1035 section 2.3.1 with RFC 1123's leading digits, in lower case.
fn is_label(text: &str) -> bool {
    let inner = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    (1..=63).contains(&text.chars().count())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_org(text: &str) -> bool {
    text.len() <= 100 && text.split('.').all(is_label)
}

fn is_full(text: &str) -> bool {
    text.split_once('.').is_some_and(|(label, org)| is_label(label) && is_org(org))
}

fn is_spiffe(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    matches!(parts.as_slice(), ["spiffe:", "", org, "node" | "svc", name] if is_org(org) && is_label(name))
}

/// The parser takes the text exactly when the grammar does; what it took prints as it was; an error points into the text.
fn agrees<T>(text: &str, grammar: bool)
where
    T: FromStr<Err = NameError> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(name) => {
            assert!(grammar, "{text:?} was taken");
            assert_eq!(name.to_string(), text);
            assert_eq!(name.to_string().parse::<T>().unwrap(), name);
        }
        Err(why) => {
            assert!(!grammar, "{text:?} was refused: {why}");
            assert!(why.at <= text.len(), "{why:?} for {text:?}");
            assert!(!why.to_string().is_empty());
        }
    }
}

fn all_agree(text: &str) {
    agrees::<NodeId>(text, is_label(text));
    agrees::<OriginId>(text, is_label(text));
    agrees::<ServiceLabel>(text, is_label(text));
    agrees::<OrgId>(text, is_org(text));
    agrees::<ServiceName>(text, is_full(text));
    agrees::<NodeName>(text, is_full(text));
    agrees::<SpiffeId>(text, is_spiffe(text));
    assert_eq!(check::label(text, "x").is_ok(), is_label(text));
    assert_eq!(check::org(text, "x").is_ok(), is_org(text));
    assert_eq!(check::service(text, "x").ok(), is_full(text).then(|| text.find('.').unwrap()));
    if let Ok(protocol) = text.parse::<Protocol>() {
        assert_eq!(protocol.as_str().parse::<Protocol>().unwrap(), protocol);
    }
}

fn through_serde<T>(name: &T)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug + Display,
{
    let json = serde_json::to_string(name).unwrap();
    assert_eq!(json, format!("\"{name}\""));
    assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), name);
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9]([a-z0-9-]{0,12}[a-z0-9])?",
        1 => "[a-z0-9][a-z0-9-]{61}[a-z0-9]",
    ]
}

fn org() -> impl Strategy<Value = String> {
    prop::collection::vec(label(), 1..5)
        .prop_map(|l| l.join("."))
        .prop_filter("too long", |o| o.len() <= Limits::ORG)
}

/// Texts near the border of the grammar, where parsers go wrong.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.-]{0,12}",
        "[a-zA-Z0-9._/: é-]{0,16}",
        "[a-z]{61,65}(\\.[a-z]{34,38})?",
        "([a-z0-9]{1,20}\\.){3,6}[a-z0-9]{0,20}",
        "spiffe://[a-z.-]{0,9}/(node|svc|x)?/[a-z.-]{0,9}",
        "(spiffe:)?/{0,3}[a-z.]{0,9}/node/[a-z/]{0,9}",
        "[a-z]{60,62}é",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_text(text in any::<String>()) {
        all_agree(&text);
    }

    #[test]
    fn text_near_the_grammar(text in nearly()) {
        all_agree(&text);
    }

    #[test]
    fn good_labels(text in label()) {
        all_agree(&text);
        prop_assert!(is_label(&text));
        through_serde(&NodeId::parse(&text).unwrap());
        through_serde(&OriginId::parse(&text).unwrap());
        through_serde(&ServiceLabel::parse(&text).unwrap());
        let node = NodeId::parse(&text).unwrap();
        let origin = OriginId::from(&node);
        prop_assert_eq!(origin.as_str(), node.as_str());
    }

    #[test]
    fn good_names_join_and_split(label in label(), org in org()) {
        all_agree(&org);
        let text = format!("{label}.{org}");
        all_agree(&text);
        let (o, l, n) = (OrgId::parse(&org).unwrap(), ServiceLabel::parse(&label).unwrap(), NodeId::parse(&label).unwrap());
        let service = ServiceName::new(&l, &o);
        prop_assert_eq!(&service, &ServiceName::parse(&text).unwrap());
        prop_assert_eq!((service.label(), service.org()), (label.as_str(), org.as_str()));
        let node = NodeName::new(&n, &o);
        prop_assert_eq!(&node, &NodeName::parse(&text).unwrap());
        prop_assert_eq!((node.node_id(), node.org_id()), (n.clone(), o.clone()));
        prop_assert_eq!((node.node(), node.org()), (label.as_str(), org.as_str()));
        through_serde(&o);
        through_serde(&service);
        through_serde(&node);

        let id = SpiffeId::node(&o, &n);
        prop_assert_eq!(id.to_string(), format!("spiffe://{org}/node/{label}"));
        prop_assert_eq!(&id.to_string().parse::<SpiffeId>().unwrap(), &id);
        prop_assert_eq!(id.node_name(), Some(node));
        prop_assert!(id.to_string().len() <= Limits::SPIFFE);
        all_agree(&format!("spiffe://{org}/svc/{label}"));
    }

    #[test]
    fn one_bad_character_is_pointed_at(
        text in "[a-z0-9]{1,12}(\\.[a-z0-9]{1,12}){1,4}",
        at in any::<prop::sample::Index>(),
        bad in "[A-Z_/:@ %é☃\u{0}]",
    ) {
        // Not in the place of a dot, which holds two labels apart.
        let places: Vec<usize> = text.match_indices(|c| c != '.').map(|(i, _)| i).collect();
        let at = *at.get(&places);
        let broken = format!("{}{bad}{}", &text[..at], &text[at + 1..]);
        let why = broken.parse::<ServiceName>().unwrap_err();
        prop_assert_eq!((why.at, why.reason), (at, catalyst_names::Reason::Character));
    }

    #[test]
    fn names_order_as_their_text(a in org(), b in org()) {
        let (x, y) = (OrgId::parse(&a).unwrap(), OrgId::parse(&b).unwrap());
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        prop_assert_eq!(x == y, a == b);
    }

    #[test]
    fn opaque_origins_are_labels(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let origin = OriginId::from_hex_label(&bytes);
        prop_assert!(is_label(origin.as_str()), "{:?}", origin);
    }

    #[test]
    fn opaque_origins_keep_what_is_a_label(text in "o[0-9a-f]{20}") {
        let origin = OriginId::from_hex_label(text.as_bytes());
        prop_assert_eq!(origin.as_str(), text.as_str());
    }
}
