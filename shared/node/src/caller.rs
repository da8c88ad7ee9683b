//! The client of a request, and whether it is still there. A node that was stopped or stuck finds requests in its socket
//! whose clients gave up long ago; what they asked must not happen behind their backs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Who asks. Without a socket it is a part of the node, which is always there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller(Option<Arc<OwnedFd>>);

impl Caller {
    /// The client at the other end of a Unix socket.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub(crate) fn at(socket: impl AsFd) -> io::Result<Self> {
        Ok(Caller(Some(Arc::new(socket.as_fd().try_clone_to_owned()?))))
    }

    /// Whether nobody would read the answer: the other end is closed, by the client or by the system at its end. One that
    /// only says that it will ask no more (shutdown(2) of its writing direction, as `nc -N` does) still waits.
    pub(crate) fn is_gone(&self) -> bool {
        const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        let Some(socket) = &self.0 else { return false };
        // Both are told unasked.
        let mut socket = [PollFd::new(&**socket, PollFlags::empty())];
        let told = poll(&mut socket, Some(&NOW)).is_ok_and(|told| told > 0);
        told && socket.iter().any(|s| s.revents().intersects(PollFlags::HUP | PollFlags::ERR))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_client_is_gone_when_its_end_is_closed() {
        assert!(!Caller::default().is_gone());
        let (mut client, mut own) = UnixStream::pair().unwrap();
        let caller = Caller::at(&own).unwrap();
        client.write_all(b"a question\n").unwrap();
        assert!(!caller.is_gone(), "it waits for the answer");
        client.shutdown(Shutdown::Write).unwrap();
        assert!(!caller.is_gone(), "it still does");
        own.write_all(b"unread").unwrap();
        drop(client);
        assert!(caller.is_gone());
        let _ = own.read(&mut [0; 4]);
        assert!(caller.is_gone(), "whatever is left of what it asked");
    }
}
