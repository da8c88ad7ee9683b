//! One service's scope: who may ask for it, and where the request goes. Small, for it is what most changes change.

use std::collections::{BTreeMap, BTreeSet};

use catalyst_names::{NodeName, OrgId, Protocol, ServiceName};

use crate::limits::Limits;
use crate::proto::{
    add_header, any, beginning, containing, duration, exactly, ext, number, one_of, rbac, route, set_header,
    state,
};
use crate::site::names;

/// Where callers of one kind are led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    /// Clusters with their shares; at least one.
    pub(crate) clusters: Vec<(String, u32)>,
    /// Whether a `CONNECT` ends here: the cluster takes bytes.
    pub(crate) ends: bool,
    /// The cluster that ends a `CONNECT` in [`names::TERMINATE`].
    pub(crate) local: Option<String>,
    /// Whether the service itself is behind all clusters, and no other node.
    pub(crate) to_service: bool,
    /// Whether there are clusters to try after the first.
    pub(crate) others: bool,
}

/// All of one service.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) service: &'a ServiceName,
    pub(crate) protocol: Protocol,
    pub(crate) own: &'a str,
    /// What requests carry that have passed this node.
    pub(crate) via: &'a str,
    /// For this node's own clients and nodes of its organisation.
    pub(crate) internal: Lead,
    /// For other organisations: who of them, and where to.
    pub(crate) external: BTreeMap<OrgId, (BTreeSet<NodeName>, Lead)>,
    /// By this header the node says that its tunnel did not take a request: then the request has not reached the service.
    pub(crate) refused: Option<String>,
}

impl Scope<'_> {
    pub(crate) fn resource(&self) -> route::ScopedRouteConfiguration {
        use route::scoped_route_configuration::{Key, key};
        let name = self.service.to_string();
        let inside = names::spiffe_prefix(self.own);
        let mut routes = self.routes(&inside, &self.internal);
        for (org, (_, lead)) in &self.external {
            routes.extend(self.routes(&names::spiffe_prefix(org.as_str()), lead));
        }
        let host = route::VirtualHost {
            name: name.clone(),
            domains: vec!["*".into()],
            routes,
            typed_per_filter_config: [("envoy.filters.http.rbac".to_owned(), self.allowed(&inside))].into(),
            // After the route has read it.
            response_headers_to_remove: self.refused.iter().cloned().collect(),
            ..Default::default()
        };
        let routes = route::RouteConfiguration {
            name: name.clone(),
            virtual_hosts: vec![host],
            request_headers_to_remove: vec![names::SERVICE_HEADER.to_owned()],
            ..Default::default()
        };
        let fragment = key::Fragment { r#type: Some(key::fragment::Type::StringKey(name.clone())) };
        route::ScopedRouteConfiguration {
            name,
            key: Some(Key { fragments: vec![fragment] }),
            route_configuration: Some(routes),
            ..Default::default()
        }
    }

    /// What has been here: two nodes whose routes point at each other for a moment.
    fn been_here(&self) -> route::HeaderMatcher {
        use route::header_matcher::HeaderMatchSpecifier;
        route::HeaderMatcher {
            name: names::VIA_HEADER.into(),
            header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(containing(self.via))),
            ..Default::default()
        }
    }

    /// The callers that the filter lets through, where they have not been here before; it refuses all others.
    fn allowed(&self, inside: &str) -> crate::proto::Any {
        use rbac::{permission, principal, rbac as rules};
        let caller = |matches| rbac::Principal {
            identifier: Some(principal::Identifier::FilterState(state(names::CALLER, matches))),
        };
        let mut principals = vec![caller(beginning(inside))];
        let nodes = self.external.values().flat_map(|(nodes, _)| nodes);
        principals.extend(nodes.map(|node| caller(exactly(&names::spiffe(node)))));
        let policy = rbac::Policy {
            permissions: vec![not(permission::Rule::Header(self.been_here()))],
            principals,
            ..Default::default()
        };
        // One policy: the order of a map's entries is not the same in two runs.
        let rules = rbac::Rbac {
            action: rules::Action::Allow as i32,
            policies: [("callers".to_owned(), policy)].into(),
            ..Default::default()
        };
        let filter = ext::filters::http::rbac::v3::Rbac { rules: Some(rules), ..Default::default() };
        any(ext::filters::http::rbac::v3::RbacPerRoute { rbac: Some(filter) })
    }

    /// For callers of one kind. Where there is another way, a request that only reads has a route of its own: it may be
    /// sent again even when it may have reached the service (RFC 9110 section 9.2.2).
    fn routes(&self, callers: &str, lead: &Lead) -> Vec<route::Route> {
        let any = self.route(callers, lead, false);
        if self.protocol == Protocol::Tcp || !lead.others {
            return vec![any];
        }
        vec![self.route(callers, lead, true), any]
    }

    fn route(&self, callers: &str, lead: &Lead, reads: bool) -> route::Route {
        use route::route_match::PathSpecifier;
        let connect = self.protocol == Protocol::Tcp;
        let path = match connect {
            true => PathSpecifier::ConnectMatcher(Default::default()),
            false => PathSpecifier::Prefix("/".into()),
        };
        let matches = route::RouteMatch {
            path_specifier: Some(path),
            filter_state: vec![state(names::CALLER, beginning(callers))],
            headers: reads.then(method_that_reads).into_iter().collect(),
            ..Default::default()
        };
        let local = lead.local.as_ref().map(|cluster| set_header(names::LOCAL_HEADER, cluster));
        let why = |header: &String| set_header(names::UNAVAILABLE_HEADER, &format!("%RESP({header})%"));
        let refused = self.refused.as_ref().map(why);
        let mut route = route::Route {
            r#match: Some(matches),
            action: Some(route::route::Action::Route(self.action(connect, lead, reads))),
            request_headers_to_add: local.into_iter().collect(),
            response_headers_to_add: refused.into_iter().collect(),
            ..Default::default()
        };
        if lead.to_service {
            // The nodes that were passed are not the service's business, and its answer does not speak for the nodes.
            route.request_headers_to_remove = vec![names::VIA_HEADER.to_owned()];
            route.response_headers_to_remove = vec![names::UNAVAILABLE_HEADER.to_owned()];
        } else {
            route.request_headers_to_add.push(add_header(names::VIA_HEADER, self.via));
        }
        route
    }

    fn action(&self, connect: bool, lead: &Lead, reads: bool) -> route::RouteAction {
        use route::route_action::{ClusterSpecifier, HostRewriteSpecifier, UpgradeConfig, upgrade_config};
        let specifier = match lead.clusters.as_slice() {
            [(cluster, _)] => ClusterSpecifier::Cluster(cluster.clone()),
            several => ClusterSpecifier::WeightedClusters(weighted(several)),
        };
        let ends = (connect && lead.ends).then(|| UpgradeConfig {
            upgrade_type: "CONNECT".into(),
            connect_config: Some(upgrade_config::ConnectConfig::default()),
            ..Default::default()
        });
        route::RouteAction {
            // A service may take its time; its caller's deadline travels with the request.
            timeout: duration(std::time::Duration::ZERO),
            cluster_specifier: Some(specifier),
            // The next node finds the service by it, whatever name the client used.
            host_rewrite_specifier: (!connect)
                .then(|| HostRewriteSpecifier::HostRewriteLiteral(self.service.to_string())),
            append_x_forwarded_host: !connect,
            upgrade_configs: ends.into_iter().collect(),
            retry_policy: Some(retries(lead.others, reads, self.refused.as_deref())),
            ..Default::default()
        }
    }
}

