//! HTTP/1.1 by Host: one local port for all HTTP services. The name in `Host` says which service a request is for.
//!
//! | file | subject |
//! |---|---|
//! | `upstream` | where requests go: a local socket, or a flow |
//! | `exchange` | one request and its answer, both at once, bytes as they come |
//! | `answer` | what the port itself answers |
//! | `read` | one read |
//!
//! Heads are read strictly (`catalyst-http1`, RFC 9112) and handed on unchanged; bodies stream. A client connection
//! keeps one connection to the service of its last request. Each request is decided anew: which service, and by which
//! way, so that a withdrawn route is left with the next request.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_channel::bounded;
use catalyst_http1::{Framing, Request, head_length};
use catalyst_names::{Protocol, ServiceName};
use catalyst_transport::{LocalStream, PumpEnd, pump};
use catalyst_tunnel::{Limits as TunnelLimits, Refusal};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use tracing::{debug, info};

use crate::adopt::{spawn, timeout};
use crate::limits::Limits;
use crate::plane::{Plane, Way};
use crate::shell::Shell;
use crate::splice::splice;
use crate::tables::{Live, Plan, Step};

mod answer;
mod exchange;
mod read;
mod upstream;

use answer::Answer;
use exchange::{Exchange, Outcome};
use read::poll_read;
use upstream::Upstream;

/// Serves for as long as the listener lives.
pub(crate) async fn serve<Sh: Shell>(plane: Arc<Plane<Sh>>, listener: Sh::TcpListener, most: usize) {
    let (take, give) = bounded(most.max(1));
    while take.send(()).await.is_ok() {
        let Ok(client) = Sh::accept(&listener).await else {
            let _ = give.try_recv();
            timeout(&*plane.shell, Duration::from_millis(100), future::pending::<()>()).await;
            continue;
        };
        let (own, give) = (plane.clone(), give.clone());
        spawn(&*plane.shell, async move {
            Connection { plane: own, client, rest: Vec::new(), used: None }.serve().await;
            let _ = give.try_recv();
        });
    }
}

/// The connection to a service that a client's last request used.
struct Used<T> {
    service: ServiceName,
    step: Step,
    live: Live,
    upstream: Upstream<T>,
}

/// One client.
struct Connection<Sh: Shell> {
    plane: Arc<Plane<Sh>>,
    client: Sh::Tcp,
    /// Read from the client and not used yet: at most a head and one read.
    rest: Vec<u8>,
    used: Option<Used<Sh::Tcp>>,
}

/// How a client's connection goes on.
enum Next {
    Again,
    /// With this answer, if any is due, and no more.
    End(Option<Answer>),
    /// Cut off, so that half an answer never looks like a whole one.
    Abort,
    /// Not HTTP any more.
    Raw,
}

impl<Sh: Shell> Connection<Sh> {
    async fn serve(mut self) {
        loop {
            if self.rest.is_empty() && !self.wake().await {
                return Box::pin(self.farewell(None)).await;
            }
            // In a box of its own, so that a client that is idle takes no memory for it.
            match Box::pin(self.one()).await {
                Next::Again => {}
                Next::End(last) => return Box::pin(self.farewell(last)).await,
                Next::Abort => {
                    self.client.abort();
                    return;
                }
                Next::Raw => return Box::pin(self.raw()).await,
            }
        }
    }

    /// Waits for the first byte of a request; false when none comes.
    async fn wake(&mut self) -> bool {
        self.rest = Vec::new();
        let (client, rest) = (&mut self.client, &mut self.rest);
        let first = poll_fn(|cx| poll_read(Pin::new(&mut *client), cx, rest));
        matches!(timeout(&*self.plane.shell, Limits::HTTP_IDLE, first).await, Some(Ok(1..)))
    }

