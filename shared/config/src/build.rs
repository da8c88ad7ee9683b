//! The checked tree as a [`Config`].

use std::path::{Path, PathBuf};
use std::str::FromStr;

use catalyst_names::OrgId;
use catalyst_policy::Direction;

use crate::address::{self, HostPort};
use crate::config::{
    Admin, Authority, Capacities, Config, Expose, Flap, Foreign, Identity, LinkProfile, Peer, Service,
};
use crate::local::{Check, CheckKind, Run, Variables};
use crate::policy;
use crate::tree::Tree;

/// Of certificates, where the key is not there: on the edge.
const DEFAULT_LIFETIME_S: u64 = 90 * 86_400;
/// Bytes of one route, on the average, where `limits.bytes_per_peer` is not said.
const BYTES_OF_ROUTE: u32 = 256;

/// Reads the tree. `None` where the check found an error in what every configuration needs; elements of a
/// list in which it found one are left out.
pub(crate) fn config(tree: &Tree, file: Option<&Path>, base: &Path) -> Option<Config> {
    let org: OrgId = read(tree, "org")?;
    let node: catalyst_names::NodeId = read(tree, "node")?;
    let path = |tree: &Tree, name: &str, default: PathBuf| {
        base.join(tree.get(name).and_then(Tree::text).map_or(default, PathBuf::from))
    };
    let state_dir = path(tree, "state_dir", PathBuf::from("state"));
    let files = tree.get("identity")?;
    let identity = Identity {
        key: path(files, "key", format!("{node}.key").into()),
        certificate: path(files, "certificate", format!("{node}.crt").into()),
        bundle: path(files, "bundle", format!("{org}.bundle.pem").into()),
    };
    let profile = read(tree, "profile")?;
    let limits = tree.get("limits")?;
    Some(Config {
        file: file.map(Path::to_path_buf),
        listen: match tree.get("listen") {
            Some(listen) => Some(address::listen(listen.text()?).ok()?),
            None => None,
        },
        authority: {
            let authority = tree.get("authority")?;
            Authority {
                root: authority.get("root").and_then(Tree::text).map(|folder| base.join(folder)),
                address: match authority.get("address") {
                    Some(address) => Some(HostPort::parse(address.text()?).ok()?),
                    None => None,
                },
                lifetime_s: number(authority, "lifetime_s").unwrap_or(DEFAULT_LIFETIME_S),
            }
        },
        admin: Admin {
            socket: match tree.get("admin")?.get("socket").and_then(Tree::text) {
                Some(socket) => base.join(socket),
                None => state_dir.join("admin.sock"),
            },
        },
        log: read(tree, "log")?,
        sandbox: read(tree, "sandbox")?,
        threads: number(tree, "threads"),
        metrics: match tree.get("metrics")?.get("listen") {
            Some(listen) => Some(address::listen(listen.text()?).ok()?),
            None => None,
        },
        peers: list(tree, "peers", |p| peer(p, &org, profile, base)),
        services: list(tree, "services", |s| service(s, base)),
        exports: list(tree, "exports", |e| policy::rule(e, Direction::Export)),
        imports: list(tree, "imports", |i| policy::rule(i, Direction::Import)),
        interest: tree
            .get("interest")
            .map(|list| list.items().iter().filter_map(|t| t.text().map(str::to_owned)).collect()),
        expose: list(tree, "expose", |e| {
            let listen = address::listen(e.get("listen")?.text()?).ok()?;
            Some(Expose { service: read(e, "service")?, listen, protocol: read(e, "protocol")? })
        }),
        expose_ports: address::ports(tree.get("expose_ports")?.text()?).ok()?,
        http: match tree.get("http")?.get("listen") {
            Some(listen) => Some(address::listen(listen.text()?).ok()?),
            None => None,
        },
        https: data_plane::https(tree, base),
        envoy: data_plane::envoy(tree, base),
        limits: Capacities {
            routes: number(limits, "routes")?,
            peers: number(limits, "peers")?,
            services: number(limits, "services")?,
            flows: number(limits, "flows")?,
            udp_flows: number(limits, "udp_flows")?,
            udp_idle_s: number(limits, "udp_idle_s")?,
            routes_per_peer: number(limits, "routes_per_peer")?,
            bytes_per_peer: number(limits, "bytes_per_peer").or_else(|| {
                number(limits, "routes_per_peer").map(|n: u32| n.saturating_mul(BYTES_OF_ROUTE))
            })?,
            expose: number(limits, "expose")?,
            window: number(limits, "window")?,
            http_clients: number(limits, "http_clients")?,
        },
        org,
        node,
        state_dir,
        identity,
        stale_max_s: number(tree, "stale_max_s")?,
        flap: flap(tree.get("flap")?)?,
        profile,
    })
}

#[cfg(not(feature = "cloud"))]
mod data_plane {
    use std::path::Path;

    use crate::config::{Envoy, Https};
    use crate::tree::Tree;

    pub(super) fn https(_: &Tree, _: &Path) -> Option<Https> {
        None
    }

    pub(super) fn envoy(_: &Tree, _: &Path) -> Option<Envoy> {
        None
    }
}

