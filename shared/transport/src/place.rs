//! Where the tasks of connections live, for a shell that gives sessions a place of their own.
//!
//! A message between two neighbours passes the tasks of the endpoint, of two connections, of their sessions and of the
//! caller. On one thread they hand it on without waking anybody. quinn starts the task of a connection wherever the
//! endpoint's runtime puts it, before anybody knows whether it is a session or carries flows; so the endpoint gets
//! [`Catching`], and who makes a connection takes its task and starts it where it belongs.

use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime};

use crate::rt::Rt;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What becomes of the next task that the endpoint's runtime is given.
#[derive(Default)]
enum Next {
    #[default]
    Started,
    Caught,
    Here(Task),
}

thread_local! {
    static NEXT: Cell<Next> = const { Cell::new(Next::Started) };
    /// Whether the task that runs just now is one of a session's connection.
    static AT_HOME: Cell<bool> = const { Cell::new(false) };
}

/// The runtime of an endpoint whose connections live in two places.
#[derive(Debug)]
pub(crate) struct Catching(pub Arc<dyn Runtime>);

impl Runtime for Catching {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        let (runtime, home) = (Arc::clone(&self.0), AT_HOME.get());
        Box::pin(Timer { inner: runtime.new_timer(at), runtime, home })
    }

    fn spawn(&self, task: Task) {
        match NEXT.take() {
            Next::Started => self.0.spawn(task),
            Next::Caught => NEXT.set(Next::Here(task)),
            Next::Here(other) => {
                // Whoever caught one makes one connection: not reached, and nothing is lost.
                NEXT.set(Next::Here(other));
                self.0.spawn(task);
            }
        }
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        self.0.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }
}

/// Makes a connection and takes its task; there is none where the endpoint's runtime has started it.
pub(crate) fn catch<T>(otherwise: &Rt, make: impl FnOnce() -> T) -> (T, Driver) {
    NEXT.set(Next::Caught);
    let made = make();
    let task = match NEXT.take() {
        Next::Here(task) => Some(task),
        Next::Started | Next::Caught => None,
    };
    (made, Driver { task, otherwise: otherwise.clone() })
}

/// The task of a connection. If it is dropped, the task runs all the same, in the place for everything but sessions:
/// the endpoint knows a connection until its task has ended.
pub(crate) struct Driver {
    task: Option<Task>,
    otherwise: Rt,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("here", &self.task.is_some()).finish_non_exhaustive()
    }
}

impl Driver {
    /// Waits for something that needs the connection to go on, which is not started yet.
    pub async fn meanwhile<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = Box::pin(wanted);
        poll_fn(|cx| {
            if self.task.as_mut().is_some_and(|task| task.as_mut().poll(cx).is_ready()) {
                self.task = None;
            }
            wanted.as_mut().poll(cx)
        })
        .await
    }

    /// Starts it in the place of sessions.
    pub fn start_at_home(mut self, home: &Rt) {
        if let Some(task) = self.task.take() {
            home.spawn(AtHome(task));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            self.otherwise.spawn(task);
        }
    }
}

struct AtHome(Task);

impl Future for AtHome {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        AT_HOME.set(true);
        let done = self.0.as_mut().poll(cx);
        AT_HOME.set(false);
        done
    }
}

/// A timer of a connection. One that was made in the other place is made anew when it is set: to set it there would wake
/// the other place with every packet.
struct Timer {
    inner: Pin<Box<dyn AsyncTimer>>,
    runtime: Arc<dyn Runtime>,
    home: bool,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("home", &self.home).finish_non_exhaustive()
    }
}

impl AsyncTimer for Timer {
    fn reset(mut self: Pin<&mut Self>, at: Instant) {
        let home = AT_HOME.get();
        if home == self.home {
            self.inner.as_mut().reset(at);
        } else {
            self.home = home;
            self.inner = self.runtime.new_timer(at);
        }
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.as_mut().poll(cx)
    }
}