    /// One request, from its first byte to the last one of its answer.
    async fn one(&mut self) -> Next {
        let length = match self.head().await {
            Ok(length) => length,
            Err(next) => return next,
        };
        let request = match Request::parse(self.rest.get(..length).unwrap_or_default()) {
            Ok(request) => request,
            Err(bad) => return Next::End(Some(Answer::bad(bad))),
        };
        let service = match self.service(&request.host) {
            Ok(service) => service,
            Err(answer) => return Next::End(Some(answer.to(&request))),
        };
        let shell = self.plane.shell.clone();
        let mut used = match self.connect(&service).await {
            Ok(used) => used,
            Err(why) => return Next::End(Some(self.refused(&service, why).to(&request))),
        };
        let reused = used.1;
        // Kept for a second try; what has a body cannot be tried again.
        let again = reused && request.idempotent && request.framing == Framing::None;
        let copy = if again { self.rest.get(..length).map(<[u8]>::to_vec) } else { None };
        let mut outcome = self.exchange(&*shell, &request, length, &mut used.0).await;
        if let (Outcome::Gone, Some(head)) = (&outcome, copy) {
            debug!(%service, "the service had closed its connection: the request is sent again on a new one");
            drop(used);
            self.rest.splice(..0, head);
            used = match self.connect(&service).await {
                Ok(used) => used,
                Err(why) => return Next::End(Some(self.refused(&service, why).to(&request))),
            };
            outcome = self.exchange(&*shell, &request, length, &mut used.0).await;
        }
        match outcome {
            Outcome::Again => {
                used.0.upstream.rests();
                self.used = Some(used.0);
                Next::Again
            }
            Outcome::Last => Next::End(None),
            Outcome::Raw => {
                self.used = Some(used.0);
                Next::Raw
            }
            Outcome::Answer(answer) => {
                debug!(%service, status = answer.status, why = %answer.text, "a request could not be carried");
                Next::End(Some(answer.to(&request)))
            }
            Outcome::Gone => {
                let why = "the service closed the connection before it answered";
                Next::End(Some(Answer::new(502, why).to(&request)))
            }
            Outcome::Broken(why) => {
                debug!(%service, why, "an exchange was cut off");
                Next::Abort
            }
        }
    }

    /// Reads up to the end of a head; its length.
    async fn head(&mut self) -> Result<usize, Next> {
        let shell = self.plane.shell.clone();
        let (client, rest) = (&mut self.client, &mut self.rest);
        let whole = async {
            loop {
                // One empty line before a request is forgiven (RFC 9112 section 2.2).
                if rest.starts_with(b"\r\n") {
                    rest.drain(..2);
                }
                match head_length(rest) {
                    Ok(Some(length)) => return Ok(length),
                    Ok(None) => {}
                    Err(bad) => return Err(Next::End(Some(Answer::bad(bad)))),
                }
                match poll_fn(|cx| poll_read(Pin::new(&mut *client), cx, rest)).await {
                    Ok(1..) => {}
                    _ => return Err(Next::End(None)),
                }
            }
        };
        timeout(&*shell, Limits::HTTP_HEAD, whole).await.unwrap_or_else(|| {
            let text = format!("the head of the request took longer than {} s", Limits::HTTP_HEAD.as_secs());
            Err(Next::End(Some(Answer::new(408, text))))
        })
    }

    /// The service that a host names.
    fn service(&self, host: &str) -> Result<ServiceName, Answer> {
        let service = ServiceName::parse(host).map_err(|_| {
            let text = format!(
                "'{host}' names no service: send 'Host: SERVICE.ORGANISATION', such as web.{}",
                self.plane.own.org()
            );
            Answer::new(404, text)
        })?;
        match self.plane.tables.protocol(&service) {
            Some(protocol @ (Protocol::Tcp | Protocol::Udp)) => Err(Answer::new(
                404,
                format!(
                    "'{service}' is a {protocol} service, not one for HTTP: give it a local port with 'expose'"
                ),
            )),
            _ => Ok(service),
        }
    }

