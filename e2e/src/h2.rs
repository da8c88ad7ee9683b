//! A service and a client of HTTP/2 without TLS, in this process: as gRPC uses it, both directions open at once and
//! trailers at the end.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::client::conn::http2 as client;
use hyper::header::HeaderMap;
use hyper::server::conn::http2 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};

use crate::tcp::PATIENCE;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A service that sends every message back as it comes, and the caller that it was told of as a header and a trailer.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A request's body as the answer's, with trailers of its own.
struct Back {
    body: Incoming,
    trailers: Option<HeaderMap>,
}

impl Body for Back {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        loop {
            return match std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) if !frame.is_data() => continue,
                None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
                other => Poll::Ready(other),
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        false
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn back(request: Request<Incoming>) -> Response<Back> {
    let callers = request.headers().get_all("x-catalyst-caller");
    let callers: Vec<&str> = callers.iter().filter_map(|value| value.to_str().ok()).collect();
    let seen = callers.join(",").parse().unwrap();
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let mut response = Response::new(Back { body: request.into_body(), trailers: Some(trailers) });
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response.headers_mut().insert("seen-caller", seen);
    response
}

impl Echo {
    /// Serves on a free port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn start() -> Echo {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (count, (stop, stopped)) = (requests.clone(), oneshot::channel());
        let thread = thread::spawn(move || {
            runtime().block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, count) => {}
                    _ = stopped => {}
                }
            });
        });
        Echo { address, requests, stop: Some(stop), thread: Some(thread) }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Requests that have come.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, count: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let count = count.clone();
        let service = service_fn(move |request| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, Infallible>(back(request)) }
        });
        let served =
            server::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(served);
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is sent message by message.
struct Sent(mpsc::UnboundedReceiver<Bytes>);

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A request that stays open in both directions.
pub struct Call {
    runtime: Runtime,
    send: Option<mpsc::UnboundedSender<Bytes>>,
    answer: Response<Incoming>,
    _client: client::SendRequest<Sent>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl Call {
    /// Asks for a service of this name, with headers beside, and sends a first message.
    ///
    /// # Errors
    /// No answer comes.
    pub fn open(
        at: SocketAddr,
        host: &str,
        headers: &[(&'static str, &str)],
        first: &[u8],
    ) -> io::Result<Call> {
        let runtime = runtime();
        let (send, body) = mpsc::unbounded_channel();
        let _ = send.send(Bytes::copy_from_slice(first));
        let mut request = Request::post(format!("http://{host}/echo.Echo/Talk"));
        for (name, value) in headers.iter().chain(&[("content-type", "application/grpc"), ("te", "trailers")])
        {
            request = request.header(*name, *value);
        }
        let request = request.body(Sent(body)).map_err(io::Error::other)?;
        let asking = async {
            let stream = TcpStream::connect(at).await?;
            stream.set_nodelay(true)?;
            let (mut client, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            tokio::spawn(connection);
            let answer = client.send_request(request).await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((client, answer))
        };
        let (client, answer) = within(&runtime, PATIENCE, asking)??;
        Ok(Call { runtime, send: Some(send), answer, _client: client })
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.answer.status().as_u16()
    }

    /// A header of the answer.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let value = self.answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }

    /// Sends a message; nothing happens when the call has ended.
    pub fn say(&self, bytes: &[u8]) {
        let _ = self.send.as_ref().map(|send| send.send(Bytes::copy_from_slice(bytes)));
    }

    /// The next bytes of the answer.
    ///
    /// # Errors
    /// The call was cut; nothing came.
    pub fn hear(&mut self) -> io::Result<Vec<u8>> {
        match self.frame(PATIENCE)?.map(Frame::into_data) {
            Some(Ok(bytes)) => Ok(bytes.to_vec()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn frame(&mut self, limit: Duration) -> io::Result<Option<Frame<Bytes>>> {
        let body = self.answer.body_mut();
        let next = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx));
        within(&self.runtime, limit, next)?.transpose().map_err(io::Error::other)
    }

    /// Whether it is cut within this time, and not ended in order.
    pub fn is_cut(&mut self, limit: Duration) -> bool {
        loop {
            match self.frame(limit) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => return error.kind() != io::ErrorKind::TimedOut,
            }
        }
    }

    /// Says no more. Returns the rest of the answer and its trailers.
    ///
    /// # Errors
    /// The call was cut.
    pub fn finish(mut self) -> io::Result<(Vec<u8>, HeaderMap)> {
        self.send = None;
        let all = within(&self.runtime, PATIENCE, self.answer.into_body().collect())?;
        let all = all.map_err(io::Error::other)?;
        let trailers = all.trailers().cloned().unwrap_or_default();
        Ok((all.to_bytes().to_vec(), trailers))
    }
}

fn within<T>(runtime: &Runtime, limit: Duration, what: impl Future<Output = T>) -> io::Result<T> {
    let timed = runtime.block_on(async { tokio::time::timeout(limit, what).await });
    timed.map_err(|_| io::ErrorKind::TimedOut.into())
}
