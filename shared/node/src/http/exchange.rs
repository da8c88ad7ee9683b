//! One request and its answer. Both directions move at once: a service may answer before it has read all.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use catalyst_http1::{BadMessage, Body, Framing, Request, Response, head_length};
use catalyst_transport::FlowControl;
use catalyst_tunnel::Refusal;
use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::http::answer::Answer;
use crate::http::read::poll_read;

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// In order, and both connections can carry another one.
    Again,
    /// In order, and neither can.
    Last,
    /// The service agreed to another protocol; its answer has been handed on.
    Raw,
    /// Nothing was answered yet: this is to be.
    Answer(Answer),
    /// The service closed before the first byte of an answer.
    Gone,
    /// In the middle of an answer.
    Broken(&'static str),
}

/// Turns of one direction before others get theirs.
const TURNS: usize = 16;

/// The two connections, and how far each direction is.
pub(super) struct Exchange<'a, C, U> {
    client: &'a mut C,
    rest: &'a mut Vec<u8>,
    upstream: &'a mut U,
    request: &'a Request,
    control: &'a FlowControl,
    up: Up,
    down: Down,
}

/// From the client to the service.
struct Up {
    out: Out,
    body: Body,
    /// All is sent, or the service takes no more.
    end: Option<UpEnd>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum UpEnd {
    Whole,
    NotTaken,
}

/// From the service to the client.
struct Down {
    /// Received and not looked at yet.
    rest: Vec<u8>,
    out: Out,
    /// The final answer, once its head is there.
    answer: Option<(Response, Body)>,
    /// Bytes of an answer have reached the client.
    begun: bool,
}

/// Bytes on their way out.
#[derive(Default)]
struct Out {
    bytes: Vec<u8>,
    at: usize,
}

impl Out {
    fn left(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn took(&mut self, bytes: usize) {
        self.at += bytes;
        if self.at >= self.bytes.len() {
            *self = Out::default();
        }
    }

    fn set(&mut self, bytes: Vec<u8>) {
        *self = Out { bytes, at: 0 };
    }
}

/// What a direction does when it cannot go on.
type Step = Poll<Result<(), Outcome>>;

impl<'a, C, U> Exchange<'a, C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// The request's head lies in the first `length` bytes of `rest`; it is taken out.
    pub(super) fn new(
        client: &'a mut C,
        rest: &'a mut Vec<u8>,
        upstream: &'a mut U,
        request: &'a Request,
        length: usize,
        control: &'a FlowControl,
    ) -> Self {
        let mut out = Out::default();
        out.set(rest.drain(..length.min(rest.len())).collect());
        let up = Up { out, body: Body::new(request.framing), end: None };
        let down = Down { rest: Vec::new(), out: Out::default(), answer: None, begun: false };
        Exchange { client, rest, upstream, request, control, up, down }
    }

    pub(super) async fn run(mut self) -> Outcome {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        if let Some(why) = self.control.poll_cut(cx) {
            return Poll::Ready(self.failed(why));
        }
        if let Poll::Ready(Err(outcome)) = self.poll_up(cx) {
            return Poll::Ready(outcome);
        }
        Poll::Ready(match ready!(self.poll_down(cx)) {
            Err(outcome) => outcome,
            Ok(()) => self.whole(),
        })
    }

    /// The answer has been handed on to its end.
    fn whole(&self) -> Outcome {
        let Some((answer, _)) = &self.down.answer else { return Outcome::Gone };
        if answer.status == 101 {
            return Outcome::Raw;
        }
        let sent = self.up.end == Some(UpEnd::Whole);
        // Bytes that nobody asked for must never be taken for the next answer.
        let quiet = self.down.rest.is_empty();
        if sent && quiet && self.request.keep_alive && answer.keep_alive {
            Outcome::Again
        } else {
            Outcome::Last
        }
    }

