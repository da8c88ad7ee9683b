//! Addresses: where a peer or a target is, and where to listen.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::Limits;

/// A host name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// A DNS name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl HostPort {
    /// Reads `host:port`, with an IPv6 address in brackets (RFC 3986 section 3.2.2).
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        let port = match port.parse::<u16>() {
            Ok(0) => {
                return Err("port 0 cannot be reached: give the port that the other side listens on".into());
            }
            Ok(n) if port.bytes().all(|b| b.is_ascii_digit()) => n,
            _ => {
                return Err(format!(
                    "'{}' is not a port: give a number from 1 to 65535",
                    crate::print::cut(port)
                ));
            }
        };
        Ok(HostPort { host: host.to_owned(), port })
    }

    /// The address, when the host is one and needs no look-up.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// The addresses that the text alone tells: of an IP address, and of the names that always mean this machine (RFC 6761
    /// section 6.3). None for any other name.
    #[must_use]
    pub fn plain_addresses(&self) -> Vec<SocketAddr> {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host).to_ascii_lowercase();
        if name == "localhost"
            || name.ends_with(".localhost")
            || name == "ip6-localhost"
            || name == "ip6-loopback"
        {
            let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            return both.map(|ip| SocketAddr::new(ip, self.port)).to_vec();
        }
        self.socket_addr().into_iter().collect()
    }
}

/// Whether a connection to `to` ends at a listener on `listen`, as far as the two addresses tell. One to the unspecified
/// address is to this machine (Linux), and so is one to loopback, whatever else a wildcard takes.
#[must_use]
pub fn comes_back(to: SocketAddr, listen: SocketAddr) -> bool {
    let here = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let same = here(to.ip()) == listen.ip().to_canonical();
    let wild = listen.ip().is_unspecified() && here(to.ip()).is_loopback();
    listen.port() != 0 && to.port() == listen.port() && (same || wild)
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn split(text: &str) -> Result<(&str, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket of the IPv6 address is not closed")?;
        if host.parse::<Ipv6Addr>().is_err() {
            return Err("what stands in the brackets is not an IPv6 address".into());
        }
        let port = after.strip_prefix(':').ok_or_else(no_port)?;
        return Ok((host, port));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("an IPv6 address stands in brackets, with a port: [{text}]:7443"));
    }
    if text.contains("://") {
        return Err("give host:port alone, without a scheme such as http://".into());
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(no_port)?;
    host_name(host)?;
    Ok((host, port))
}

fn no_port() -> String {
    "the port is missing: host:port, such as gateway.acme.example:7443".into()
}

/// RFC 1123 section 2.1, with the underscores that container networks put into names.
fn host_name(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("the host is missing: host:port, such as 127.0.0.1:8080".into());
    }
    if host.contains(':') {
        return Err("an IPv6 address stands in brackets: [::1]:8080".into());
    }
    let all_digits = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if all_digits && host.parse::<IpAddr>().is_err() {
        return Err("the host looks like an IPv4 address and is none".into());
    }
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() > 253 || !host.strip_suffix('.').unwrap_or(host).split('.').all(label) {
        return Err("the host is neither a DNS name nor an IP address".into());
    }
    Ok(())
}

/// Ports from one to another, both included; or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRange(pub Option<(u16, u16)>);

impl PortRange {
    /// Whether a port is one of them.
    #[must_use]
    pub fn holds(&self, port: u16) -> bool {
        self.0.is_some_and(|(first, last)| (first..=last).contains(&port))
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        self.0.into_iter().flat_map(|(first, last)| first..=last)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((first, last)) => write!(f, "{first}-{last}"),
            None => f.write_str("none"),
        }
    }
}

/// Reads ports: `9000-9099`, `9000` or `none`.
///
/// # Errors
/// One line that says what is wrong.
pub(crate) fn ports(text: &str) -> Result<PortRange, String> {
    if text == "none" {
        return Ok(PortRange(None));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        let number = text.parse::<u16>().ok().filter(|port| *port != 0);
        number.ok_or_else(|| "ports are numbers from 1 to 65535: \"9000-9099\"".to_owned())
    };
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(format!("the smaller number comes first: \"{last}-{first}\""));
    }
    // Each is a rule of the sandbox.
    if usize::from(last - first) >= Limits::EXPOSE_PORTS {
        return Err(format!("at most {} ports", Limits::EXPOSE_PORTS));
    }
    Ok(PortRange(Some((first, last))))
}

/// Reads an address to listen on: an IP address and a port; port 0 takes a free one.
///
/// # Errors
/// One line that says what is wrong.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse::<SocketAddr>().map_err(|_| match text.rsplit_once(':') {
        _ if text.parse::<Ipv6Addr>().is_ok() => {
            format!("an IPv6 address stands in brackets, with a port: [{text}]:7443")
        }
        None => "an address to listen on has a port: 127.0.0.1:9001, 0.0.0.0:7443, [::]:7443".into(),
        // What is repeated was read as a number: anything else could be a control sequence of a terminal.
        Some(("" | "localhost", port)) if port.parse::<u16>().is_err() => {
            "give an address and a number from 0 to 65535: 127.0.0.1:9001".into()
        }
        Some(("", port)) => {
            format!("give the address too: 127.0.0.1:{port} for this machine, 0.0.0.0:{port} for all")
        }
        Some(("localhost", port)) => format!("give it as an IP address: 127.0.0.1:{port}"),
        Some((host, _)) if host.parse::<IpAddr>().is_ok() => {
            "the port must be a number from 0 to 65535".into()
        }
        Some(_) => {
            "an address to listen on is an IP address of this machine: 127.0.0.1, 0.0.0.0 or [::]".into()
        }
    })
}
