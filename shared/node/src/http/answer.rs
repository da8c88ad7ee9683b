//! What the port itself answers, when no service does.

use catalyst_http1::{BadMessage, Request};
use catalyst_names::ServiceName;
use catalyst_tunnel::Refusal;

/// An answer of this node. The connection ends with it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) text: String,
    /// The request was HEAD: no body.
    is_head: bool,
}

impl Answer {
    pub(super) fn new(status: u16, text: impl Into<String>) -> Self {
        Answer { status, text: text.into(), is_head: false }
    }

    pub(super) fn bad(bad: BadMessage) -> Self {
        Answer::new(bad.status(), bad.to_string())
    }

    /// Why a service cannot be reached (RFC 9110 sections 15.5 and 15.6, RFC 5842 section 7.2).
    pub(super) fn refused(service: &ServiceName, why: Refusal) -> Self {
        let status = match why {
            Refusal::NoSuchService => 404,
            Refusal::NotPermitted => 403,
            Refusal::NoEndpoint | Refusal::TooManyFlows | Refusal::Closing => 503,
            Refusal::TargetTimeout => 504,
            Refusal::HopLimit => 508,
            Refusal::TargetRefused
            | Refusal::BadHeader
            | Refusal::Aborted
            | Refusal::StoodStill
            | Refusal::Other(_) => 502,
        };
        Answer::new(status, format!("{service}: {why}"))
    }

    /// As the answer to this request.
    pub(super) fn to(self, request: &Request) -> Self {
        Answer { is_head: request.is_head, ..self }
    }

    /// On the wire.
    pub(super) fn bytes(&self) -> String {
        let text = if self.is_head { "" } else { self.text.as_str() };
        let line = if self.is_head { "" } else { "catalyst: " };
        let end = if self.is_head { "" } else { "\n" };
        let length = "catalyst: ".len() + self.text.len() + 1;
        let (status, reason) = (self.status, reason(self.status));
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{line}{text}{end}"
        )
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "Error",
    }
}
