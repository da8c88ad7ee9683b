//! Rules, leaks, loops: what passes and why not.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use catalyst_names::Protocol;
use catalyst_wire::{Path, Reader, Writer};
use proptest::prelude::*;

use crate::*;

fn list(bytes: &mut Vec<u8>, texts: &[&str]) {
    let mut buf = [0u8; 2048];
    let mut out = Writer::new(&mut buf);
    out.u64(texts.len() as u64).unwrap();
    texts.iter().for_each(|t| out.text(t).unwrap());
    *bytes = out.written().to_vec();
}

fn path(bytes: &[u8]) -> Path<'_> {
    Path::read(&mut Reader::new(bytes), 32, 200, |_| true).unwrap()
}

/// A route of another organisation: what came in, from whom, marked by whom.
struct Came {
    relation: Option<Relation>,
    neighbour: (&'static str, &'static str),
    service: &'static str,
    protocol: Protocol,
    path: Vec<u8>,
    tags: Vec<u8>,
    mark: Option<&'static str>,
}

fn came(role: Role, service: &'static str, organisations: &[&str]) -> Came {
    let mut bytes = Vec::new();
    list(&mut bytes, organisations);
    Came {
        relation: Some(Relation::External(role)),
        neighbour: ("globex.example", "gw.globex.example"),
        service,
        protocol: Protocol::Http,
        path: bytes,
        tags: vec![0],
        mark: None,
    }
}

impl Came {
    fn tagged(mut self, tags: &[&str]) -> Self {
        list(&mut self.tags, tags);
        self
    }

    fn marked(mut self, mark: &'static str) -> Self {
        self.mark = Some(mark);
        self
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            own_org: "acme.example",
            neighbour_org: self.neighbour.0,
            neighbour: self.neighbour.1,
            relation: self.relation,
            service: self.service,
            protocol: self.protocol,
            org_path: path(&self.path),
            tags: path(&self.tags),
            only_to_customer: self.mark,
        }
    }

    /// The local_pref, or why not, and the place of the rule.
    fn import(&self, rules: &[Rule]) -> (Result<u32, Denied>, Option<u16>) {
        let list = RuleList::new(Direction::Import, rules.to_vec()).unwrap();
        match import(&list, &self.facts(), Some(9_999)) {
            Ok(a) => (Ok(a.local_pref), a.rule.map(|(place, _)| place)),
            Err(r) => (Err(r.why), r.rule),
        }
    }

    fn export(&self, rules: &[Rule]) -> (Result<(), Denied>, Option<u16>) {
        let list = RuleList::new(Direction::Export, rules.to_vec()).unwrap();
        match export(&list, &self.facts(), false) {
            Ok(a) => (Ok(()), a.rule.map(|(place, _)| place)),
            Err(r) => (Err(r.why), r.rule),
        }
    }
}

fn rule(service: &str, neighbour: &str) -> Rule {
    Rule::new(Pattern::parse(service).unwrap(), Neighbour::parse(neighbour).unwrap())
}

const ORDERS: &str = "orders.globex.example";
const FROM: &[&str] = &["globex.example"];

#[test]
fn nothing_passes_without_a_rule() {
    let route = came(Role::Peer, ORDERS, FROM);
    assert_eq!(route.import(&[]), (Err(Denied::NotImported), None));
    assert_eq!(route.import(&[rule("stock", "globex.example")]), (Err(Denied::NotImported), None));
    assert_eq!(route.import(&[rule("orders", "initech.example")]), (Err(Denied::NotImported), None));
    assert_eq!(route.import(&[rule("orders", "globex.example")]), (Ok(200), Some(0)));
    let stranger = Came { relation: None, ..came(Role::Peer, ORDERS, FROM) };
    assert_eq!(stranger.import(&[rule("*", "*")]), (Err(Denied::NoAgreement), None));
    let own = came(Role::Peer, "inventory.acme.example", &[]);
    assert_eq!(own.export(&[]), (Err(Denied::NotExported), None));
    assert_eq!(own.export(&[rule("inventory", "globex.example")]), (Ok(()), Some(0)));
    assert_eq!(own.export(&[rule("inventory", "initech.example")]), (Err(Denied::NotExported), None));
    let stranger = Came { relation: None, ..own };
    assert_eq!(stranger.export(&[rule("*", "*")]), (Err(Denied::NoAgreement), None));
}

