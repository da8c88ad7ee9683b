//! The forms that text may have.

use catalyst_names::{NameError, NodeId, OrgId, Protocol, Reason, ServiceLabel, ServiceName, check};

use catalyst_policy::{Neighbour, PathPattern, Pattern};

use crate::address::{self, HostPort};
use crate::limits::Limits;

/// What a text must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// An organisation.
    Org,
    /// A node of an organisation.
    Node,
    /// The first label of a service's name.
    Service,
    /// Which services a rule speaks of.
    ServicePattern,
    /// With whom a rule deals: an organisation, a node, or `*`.
    Neighbour,
    /// The name of a rule.
    RuleName,
    /// An element of a pattern for paths.
    PathElement,
    /// `org:tag`, or `*`.
    TagOrAll,
    /// A service's full name.
    ServiceName,
    /// As above, with `*` for any characters of the first label, or for any organisation.
    FullPattern,
    /// A protocol or one of its aliases.
    Protocol,
    /// `host:port`.
    Address,
    /// `ip:port`, to listen on.
    Listen,
    /// Ports from one to another, or `none`.
    Ports,
    /// A path of a file or folder.
    Path,
    /// A program or one of its arguments.
    Argument,
    /// `NAME=VALUE`.
    Variable,
    /// The path of a URL, with its query.
    UrlPath,
    /// `org:tag`.
    Tag,
    /// `sha256:` and 64 hexadecimal digits.
    Fingerprint,
    /// One line for people.
    Contact,
}

impl Form {
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Form::Org => "an organisation such as \"acme.example\"",
            Form::Node => "a node's name such as \"edge-1\"",
            Form::Service => "a service's label such as \"inventory\"",
            Form::ServicePattern => {
                "services such as \"inventory\", \"inv*\", \"*\" or \"orders.initech.example\""
            }
            Form::Neighbour => "an organisation such as \"globex.example\", one of its nodes, or \"*\"",
            Form::RuleName => "a name such as \"partner-orders\"",
            Form::PathElement => "an organisation, \"*\" or \"**\"",
            Form::TagOrAll => "a tag such as \"acme.example:gold\", or \"*\"",
            Form::ServiceName => "a service's full name such as \"orders.globex.example\"",
            Form::FullPattern => "a full name or a pattern such as \"*.globex.example\"",
            Form::Protocol => "one of tcp, udp, http, http:graphql, http:grpc",
            Form::Address => "host:port such as \"gateway.acme.example:7443\"",
            Form::Listen => "an IP address and port such as \"127.0.0.1:9001\"",
            Form::Ports => "ports such as \"9000-9099\", or \"none\"",
            Form::Path => "the path of a file",
            Form::Argument => "text, a word of a command",
            Form::Variable => "a variable such as \"PORT=8000\"",
            Form::UrlPath => "a path such as \"/healthz\"",
            Form::Tag => "a tag such as \"acme.example:gold\"",
            Form::Fingerprint => "a fingerprint: \"sha256:\" and 64 digits of 0-9 and a-f",
            Form::Contact => "one line of printable ASCII such as \"ops@acme.example\"",
        }
    }

    /// The regular expression of the JSON Schema. Looser than [`Form::check`] where lengths are concerned.
    pub(crate) fn pattern(self) -> Option<&'static str> {
        Some(match self {
            Form::Org => "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
            Form::Node | Form::Service => "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            Form::ServicePattern => "^[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?(\\.(\\*|[a-z0-9.-]+))?$",
            Form::Neighbour => "^(\\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$",
            Form::RuleName => "^[A-Za-z0-9_./:-]{1,64}$",
            Form::PathElement => "^(\\*|\\*\\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)$",
            Form::TagOrAll => "^(\\*|[a-z0-9.-]+:[a-z0-9]([a-z0-9-]*[a-z0-9])?)$",
            Form::ServiceName => "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$",
            Form::FullPattern => {
                "^[a-z0-9*]([a-z0-9*-]*[a-z0-9*])?\\.(\\*|[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*)$"
            }
            Form::Address => "^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9._-]+):[0-9]{1,5}$",
            Form::Listen => "^(\\[[0-9a-fA-F:.]+\\]|[0-9.]+):[0-9]{1,5}$",
            Form::Ports => "^(none|[0-9]{1,5}(-[0-9]{1,5})?)$",
            Form::Tag => "^[a-z0-9.-]+:[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
            Form::Fingerprint => "^sha256:[0-9a-f]{64}$",
            Form::Contact => "^[ !#-\\[\\]-~]*$",
            Form::Variable => "^[A-Za-z_][A-Za-z0-9_]*=",
            Form::UrlPath => "^/[!-~]*$",
            Form::Protocol | Form::Path | Form::Argument => return None,
        })
    }

    /// Whether the text has the form; if not, one line that helps.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        match self {
            Form::Org => OrgId::parse(text).map(drop).map_err(|e| name(&e)),
            Form::Node => NodeId::parse(text).map(drop).map_err(|e| alone(text, "node", &e)),
            Form::Service => ServiceLabel::parse(text).map(drop).map_err(|e| alone(text, "service", &e)),
            Form::ServicePattern => Pattern::parse(text).map(drop).map_err(|e| e.to_string()),
            Form::Neighbour => Neighbour::parse(text).map(drop).map_err(|e| e.to_string()),
            Form::RuleName => catalyst_policy::check_name(text).map_err(|e| e.to_string()),
            Form::PathElement => PathPattern::parse(&[text]).map(drop).map_err(|e| e.to_string()),
            Form::TagOrAll if text == "*" => Ok(()),
            Form::TagOrAll => tag(text),
            Form::ServiceName => ServiceName::parse(text).map(drop).map_err(|e| name(&e)),
            Form::FullPattern => match Pattern::parse(text) {
                Ok(pattern) if pattern.is_full() => Ok(()),
                Ok(_) => Err("give the organisation too: \"inventory.acme.example\"".to_string()),
                Err(error) => Err(error.to_string()),
            },
            Form::Protocol => text.parse::<Protocol>().map(drop).map_err(|_| protocol(text)),
            Form::Address => HostPort::parse(text).map(drop),
            Form::Listen => address::listen(text).map(drop),
            Form::Ports => address::ports(text).map(drop),
            Form::Path => path(text),
            Form::Argument => argument(text),
            Form::Variable => variable(text),
            Form::UrlPath => url_path(text),
            Form::Tag => tag(text),
            Form::Fingerprint => {
                catalyst_policy::Fingerprint::parse(text).map(drop).map_err(|e| e.to_string())
            }
            Form::Contact => contact(text),
        }
    }
}

