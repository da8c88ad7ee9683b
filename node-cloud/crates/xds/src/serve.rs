//! The gRPC server: a thin shell of the state machine. One task a stream; it waits for Envoy, for the snapshot,
//! for room to write, or for a deadline, and for nothing else.

use std::future::Future;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Code, Status, Streaming};

use crate::error::Error;
use crate::limits::Limits;
use crate::publisher::{Publisher, Refusal};
use crate::session::Broken;
use crate::wire;

/// Serves the snapshot on a Unix socket until `stop` resolves.
///
/// # Errors
/// The socket or the server fails.
pub async fn serve(
    listener: UnixListener,
    publisher: Publisher,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), Error> {
    let (stopping, stopped) = watch::channel(false);
    let limit = publisher.limits().request_bytes;
    let service = AggregatedDiscoveryServiceServer::new(Ads { publisher, stopped: stopped.clone() })
        .max_decoding_message_size(limit);
    let mut ending = stopped.clone();
    let stop = async move {
        stop.await;
        // Streams never end by themselves.
        stopping.send_replace(true);
    };
    let served = tonic::transport::Server::builder()
        .max_concurrent_streams(Limits::STREAMS)
        .serve_with_incoming_shutdown(service, UnixListenerStream::new(listener), stop);
    // An Envoy that does not read would keep its connection open for ever.
    let abandoned = async move {
        let _ = ending.wait_for(|stopped| *stopped).await;
        tokio::time::sleep(Limits::ENDING).await;
    };
    tokio::select! {
        served = served => served.map_err(|error| Error::Server(error.into())),
        () = abandoned => Ok(()),
    }
}

struct Ads {
    publisher: Publisher,
    stopped: watch::Receiver<bool>,
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Answers<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Answers<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        _request: tonic::Request<Streaming<DiscoveryRequest>>,
    ) -> Result<tonic::Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented(
            "this xDS server sends differences only; set `api_type: DELTA_GRPC` in `ads_config` of Envoy's \
             bootstrap, or use the one that `catalyst envoy bootstrap` prints",
        ))
    }

    async fn delta_aggregated_resources(
        &self,
        request: tonic::Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<tonic::Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let (answers, receiver) = mpsc::channel(1);
        let (publisher, stopped) = (self.publisher.clone(), self.stopped.clone());
        tokio::spawn(async move {
            let inbound = request.into_inner();
            if let Err(status) = run(inbound, &answers, &publisher, stopped).await {
                if status.code() == Code::OutOfRange {
                    publisher.note_refusal(status.message());
                }
                // If Envoy is gone nobody hears it.
                let _ = answers.send(Err(status)).await;
            }
        });
        Ok(tonic::Response::new(ReceiverStream::new(receiver)))
    }
}

type Outbound = mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>;

/// One stream, from its first request to its end.
async fn run(
    mut inbound: Streaming<DeltaDiscoveryRequest>,
    answers: &Outbound,
    publisher: &Publisher,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), Status> {
    let first = tokio::select! {
        first = inbound.message() => first?,
        () = tokio::time::sleep(Limits::FIRST_REQUEST) => None,
        _ = stopped.wait_for(|stopped| *stopped) => None,
    };
    let Some(first) = first else { return Ok(()) };
    let Some(node) = &first.node else {
        return Err(Status::invalid_argument("the first request of a stream must say `node`"));
    };
    let ticket = publisher.connect(&node.id, &wire::version(node)).await?;
    ticket.handle(wire::request(first))?;
    let mut ready = None;
    loop {
        let mut deadline = None;
        if ready.is_none() {
            let (response, wait) = ticket.poll();
            ready = response.map(wire::response);
            deadline = wait;
        }
        let idle = ready.is_none();
        tokio::select! {
            permit = answers.reserve(), if !idle => match (permit, ready.take()) {
                (Ok(permit), Some(response)) => permit.send(Ok(response)),
                _ => return Ok(()),
            },
            request = inbound.message() => match request? {
                Some(request) => ticket.handle(wire::request(request))?,
                None => return Ok(()),
            },
            () = ticket.woken(), if idle => {}
            () = tokio::time::sleep(deadline.unwrap_or(Duration::MAX)), if deadline.is_some() => {}
            () = answers.closed() => return Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => {
                return Err(Status::unavailable("the node ends; Envoy keeps what it has"));
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let code = match refusal {
            Refusal::NotOurs { .. } => Code::PermissionDenied,
            Refusal::Taken(_) => Code::AlreadyExists,
        };
        Status::new(code, refusal.to_string())
    }
}

impl From<Broken> for Status {
    fn from(broken: Broken) -> Status {
        Status::resource_exhausted(broken.to_string())
    }
}