    /// A connection to the service, and whether a request has used it before.
    async fn connect(&mut self, service: &ServiceName) -> Result<(Used<Sh::Tcp>, bool), Refusal> {
        let plane = &self.plane;
        let plan = plane.tables.plan(None, service, None, TunnelLimits::HOPS, Limits::TRIES)?;
        if let Some(mut used) = self.used.take()
            && used.service == *service
            && plan.steps.contains(&used.step)
            && used.upstream.is_silent().await
        {
            return Ok((used, true));
        }
        let live = plane.tables.enter(None, service, plan.epoch, plane.clocks.now().mono)?;
        let mut last = Refusal::NoEndpoint;
        for step in &plan.steps {
            let one = Plan { steps: vec![step.clone()], ..plan };
            match plane.dial(&one, service, &plane.own, &live).await {
                Ok(way) => {
                    let (service, step) = (service.clone(), step.clone());
                    let upstream = Upstream::from(way, &live.control);
                    return Ok((Used { service, step, live, upstream }, false));
                }
                Err(why) => last = why,
            }
        }
        Err(last)
    }

    fn refused(&self, service: &ServiceName, why: Refusal) -> Answer {
        if let Some(clients) = self.plane.turned_away.count(self.plane.clocks.now().mono) {
            info!(%service, %why, clients, "a local client was turned away");
        }
        Answer::refused(service, why)
    }

    async fn exchange(
        &mut self,
        shell: &Sh,
        request: &Request,
        length: usize,
        used: &mut Used<Sh::Tcp>,
    ) -> Outcome {
        let control = used.live.control.clone();
        let exchange =
            Exchange::new(&mut self.client, &mut self.rest, &mut used.upstream, request, length, &control);
        let mut exchange = std::pin::pin!(exchange.run());
        let moved = || (control.up(), control.down());
        let (_, begin) = moved();
        loop {
            let before = moved();
            match timeout(shell, Limits::HTTP_STALL, exchange.as_mut()).await {
                Some(outcome) => return outcome,
                None if moved() != before => {}
                None if before.1 > begin => return Outcome::Broken("nothing moved for too long"),
                None => {
                    let text =
                        format!("the service did not answer within {} s", Limits::HTTP_STALL.as_secs());
                    return Outcome::Answer(Answer::new(504, text));
                }
            }
        }
    }

    /// The rest of a connection that has changed its protocol.
    async fn raw(mut self) {
        let Some(Used { service, live, mut upstream, .. }) = self.used.take() else { return };
        let early = std::mem::take(&mut self.rest);
        if upstream.write_all(&early).await.is_err() {
            return self.client.abort();
        }
        live.control.add_up(early.len());
        let end = match upstream.into_way() {
            (Way::Socket(socket), _) => splice(self.client, socket, live.control.clone()).await,
            (Way::Flow(flow), held) => {
                if self.client.write_all(&held).await.is_err() {
                    return flow.reset(Refusal::Aborted);
                }
                live.control.add_down(held.len());
                pump(self.client, flow, live.control.clone()).await
            }
        };
        if end != PumpEnd::Finished {
            debug!(%service, ?end, "an upgraded connection ended early");
        }
    }

    /// The last answer, and an end that lets the client read it: what it still sends is read and dropped for a while,
    /// as a reset would destroy the answer on its way (RFC 9112 section 9.6).
    async fn farewell(mut self, last: Option<Answer>) {
        self.used = None;
        let shell = self.plane.shell.clone();
        let end = async {
            if let Some(answer) = last {
                self.client.write_all(answer.bytes().as_bytes()).await?;
            }
            self.client.close().await?;
            let mut sink = [0; 1024];
            for _ in 0..Limits::HTTP_LINGER_READS {
                if self.client.read(&mut sink).await? == 0 {
                    break;
                }
            }
            std::io::Result::Ok(())
        };
        timeout(&*shell, Limits::HTTP_LINGER, end).await;
    }
}
