//! A delta server with nothing around it, as the measure of ours: it sends each change at once, awaits no answer, keeps no
//! order between kinds but the one in which it writes, and does not look at what Envoy accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use catalyst_xds::{Kind, Resource};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Resource as Discovered,
};
use envoy_types::pb::google::protobuf::Any;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::{UnboundedReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::node::Home;

type Answer = Result<DeltaDiscoveryResponse, Status>;

/// The server. Clones are one.
#[derive(Clone, Default)]
pub struct Bare(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tables: BTreeMap<Kind, BTreeMap<String, Discovered>>,
    /// Kinds of which Envoy takes all there are.
    all: BTreeSet<Kind>,
    named: BTreeSet<(Kind, String)>,
    stream: Option<UnboundedSender<Answer>>,
    nonce: u64,
}

impl State {
    fn send(&mut self, kind: Kind, resources: Vec<Discovered>) {
        let Some(stream) = &self.stream else { return };
        if resources.is_empty() {
            return;
        }
        self.nonce += 1;
        // An Envoy that is gone hears nothing.
        let _ = stream.send(Ok(DeltaDiscoveryResponse {
            type_url: kind.type_url().to_owned(),
            nonce: self.nonce.to_string(),
            resources,
            ..Default::default()
        }));
    }

    fn asked(&mut self, request: DeltaDiscoveryRequest) {
        let Some(kind) = Kind::from_type_url(&request.type_url) else { return };
        let table = self.tables.entry(kind).or_default();
        let wildcard = matches!(kind, Kind::Cluster | Kind::Listener | Kind::Scope);
        let wanted = if wildcard && self.all.insert(kind) {
            table.values().cloned().collect()
        } else {
            let names = request.resource_names_subscribe.into_iter();
            let wanted = names.clone().filter_map(|name| table.get(&name).cloned()).collect();
            self.named.extend(names.map(|name| (kind, name)));
            wanted
        };
        self.send(kind, wanted);
    }
}

impl Bare {
    /// Serves a node's socket.
    pub fn start(runtime: &Runtime, home: &Home) -> Result<Bare> {
        let bare = Bare::default();
        let listener = {
            let _in = runtime.enter();
            UnixListener::bind(home.xds_socket())?
        };
        let service = AggregatedDiscoveryServiceServer::new(bare.clone()).max_decoding_message_size(16 << 20);
        let served = tonic::transport::Server::builder()
            .serve_with_incoming(service, UnixListenerStream::new(listener));
        runtime.spawn(served);
        Ok(bare)
    }

    /// Sends these now.
    pub fn set(&self, resources: Vec<Resource>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of one name the last counts, as Envoy wants it.
        let mut changed: BTreeMap<Kind, BTreeMap<String, Discovered>> = BTreeMap::new();
        for resource in resources {
            let (kind, name) = (resource.kind(), resource.name().to_owned());
            let body = Any { type_url: kind.type_url().to_owned(), value: resource.body().to_vec() };
            let discovered = Discovered {
                name: name.clone(),
                version: resource.version().to_string(),
                resource: Some(body),
                ..Default::default()
            };
            let before = state.tables.entry(kind).or_default().insert(name.clone(), discovered.clone());
            let same = before.is_some_and(|before| before.version == discovered.version);
            if !same && (state.all.contains(&kind) || state.named.contains(&(kind, name.clone()))) {
                changed.entry(kind).or_default().insert(name, discovered);
            }
        }
        for (kind, resources) in changed {
            state.send(kind, resources.into_values().collect());
        }
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Bare {
    type StreamAggregatedResourcesStream =
        Pin<Box<dyn Stream<Item = Result<DiscoveryResponse, Status>> + Send>>;
    type DeltaAggregatedResourcesStream = UnboundedReceiverStream<Answer>;

    async fn stream_aggregated_resources(
        &self,
        _request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("differences only"))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (sender, receiver) = unbounded_channel();
        {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.stream = Some(sender);
            state.all.clear();
            state.named.clear();
        }
        let bare = self.clone();
        let mut requests = request.into_inner();
        tokio::spawn(async move {
            while let Some(Ok(request)) = requests.next().await {
                bare.0.lock().unwrap_or_else(PoisonError::into_inner).asked(request);
            }
        });
        Ok(Response::new(UnboundedReceiverStream::new(receiver)))
    }
}