    fn failed(&self, why: Refusal) -> Outcome {
        match self.down.begun {
            true => Outcome::Broken("the flow was cut"),
            false => Outcome::Answer(Answer::new(502, why.to_string())),
        }
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURNS {
            if self.up.end.is_some() {
                return Poll::Ready(Ok(()));
            }
            if !self.up.out.left().is_empty() {
                match ready!(Pin::new(&mut *self.upstream).poll_write(cx, self.up.out.left())) {
                    Ok(bytes @ 1..) => {
                        self.control.add_up(bytes);
                        self.up.out.took(bytes);
                    }
                    // It may have answered already, without wanting to know the rest.
                    _ => self.up.end = Some(UpEnd::NotTaken),
                }
            } else if self.up.body.is_done() {
                self.up.end = Some(UpEnd::Whole);
            } else if !self.rest.is_empty() {
                let bytes = self.up.body.take(self.rest).map_err(|bad| self.bad_request(bad))?;
                self.up.out.set(self.rest.drain(..bytes).collect());
            } else {
                match ready!(poll_read(Pin::new(&mut *self.client), cx, self.rest)) {
                    Ok(1..) => {}
                    _ => {
                        return Poll::Ready(Err(Outcome::Broken(
                            "the client left in the middle of its request",
                        )));
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn bad_request(&self, bad: BadMessage) -> Outcome {
        match self.down.begun {
            true => Outcome::Broken("the body of the request is malformed"),
            false => Outcome::Answer(Answer::bad(bad)),
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) -> Step {
        for _ in 0..TURNS {
            if !self.down.out.left().is_empty() {
                match ready!(Pin::new(&mut *self.client).poll_write(cx, self.down.out.left())) {
                    Ok(bytes @ 1..) => {
                        self.down.begun = true;
                        self.control.add_down(bytes);
                        self.down.out.took(bytes);
                    }
                    _ => return Poll::Ready(Err(Outcome::Broken("the client left before its answer"))),
                }
                continue;
            }
            if self.down.answer.as_ref().is_some_and(|(_, body)| body.is_done()) {
                return Pin::new(&mut *self.client)
                    .poll_flush(cx)
                    .map_err(|_| Outcome::Broken("the client left before its answer"));
            }
            if self.take_received()? {
                continue;
            }
            let read = ready!(poll_read(Pin::new(&mut *self.upstream), cx, &mut self.down.rest));
            if !matches!(read, Ok(1..)) {
                return Poll::Ready(self.upstream_ended(read.is_ok()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what was received on its way out; false when more is needed.
    fn take_received(&mut self) -> Result<bool, Outcome> {
        let down = &mut self.down;
        if down.rest.is_empty() {
            return Ok(false);
        }
        let begun = down.begun;
        let bad = |bad: BadMessage| match begun {
            true => Outcome::Broken("the service's answer is malformed"),
            false => {
                Outcome::Answer(Answer::new(502, format!("the service's answer cannot be handed on: {bad}")))
            }
        };
        if let Some((_, body)) = &mut down.answer {
            let bytes = body.take(&down.rest).map_err(bad)?;
            down.out.set(down.rest.drain(..bytes).collect());
            return Ok(true);
        }
        let Some(length) = head_length(&down.rest).map_err(bad)? else { return Ok(false) };
        let head: Vec<u8> = down.rest.drain(..length).collect();
        let answer = Response::parse(&head, self.request.is_head).map_err(bad)?;
        if answer.status == 101 && !self.request.upgrade {
            return Err(bad(BadMessage::Malformed("it changes a protocol that nobody asked to change")));
        }
        if answer.status == 101 {
            // What follows is of the new protocol.
            let mut all = head;
            all.append(&mut down.rest);
            down.out.set(all);
            down.answer = Some((answer, Body::new(Framing::None)));
        } else {
            down.out.set(head);
            if !answer.is_interim() {
                down.answer = Some((answer, Body::new(answer.framing)));
            }
        }
        Ok(true)
    }

    /// The service sends no more, in order or not.
    fn upstream_ended(&mut self, in_order: bool) -> Result<(), Outcome> {
        match &self.down.answer {
            Some((_, body)) if in_order && body.may_close() => Ok(()),
            Some(_) => Err(Outcome::Broken("the service closed in the middle of its answer")),
            None if !self.down.begun && self.down.rest.is_empty() => Err(Outcome::Gone),
            None if self.down.begun => Err(Outcome::Broken("the service closed before its answer")),
            None => {
                let text = "the service closed in the middle of the head of its answer";
                Err(Outcome::Answer(Answer::new(502, text)))
            }
        }
    }
}