#[test]
fn the_first_rule_that_speaks_of_a_route_decides() {
    let no = |r: Rule| Rule { action: Action::Reject, ..r };
    let route = came(Role::Peer, ORDERS, FROM);
    let reject_first = [no(rule("ord*", "globex.example")), rule("*", "globex.example")];
    assert_eq!(route.import(&reject_first), (Err(Denied::Rejected), Some(0)));
    let accept_first = [rule("stock", "*"), rule("*", "globex.example"), no(rule("ord*", "*"))];
    assert_eq!(route.import(&accept_first), (Ok(200), Some(1)));
}

#[test]
fn every_condition_counts() {
    let base = || rule("*", "globex.example");
    let route = || came(Role::Customer, ORDERS, FROM).tagged(&["globex.example:gold", "globex.example:eu"]);
    let both = |rule: Rule, want: bool| {
        let got = route().import(core::slice::from_ref(&rule)).0;
        assert_eq!(got.is_ok(), want, "{rule:?}");
    };
    both(Rule { protocol: Some(Protocol::Http), ..base() }, true);
    // Exact: "http" does not stand for "http:grpc", nor the other way.
    both(Rule { protocol: Some(Protocol::HttpGrpc), ..base() }, false);
    both(Rule { tag: Some("globex.example:eu".parse().unwrap()), ..base() }, true);
    both(Rule { tag: Some("acme.example:eu".parse().unwrap()), ..base() }, false);
    both(Rule { origin: Some("globex.example".parse().unwrap()), ..base() }, true);
    both(Rule { origin: Some("initech.example".parse().unwrap()), ..base() }, false);
    both(Rule { path: Some(PathPattern::parse(&["*"]).unwrap()), ..base() }, true);
    both(Rule { path: Some(PathPattern::parse(&["*", "*"]).unwrap()), ..base() }, false);
    both(Rule { neighbour: "gw.globex.example".parse().unwrap(), ..base() }, true);
    both(Rule { neighbour: "gw2.globex.example".parse().unwrap(), ..base() }, false);
    both(Rule { neighbour: Neighbour::any(), ..base() }, true);
    both(Rule { set: Set { local_pref: Some(17), ..Set::default() }, ..base() }, true);
    let pref = Rule { set: Set { local_pref: Some(17), ..Set::default() }, ..base() };
    assert_eq!(route().import(&[pref]).0, Ok(17));
}

#[test]
fn a_third_organisation_passes_by_a_full_name_only() {
    let third = came(Role::Customer, "stock.initech.example", &["globex.example", "initech.example"]);
    for (service, want) in [
        ("stock", Err(Denied::NotImported)),
        ("*", Err(Denied::NotImported)),
        ("*.globex.example", Err(Denied::NotImported)),
        ("*.*", Ok(300)),
        ("stock.initech.example", Ok(300)),
        ("st*k.*", Ok(300)),
        ("*.initech.example", Ok(300)),
    ] {
        assert_eq!(third.import(&[rule(service, "*")]).0, want, "{service}");
    }
    let onward = came(Role::Customer, "stock.initech.example", &["initech.example"]);
    assert_eq!(onward.export(&[rule("*", "globex.example")]).0, Err(Denied::NotExported));
    assert_eq!(onward.export(&[rule("*.initech.example", "globex.example")]).0, Ok(()));
    let own = came(Role::Customer, "stock.acme.example", &[]);
    assert_eq!(own.export(&[rule("*.acme.example", "globex.example")]).0, Ok(()));
}

