//! The keys of a rule in `exports` and `imports`. The edge takes the plain ones: services, neighbour, name and action;
//! what finer rules need would be words in a small program that hardly any board has a use for.

use crate::form::Form;
use crate::key::{Key, Kind, Need};

use Need::{Default, Optional, Required};

/// The words of `action`.
const ACTIONS: &[&str] = &["accept", "reject"];

const NAME: Key = Key::new(
    "name",
    Kind::Text(Form::RuleName),
    Optional,
    "What the rule is called where decisions are explained and counted; unique in its list. Without it: its place, such as \"exports/3\", which no name may look like.",
    "write \"name\": \"partner-orders\"",
);

const SERVICE: Key = Key::new(
    "service",
    Kind::Text(Form::ServicePattern),
    Required,
    "Which services. Without a dot: labels of this organisation's own services, on import of the neighbour's own; \"*\" in it stands for any characters. With a dot: full names, so that services of third organisations pass too: \"orders.initech.example\", \"*.initech.example\", \"*.*\".",
    "write \"service\": \"inventory\", or \"*\" for all",
);

const TO: Key = Key::new(
    "to",
    Kind::Text(Form::Neighbour),
    Required,
    "Who may learn it: an organisation, one node of it, or \"*\" for all other organisations.",
    "write \"to\": \"globex.example\"",
);

const FROM: Key = Key::new(
    "from",
    Kind::Text(Form::Neighbour),
    Required,
    "From whom it is accepted: an organisation, one node of it, or \"*\" for all other organisations.",
    "write \"from\": \"globex.example\"",
);

const ACTION: Key = Key::new(
    "action",
    Kind::Choice(ACTIONS),
    Default("\"accept\""),
    "What becomes of a route of which the rule speaks. The first rule that speaks of it decides.",
    "leave it out to accept",
);

#[cfg(not(feature = "cloud"))]
pub(crate) static EXPORT: &[Key] = &[SERVICE, TO, NAME, ACTION];
#[cfg(not(feature = "cloud"))]
pub(crate) static IMPORT: &[Key] = &[SERVICE, FROM, NAME, ACTION];

#[cfg(feature = "cloud")]
pub(crate) use whole::{EXPORT, IMPORT};

#[cfg(feature = "cloud")]
mod whole {
    use catalyst_policy::Limits as RuleLimits;

    use super::{ACTION, Default, FROM, Form, Key, Kind, NAME, Optional, SERVICE, TO};

    const PROTOCOL: Key = Key::new(
        "protocol",
        Kind::Text(Form::Protocol),
        Optional,
        "Only routes of exactly this protocol: \"http\" does not stand for \"http:grpc\".",
        "write \"protocol\": \"http\", or leave it out for all",
    );

    const TAG: Key = Key::new(
        "tag",
        Kind::Text(Form::Tag),
        Optional,
        "Only routes that carry this tag.",
        "write \"tag\": \"acme.example:gold\", or leave it out",
    );

    const ORIGIN: Key = Key::new(
        "origin",
        Kind::Text(Form::Org),
        Optional,
        "Only routes of services that live in this organisation.",
        "write \"origin\": \"initech.example\", or leave it out",
    );

    const PATH: Key = Key::new(
        "path",
        Kind::List(&Kind::Text(Form::PathElement), RuleLimits::PATH_PATTERN),
        Optional,
        "Only routes that came through these organisations, nearest first; \"*\" is one organisation, \"**\" any number.",
        "write a list such as [\"globex.example\", \"**\"], or leave it out",
    );

    const COST: Key = Key::new(
        "cost",
        Kind::Integer(0, u32::MAX as u64),
        Optional,
        "The cost of the route, instead of the one that came with it.",
        "leave it out to keep the cost",
    );

    const ADD_TAGS: Key = Key::new(
        "add_tags",
        Kind::List(&Kind::Text(Form::Tag), RuleLimits::RULE_TAGS),
        Default("[]"),
        "Tags that the route gets.",
        "write a list such as [\"acme.example:gold\"]",
    );

    const DEL_TAGS: Key = Key::new(
        "del_tags",
        Kind::List(&Kind::Text(Form::TagOrAll), RuleLimits::RULE_TAGS),
        Default("[]"),
        "Tags that the route loses, before it gets others; \"*\" alone for all.",
        "write a list such as [\"*\"]",
    );

    const LOCAL_PREF: Key = Key::new(
        "local_pref",
        Kind::Integer(0, catalyst_policy::LocalPref::OWN as u64 - 1),
        Optional,
        "The rank of the route inside this organisation, higher is better, instead of the one that follows from the neighbour's role: 300 for a customer's, 200 for a peer's, 100 for a provider's. Below 400, the rank of own services.",
        "leave it out to rank by role",
    );

    static SET_EXPORT: &[Key] = &[COST, ADD_TAGS, DEL_TAGS];
    static SET_IMPORT: &[Key] = &[LOCAL_PREF, COST, ADD_TAGS, DEL_TAGS];

    const fn set(keys: &'static [Key]) -> Key {
        Key::new(
            "set",
            Kind::Object(keys),
            Optional,
            "What changes of an accepted route.",
            "write an object such as { \"cost\": 10 }",
        )
    }

    pub(crate) static EXPORT: &[Key] =
        &[SERVICE, TO, NAME, PROTOCOL, TAG, ORIGIN, PATH, set(SET_EXPORT), ACTION];
    pub(crate) static IMPORT: &[Key] =
        &[SERVICE, FROM, NAME, PROTOCOL, TAG, ORIGIN, PATH, set(SET_IMPORT), ACTION];

    /// Every key of a file of rules, as `policy plan` and `policy apply` read it.
    pub(crate) static POLICY: &[Key] = &[
        Key::new(
            "exports",
            Kind::List(&Kind::Object(EXPORT), RuleLimits::RULES),
            Default("[]"),
            "Which services other organisations may learn.",
            "write a list of objects",
        ),
        Key::new(
            "imports",
            Kind::List(&Kind::Object(IMPORT), RuleLimits::RULES),
            Default("[]"),
            "Which services of other organisations are accepted.",
            "write a list of objects",
        ),
    ];
}

#[cfg(feature = "cloud")]
pub(crate) use whole::POLICY;