fn name(error: &NameError) -> String {
    error.to_string()
}

/// A name of one label, where people often write the full one.
fn alone(text: &str, what: &str, error: &NameError) -> String {
    match text.split_once('.') {
        Some((label, _)) if error.reason == Reason::Character && check::label(label, "label").is_ok() => {
            format!("give the {what}'s label alone: \"{label}\"")
        }
        _ => error.to_string(),
    }
}

fn protocol(text: &str) -> String {
    let words = Protocol::ALL.map(Protocol::as_str);
    match crate::suggest::nearest(&text.to_ascii_lowercase(), words.iter().copied()) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None if text == "https" => "give \"http\": the way between nodes is encrypted in any case".into(),
        None => "give what the service speaks; \"tcp\" carries anything".into(),
    }
}

fn path(text: &str) -> Result<(), String> {
    match text {
        "" => Err("the path is empty".into()),
        _ if text.len() > Limits::PATH => Err(format!("the path is longer than {} bytes", Limits::PATH)),
        _ if text.contains('\0') => Err("a path cannot hold a NUL character".into()),
        _ if text.starts_with("~/") => Err("'~' is not expanded: give the whole path".into()),
        _ => Ok(()),
    }
}

fn argument(text: &str) -> Result<(), String> {
    match text.contains('\0') {
        true => Err("an argument cannot hold a NUL character".into()),
        false => Ok(()),
    }
}

fn variable(text: &str) -> Result<(), String> {
    let Some((name, _)) = text.split_once('=') else {
        return Err("write NAME=VALUE, in one text".into());
    };
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || !name.bytes().all(good) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a variable's name has letters, digits and underscores, and begins with no digit".into());
    }
    argument(text).map_err(|_| "a variable cannot hold a NUL character".into())
}

fn url_path(text: &str) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err("a path begins with a slash; host and port are those of the target".into());
    }
    match text.bytes().all(|b| b.is_ascii_graphic()) && text.len() <= Limits::PATH {
        true => Ok(()),
        false => Err("write blanks and other characters than ASCII with %, as in \"/a%20b\"".into()),
    }
}

fn tag(text: &str) -> Result<(), String> {
    let Some((org, tag)) = text.split_once(':') else {
        return Err("a tag names the organisation that it belongs to: \"acme.example:gold\"".into());
    };
    check::org(org, "tag's organisation").and_then(|()| check::label(tag, "tag")).map_err(|e| name(&e))
}

fn contact(text: &str) -> Result<(), String> {
    let plain = |b: u8| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\';
    if text.len() > catalyst_policy::Limits::CONTACT || !text.bytes().all(plain) {
        return Err(catalyst_policy::AgreementError::Contact.to_string());
    }
    Ok(())
}