#[test]
fn paths_that_do_not_lead_to_the_owner_are_forged() {
    let all = [rule("*.*", "*")];
    let cases: [(&[&str], &'static str); 4] = [
        (&[], "orders.globex.example"),
        (&["initech.example"], "orders.initech.example"),
        (&["globex.example"], "orders.initech.example"),
        (&["globex.example", "initech.example"], ORDERS),
    ];
    for (organisations, service) in cases {
        let route = came(Role::Customer, service, organisations);
        assert_eq!(route.import(&all).0, Err(Denied::ForgedPath), "{organisations:?} {service}");
    }
    let back = came(
        Role::Customer,
        "orders.initech.example",
        &["globex.example", "acme.example", "initech.example"],
    );
    assert_eq!(back.import(&all).0, Err(Denied::Looped));
}

#[test]
fn leaks_are_refused_though_a_rule_accepts() {
    let all = [rule("*.*", "*")];
    let path: &[&str] = &["globex.example", "initech.example"];
    let came = |role| came(role, "stock.initech.example", path);
    // RFC 9234 section 5, ingress 1 and 2: a marked route of a customer, or of a peer that did not set the mark.
    assert_eq!(came(Role::Customer).marked("initech.example").import(&all).0, Err(Denied::Leak));
    assert_eq!(came(Role::Peer).marked("initech.example").import(&all).0, Err(Denied::Leak));
    assert_eq!(came(Role::Peer).marked("globex.example").import(&all).0, Ok(200));
    assert_eq!(came(Role::Provider).marked("initech.example").import(&all).0, Ok(100));
    // Ingress 3: what a provider or peer did not mark is marked here.
    for (role, want) in [
        (Role::Customer, None),
        (Role::Peer, Some("globex.example")),
        (Role::Provider, Some("globex.example")),
    ] {
        let relation = Some(Relation::External(role));
        assert_eq!(mark_on_import(relation, "globex.example", None), want, "{role}");
        assert_eq!(mark_on_import(relation, "globex.example", Some("x.example")), Some("x.example"));
    }
    // Egress: a marked route goes to customers alone.
    let onward = |role| Came { path: self::came(role, "", &["initech.example"]).path, ..came(role) };
    assert_eq!(onward(Role::Provider).marked("initech.example").export(&all).0, Err(Denied::Leak));
    assert_eq!(onward(Role::Peer).marked("initech.example").export(&all).0, Err(Denied::Leak));
    assert_eq!(onward(Role::Customer).marked("initech.example").export(&all).0, Ok(()));
    assert_eq!(onward(Role::Provider).export(&all).0, Ok(()));
    for (role, want) in
        [(Role::Customer, Some("acme.example")), (Role::Peer, Some("acme.example")), (Role::Provider, None)]
    {
        assert_eq!(mark_on_export(Some(Relation::External(role)), "acme.example", None), want, "{role}");
    }
}

#[test]
fn what_would_come_back_is_not_sent() {
    let route = came(Role::Customer, "stock.initech.example", &["globex.example", "initech.example"]);
    assert_eq!(route.export(&[rule("*.*", "*")]).0, Err(Denied::ComesBack));
}

#[test]
fn no_export_stays_and_inside_everything_is_shared() {
    let list = RuleList::new(Direction::Export, vec![rule("*", "*")]).unwrap();
    let route = came(Role::Customer, "inventory.acme.example", &[]);
    assert_eq!(export(&list, &route.facts(), true).map_err(|r| r.why), Err(Denied::NoExport));
    let inside = Came { relation: Some(Relation::Internal), mark: Some("x.example"), ..route };
    assert!(export(&RuleList::empty(Direction::Export), &inside.facts(), true).is_ok());
    let inside = Came { path: vec![0], ..inside };
    let none = RuleList::empty(Direction::Import);
    let pref =
        |came: &Came, carried| import(&none, &came.facts(), carried).map(|a| a.local_pref).map_err(|r| r.why);
    assert_eq!((pref(&inside, None), pref(&inside, Some(150))), (Ok(400), Ok(150)));
    assert_eq!(pref(&inside, Some(u32::MAX)), Ok(400), "beside what a node has itself");
    let beyond = came(Role::Customer, "stock.initech.example", &["initech.example"]);
    let beyond = Came { relation: Some(Relation::Internal), ..beyond };
    assert_eq!((pref(&beyond, None), pref(&beyond, Some(u32::MAX))), (Ok(399), Ok(399)));
    assert_eq!(pref(&beyond, Some(150)), Ok(150));
}

#[test]
fn patterns_are_read_strictly() {
    for good in
        ["*", "orders", "inv*", "*y", "a*b*c", "*.*", "orders.initech.example", "*.initech.example", "i*.*"]
    {
        assert_eq!(Pattern::parse(good).unwrap().to_string(), good);
    }
    for bad in
        ["", ".", "orders.", ".acme.example", "Orders", "or ders", "**.*x", "orders.*.example", "a.b*", "-a"]
    {
        assert_eq!(Pattern::parse(bad), Err(RuleError::Service), "{bad}");
    }
    for bad in ["", "globex..example", "Globex", "**", "gw globex"] {
        assert!(Neighbour::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(PathPattern::parse(&["acme.example", "x y"]), Err(RuleError::Path));
    assert_eq!(PathPattern::parse(&vec!["*"; 17]), Err(RuleError::PathLong));
}

#[test]
fn paths_match_by_organisation() {
    let fits = |pattern: &[&str], organisations: &[&str]| {
        let mut bytes = Vec::new();
        list(&mut bytes, organisations);
        PathPattern::parse(pattern).unwrap().matches(&path(&bytes))
    };
    assert!(fits(&["a", "*"], &["a", "b"]));
    assert!(!fits(&["a", "*"], &["a"]));
    assert!(fits(&["a", "**"], &["a"]));
    assert!(fits(&["**", "c"], &["a", "b", "c"]));
    assert!(fits(&["**", "b", "**"], &["a", "b", "c"]));
    assert!(!fits(&["**", "d", "**"], &["a", "b", "c"]));
    assert!(fits(&[], &[]) && fits(&["**"], &[]) && !fits(&["*"], &[]));
}

#[test]
fn lists_that_hold_together_badly_are_refused() {
    let named = |name: &str| Rule { name: name.to_string(), ..rule("*", "globex.example") };
    let new = |direction, rules: Vec<Rule>| RuleList::new(direction, rules).map(drop);
    let set = |set: Set| Rule { set, ..rule("*", "globex.example") };
    assert_eq!(
        new(Direction::Import, vec![named("a"), named("b"), named("a")]),
        Err((2, RuleError::Twice(0)))
    );
    // What looks like a place is none: the rule that has it may go, and the next is called so then.
    for name in ["imports/1", "imports/0", "exports/7", "exports/", "imports/x"] {
        assert_eq!(new(Direction::Import, vec![named(""), named(name)]), Err((1, RuleError::Name)), "{name}");
    }
    assert_eq!(new(Direction::Import, vec![named("imports"), named("my/imports/1"), named("")]), Ok(()));
    assert_eq!(new(Direction::Import, vec![named("two words")]), Err((0, RuleError::Name)));
    let own = set(Set { local_pref: Some(400), ..Set::default() });
    assert_eq!(new(Direction::Import, vec![own.clone()]), Err((0, RuleError::LocalPref)));
    assert_eq!(new(Direction::Export, vec![own]), Err((0, RuleError::LocalPrefExport)));
    let reject = Rule { action: Action::Reject, ..set(Set { cost: Some(1), ..Set::default() }) };
    assert_eq!(new(Direction::Import, vec![reject]), Err((0, RuleError::RejectSets)));
    let many = vec![rule("*", "*"); Limits::RULES + 1];
    assert_eq!(new(Direction::Import, many), Err((Limits::RULES, RuleError::Rules)));
}

#[test]
fn rules_that_never_decide_are_found() {
    let tagged = Rule { tag: Some("a.b:c".parse().unwrap()), ..rule("*", "globex.example") };
    let rules = vec![
        tagged,
        rule("*", "globex.example"),
        rule("orders", "globex.example"),
        rule("*.*", "globex.example"),
    ];
    let list = RuleList::new(Direction::Import, rules).unwrap();
    assert_eq!(list.unreachable().collect::<Vec<_>>(), [(2, 1)]);
    assert_eq!(list.name(2), "imports/2");
}

#[test]
fn rules_are_json_as_the_configuration_has_them() {
    let text = r#"{"name":"partner","service":"*.initech.example","to":"globex.example","protocol":"http",
        "tag":"acme.example:gold","origin":"initech.example","path":["initech.example","**"],
        "set":{"cost":10,"add_tags":["acme.example:x"],"del_tags":["*"]},"action":"reject"}"#;
    let rule: Rule = serde_json::from_str(text).unwrap();
    assert_eq!((rule.set.cost, rule.action), (Some(10), Action::Reject));
    assert_eq!(rule.set.del_tags, DelTags::All);
    let again: Rule = serde_json::from_str(&serde_json::to_string(&rule).unwrap()).unwrap();
    assert_eq!(again, rule);
    let short = self::rule("*", "globex.example");
    assert_eq!(serde_json::to_string(&short).unwrap(), r#"{"service":"*","neighbour":"globex.example"}"#);
    for bad in [r#"{"service":"*"}"#, r#"{"service":"A","to":"x"}"#, r#"{"service":"*","to":"x","cost":1}"#] {
        assert!(serde_json::from_str::<Rule>(bad).is_err(), "{bad}");
    }
}

proptest! {
    /// The index by neighbour finds what a walk over the whole list finds.
    #[test]
    fn the_index_hides_no_rule(
        wanted in prop::collection::vec((0usize..4, 0usize..4), 0..12),
        node in 0usize..3,
    ) {
        let neighbours = ["*", "globex.example", "gw.globex.example", "example"];
        let services = ["*", "orders", "st*", "*.*"];
        let rules: Vec<Rule> = wanted.iter().map(|(s, n)| rule(services[*s], neighbours[*n])).collect();
        let (org, name) = [
            ("globex.example", "gw.globex.example"),
            ("globex.example", "other.globex.example"),
            ("example", "globex.example"),
        ][node];
        let list = RuleList::new(Direction::Import, rules.clone()).unwrap();
        let found: Vec<u16> = list.of(org, name).filter(|(_, r)| r.neighbour.matches(org, name)).map(|f| f.0).collect();
        let walked: Vec<u16> = (0u16..).zip(&rules).filter(|(_, r)| r.neighbour.matches(org, name)).map(|f| f.0).collect();
        prop_assert_eq!(found, walked);
    }

    /// Stars against a slow and simple matcher.
    #[test]
    fn stars_match_as_a_simple_matcher_says(pattern in "[ab*]{1,7}", label in "[ab]{1,8}") {
        fn simple(p: &[u8], t: &[u8]) -> bool {
            match p.split_first() {
                None => t.is_empty(),
                Some((b'*', rest)) => (0..=t.len()).any(|n| simple(rest, &t[n..])),
                Some((c, rest)) => t.first() == Some(c) && simple(rest, &t[1..]),
            }
        }
        let got = Pattern::parse(&pattern).unwrap().matches(&format!("{label}.x"), "x");
        prop_assert_eq!(got, simple(pattern.as_bytes(), label.as_bytes()));
    }

    #[test]
    fn no_text_panics_a_parser(text in ".{0,80}") {
        let _ = (Pattern::parse(&text), Neighbour::parse(&text), Tag::parse(&text));
        let _: Result<Rule, _> = serde_json::from_str::<Rule>(&text);
        let _ = String::new();
    }
}