#[cfg(feature = "cloud")]
mod data_plane {
    use std::path::Path;

    use crate::address::{self, HostPort};
    use crate::config::{Envoy, Https};
    use crate::tree::Tree;

    pub(super) fn https(tree: &Tree, base: &Path) -> Option<Https> {
        let https = tree.get("https")?;
        Some(Https {
            listen: address::listen(https.get("listen")?.text()?).ok()?,
            certificate: base.join(https.get("certificate")?.text()?),
            key: base.join(https.get("key")?.text()?),
        })
    }

    pub(super) fn envoy(tree: &Tree, base: &Path) -> Option<Envoy> {
        let envoy = tree.get("envoy")?;
        Some(Envoy {
            mode: super::read(envoy, "mode")?,
            path: envoy.get("path").and_then(Tree::text).map(|path| base.join(path)),
            workers: super::number(envoy, "workers"),
            listen: address::listen(envoy.get("listen")?.text()?).ok()?,
            address: envoy.get("address").and_then(Tree::text).and_then(|a| HostPort::parse(a).ok()),
        })
    }
}

fn read<T: FromStr>(tree: &Tree, name: &str) -> Option<T> {
    tree.get(name)?.text()?.parse().ok()
}

fn number<T: TryFrom<u64>>(tree: &Tree, name: &str) -> Option<T> {
    T::try_from(tree.get(name)?.number()?).ok()
}

fn flap(tree: &Tree) -> Option<Flap> {
    Some(Flap {
        changes: number(tree, "changes")?,
        window_s: number(tree, "window_s")?,
        rest_s: number(tree, "rest_s")?,
    })
}

fn list<T>(tree: &Tree, name: &str, one: impl Fn(&Tree) -> Option<T>) -> Vec<T> {
    tree.get(name).map(Tree::items).unwrap_or_default().iter().filter_map(one).collect()
}

fn peer(tree: &Tree, own: &OrgId, profile: LinkProfile, base: &Path) -> Option<Peer> {
    let path = |name: &str| tree.get(name).and_then(Tree::text).map(|text| base.join(text));
    let org = match tree.get("org") {
        Some(_) => read(tree, "org")?,
        None => own.clone(),
    };
    Some(Peer {
        node: read(tree, "node")?,
        address: match tree.get("address") {
            Some(address) => Some(HostPort::parse(address.text()?).ok()?),
            None => None,
        },
        foreign: match (path("bundle"), path("agreement")) {
            (Some(bundle), Some(agreement)) if org != *own => Some(Foreign { bundle, agreement }),
            _ => None,
        },
        profile: match tree.get("profile") {
            Some(_) => read(tree, "profile")?,
            None => profile,
        },
        restart_s: tree.get("restart_s").and_then(|_| number(tree, "restart_s")),
        transport: read(tree, "transport")?,
        org,
    })
}

fn texts(tree: &Tree, name: &str) -> Vec<String> {
    let items = tree.get(name).map(Tree::items).unwrap_or_default();
    items.iter().filter_map(|t| t.text().map(str::to_owned)).collect()
}

fn run(tree: &Tree, base: &Path) -> Option<Run> {
    Some(Run {
        command: texts(tree, "command"),
        env: Variables(texts(tree, "env")),
        directory: tree.get("directory").and_then(Tree::text).map_or(base.to_path_buf(), |d| base.join(d)),
        restart: read(tree, "restart")?,
        stop_grace_ms: number(tree, "stop_grace_ms")?,
    })
}

fn check(tree: &Tree, run: Option<&Run>, base: &Path) -> Option<Check> {
    let kind = match tree.get("type")?.text()? {
        "tcp" => CheckKind::Tcp,
        "http" => CheckKind::Http { path: tree.get("path").and_then(Tree::text).unwrap_or("/").to_owned() },
        _ => CheckKind::Exec {
            command: texts(tree, "command"),
            env: run.map(|r| r.env.clone()).unwrap_or_default(),
            directory: run.map_or(base.to_path_buf(), |r| r.directory.clone()),
        },
    };
    Some(Check {
        kind,
        interval_ms: number(tree, "interval_ms")?,
        timeout_ms: number(tree, "timeout_ms")?,
        rise: number(tree, "rise")?,
        fall: number(tree, "fall")?,
    })
}

fn service(tree: &Tree, base: &Path) -> Option<Service> {
    let run = match tree.get("run") {
        Some(tree) => Some(run(tree, base)?),
        None => None,
    };
    let check = match tree.get("check") {
        Some(tree) => Some(check(tree, run.as_ref(), base)?),
        None => None,
    };
    let mut tags: Vec<String> =
        tree.get("tags")?.items().iter().filter_map(|t| t.text().map(str::to_owned)).collect();
    tags.sort_unstable();
    tags.dedup();
    Some(Service {
        name: read(tree, "name")?,
        protocol: read(tree, "protocol")?,
        target: HostPort::parse(tree.get("target")?.text()?).ok()?,
        cost: number(tree, "cost")?,
        weight: number(tree, "weight")?,
        tags,
        fail_closed: tree.get("on_stale")?.text()? == "fail_closed",
        run,
        check,
    })
}
