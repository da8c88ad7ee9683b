//! Sessions on one thread, flows on others.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::runtime::{Builder, Handle};

thread_local! {
    /// Where flows live in the test that runs on this thread, if apart from sessions.
    pub static FLOWS: RefCell<Option<Arc<dyn Runtime>>> = const { RefCell::new(None) };
}

/// A runtime of tokio, whoever calls.
#[derive(Debug)]
struct Place(Handle);

impl Runtime for Place {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.spawn(task);
    }

    fn wrap_udp_socket(&self, socket: std::net::UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let _inside = self.0.enter();
        TokioRuntime.wrap_udp_socket(socket)
    }
}

/// Runs a test whose sessions live on its own thread, and its flows on so many others; it gets both places.
pub fn run<T>(threads: usize, test: impl FnOnce(Arc<dyn Runtime>, Handle) -> T)
where
    T: Future<Output = ()>,
{
    let home = Builder::new_current_thread().enable_all().build().unwrap();
    let pool = Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap();
    FLOWS.set(Some(Arc::new(Place(pool.handle().clone()))));
    home.block_on(test(Arc::new(Place(home.handle().clone())), pool.handle().clone()));
    FLOWS.set(None);
}
