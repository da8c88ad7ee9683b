//! The Unix socket by which Envoy reaches what only the tunnel can carry: HTTP/2, and each `CONNECT` in it is a flow.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use catalyst_names::{NodeName, ServiceName, SpiffeId};
use catalyst_node::mesh::Flows;
use catalyst_transport::LocalStream;
use catalyst_tunnel::Refusal;
use futures_lite::io::{AsyncRead, AsyncWrite};
use http::{HeaderName, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tracing::debug;

use catalyst_dataplane::names;

use crate::limits::Limits;

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: UnixListener, own: NodeName, via: &str, flows: Arc<dyn Flows>) {
    let refused = HeaderName::try_from(names::refused_header(via));
    let own = Arc::new(Own {
        name: own,
        refused: refused.unwrap_or(HeaderName::from_static("x-catalyst-refused")),
    });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, own.clone(), flows.clone()))),
            Err(error) => {
                debug!(%error, "Envoy's connection was not accepted");
                tokio::time::sleep(Limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Who answers.
struct Own {
    name: NodeName,
    /// In answers in the place of a service.
    refused: HeaderName,
}

async fn connection(stream: UnixStream, own: Arc<Own>, flows: Arc<dyn Flows>) {
    let service = service_fn(move |request| {
        let (own, flows) = (own.clone(), flows.clone());
        async move { Ok::<_, Infallible>(answer(request, &own, &*flows).await) }
    });
    let served = http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(Limits::STREAMS)
        .initial_stream_window_size(Limits::STREAM_WINDOW)
        .initial_connection_window_size(Limits::CONNECTION_WINDOW)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        debug!(%error, "a connection of Envoy ended");
    }
}

async fn answer(request: Request<Incoming>, own: &Arc<Own>, flows: &dyn Flows) -> Response<Full<Bytes>> {
    if request.method() != Method::CONNECT {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "CONNECT alone is understood here");
    }
    let service = request.uri().host().and_then(|host| ServiceName::parse(host).ok());
    let Some(service) = service else {
        return refused(StatusCode::BAD_REQUEST, "the authority is not the name of a service");
    };
    let caller = request.headers().get(names::CALLER_HEADER).and_then(|value| value.to_str().ok());
    let caller = caller.and_then(|text| text.parse::<SpiffeId>().ok()).and_then(|id| id.node_name());
    let caller = caller.filter(|caller| *caller != own.name);
    match flows.open(&service, caller.as_ref()).await {
        Ok(flow) => {
            tokio::spawn(async move {
                match hyper::upgrade::on(request).await {
                    Ok(upgraded) => flow.carry(Stream(TokioIo::new(upgraded))).await,
                    Err(error) => debug!(%error, "Envoy gave a flow up"),
                }
            });
            Response::new(Full::default())
        }
        Err(why) => match request.headers().get(names::HTTP_HEADER).map(http::HeaderValue::as_bytes) {
            Some(version) => {
                let version_2 = version == b"2";
                tokio::spawn(in_place(request, version_2, own.clone(), why));
                Response::new(Full::default())
            }
            None => refused(status(why), &why.to_string()),
        },
    }
}

/// Answers one request in the place of a service that the tunnel did not reach. The bytes of a request are in the `CONNECT`
/// already when it could be refused, and Envoy would not know that they went nowhere.
async fn in_place(request: Request<Incoming>, version_2: bool, own: Arc<Own>, why: Refusal) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
    let answered = Arc::new(Notify::new());
    let service = {
        let answered = answered.clone();
        service_fn(move |_| {
            let mut response = Response::new(Full::<Bytes>::from(why.to_string()));
            *response.status_mut() = status(why);
            if status(why) == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(own.refused.clone(), TUNNEL);
            }
            answered.notify_one();
            async move { Ok::<_, Infallible>(response) }
        })
    };
    // One answer and no more: the next request may find the service again.
    let served = async {
        if version_2 {
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(upgraded, service);
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = answered.notified() => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        } else {
            http1::Builder::new().keep_alive(false).serve_connection(upgraded, service).await
        }
    };
    if let Ok(Err(error)) = tokio::time::timeout(Limits::IN_PLACE, served).await {
        debug!(%error, "Envoy did not take an answer");
    }
}

const TUNNEL: http::HeaderValue = http::HeaderValue::from_static("tunnel");

fn status(why: Refusal) -> StatusCode {
    match why {
        Refusal::NotPermitted => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(why.to_owned()));
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // Another way may be tried: no byte has left this node.
        response.headers_mut().insert(names::UNAVAILABLE_HEADER, TUNNEL);
    }
    response
}

/// A `CONNECT` as a stream of bytes.
struct Stream(TokioIo<Upgraded>);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        let mut filled = ReadBuf::new(buffer);
        std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut filled))?;
        Poll::Ready(Ok(filled.filled().len()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl LocalStream for Stream {
    fn abort(&mut self) {
        // Dropping a stream that has not ended resets it (RFC 9113, section 8.5).
    }
}