fn not(rule: rbac::permission::Rule) -> rbac::Permission {
    let rule = Box::new(rbac::Permission { rule: Some(rule) });
    rbac::Permission { rule: Some(rbac::permission::Rule::NotRule(rule)) }
}

fn method_that_reads() -> route::HeaderMatcher {
    route::HeaderMatcher {
        name: ":method".into(),
        header_match_specifier: Some(route::header_matcher::HeaderMatchSpecifier::StringMatch(one_of(
            "GET|HEAD|OPTIONS",
        ))),
        ..Default::default()
    }
}

fn weighted(clusters: &[(String, u32)]) -> route::WeightedCluster {
    let share = |(name, weight): &(String, u32)| route::weighted_cluster::ClusterWeight {
        name: name.clone(),
        weight: number(*weight),
        ..Default::default()
    };
    route::WeightedCluster { clusters: clusters.iter().map(share).collect(), ..Default::default() }
}

/// A request is tried again only when it cannot have reached the service: the connection failed, or a node on the way
/// says that it found no endpoint.
fn retries(others: bool, reads: bool, refused: Option<&str>) -> route::RetryPolicy {
    use ext::retry::priority::previous_priorities::v3::PreviousPrioritiesConfig;
    use route::header_matcher::HeaderMatchSpecifier;
    use route::retry_policy::{RetryBackOff, RetryPriority, retry_priority};
    let present = |name: &str| route::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::PresentMatch(true)),
        ..Default::default()
    };
    let base = route::RetryPolicy {
        retry_on: "connect-failure,refused-stream,reset-before-request".into(),
        num_retries: number(Limits::TRIES),
        retry_back_off: Some(RetryBackOff {
            base_interval: duration(Limits::AGAIN),
            max_interval: duration(Limits::AGAIN_MOST),
        }),
        ..Default::default()
    };
    if !others {
        return base;
    }
    route::RetryPolicy {
        retry_on: format!("{},retriable-headers{}", base.retry_on, if reads { ",reset" } else { "" }),
        retriable_headers: [names::UNAVAILABLE_HEADER].into_iter().chain(refused).map(present).collect(),
        retry_priority: Some(RetryPriority {
            name: "envoy.retry_priorities.previous_priorities".into(),
            config_type: Some(retry_priority::ConfigType::TypedConfig(any(PreviousPrioritiesConfig {
                update_frequency: 1,
            }))),
        }),
        ..base
    }
}
