use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use catalyst_tunnel::Refusal;
use futures_lite::future::block_on;
use futures_lite::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::*;

/// A socket of the standard library that is asked again and again.
struct Busy(TcpStream);

fn again(cx: &mut Context<'_>, done: io::Result<usize>) -> Poll<io::Result<usize>> {
    match done {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            thread::yield_now();
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        done => Poll::Ready(done),
    }
}

impl AsyncRead for Busy {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        again(cx, (&self.0).read(buf))
    }
}

impl AsyncWrite for Busy {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        again(cx, (&self.0).write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(Shutdown::Write))
    }
}

impl LocalStream for Busy {
    fn abort(&mut self) {
        SockRef::from(&self.0).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

impl LocalSocket for Busy {
    fn poll_read_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        again(cx, call(self.0.as_fd()))
    }

    fn poll_write_call(&self, cx: &mut Context<'_>, call: SocketCall<'_>) -> Poll<io::Result<usize>> {
        again(cx, call(self.0.as_fd()))
    }
}

/// A client or a service, and its end inside the node.
fn pair() -> (TcpStream, Busy) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let outside = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    outside.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let inside = listener.accept().unwrap().0;
    inside.set_nonblocking(true).unwrap();
    (outside, Busy(inside))
}

struct Joined {
    client: TcpStream,
    service: TcpStream,
    control: Arc<FlowControl>,
    end: thread::JoinHandle<PumpEnd>,
}

fn joined(copies: bool) -> Joined {
    let ((client, near), (service, far)) = (pair(), pair());
    let control = FlowControl::new(&catalyst_transport::Held::new(usize::MAX));
    let counted = control.clone();
    let end = thread::spawn(move || block_on(join(near, far, counted, copies)));
    Joined { client, service, control, end }
}

fn whole(mut stream: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn bytes_arrive_in_order_are_counted_and_a_half_close_is_carried_through() {
    for copies in [false, true] {
        let Joined { client, service, control, end } = joined(copies);
        let request: Vec<u8> =
            (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let sent = request.clone();
        let writer = client.try_clone().unwrap();
        let writing = thread::spawn(move || {
            (&writer).write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        assert!(whole(&service) == request, "copies: {copies}");
        writing.join().unwrap();
        // The other half still stands.
        (&service).write_all(b"answer").unwrap();
        service.shutdown(Shutdown::Write).unwrap();
        assert_eq!(whole(&client), b"answer");
        assert_eq!(end.join().unwrap(), PumpEnd::Finished);
        assert_eq!((control.up(), control.down()), (3_000_000, 6));
    }
}

#[test]
fn a_reset_of_one_side_resets_the_other() {
    for copies in [false, true] {
        let Joined { client, service, end, .. } = joined(copies);
        SockRef::from(&service).set_linger(Some(Duration::ZERO)).unwrap();
        drop(service);
        let error = (&client).read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(end.join().unwrap(), PumpEnd::LocalReset(io::ErrorKind::ConnectionReset));
    }
}

#[test]
fn a_cut_resets_both_also_while_one_does_not_read() {
    let Joined { client, service, control, end } = joined(false);
    client.set_nonblocking(true).unwrap();
    // Until nothing more fits anywhere.
    let (mut sent, mut idle) = (0, 0);
    while idle < 200 {
        match (&client).write(&[7; 65_536]) {
            Ok(n) => (sent, idle) = (sent + n, 0),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                idle += 1;
                thread::sleep(Duration::from_millis(1));
            }
            Err(e) => panic!("{e}"),
        }
    }
    assert!((control.up() as usize) < sent, "the service reads nothing");
    control.cut(Refusal::NotPermitted);
    assert_eq!(end.join().unwrap(), PumpEnd::Cut(Refusal::NotPermitted));
    let mut all = Vec::new();
    assert_eq!((&service).read_to_end(&mut all).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    client.set_nonblocking(false).unwrap();
    assert_eq!((&client).read(&mut [0; 1]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_thread_keeps_no_more_empty_pipes_than_its_limit() {
    let pipes: Vec<Pipe> = (0..Limits::PIPES + 5).map(|_| take_pipe().unwrap()).collect();
    pipes.into_iter().for_each(give_back);
    assert_eq!(PIPES.with_borrow(Vec::len), Limits::PIPES);
}

#[test]
fn urgent_data_neither_ends_a_flow_nor_holds_up_what_follows_it() {
    for copies in [false, true] {
        let Joined { client, service, end, .. } = joined(copies);
        (&client).write_all(b"abc").unwrap();
        SockRef::from(&client).send_out_of_band(b"X").unwrap();
        (&client).write_all(b"def").unwrap();
        let mut got = [0; 6];
        (&service).read_exact(&mut got).unwrap();
        assert_eq!(&got, b"abcdef", "copies: {copies}");
        // And again with the end right behind.
        SockRef::from(&client).send_out_of_band(b"Y").unwrap();
        (&client).write_all(b"ghi").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(whole(&service), b"ghi", "copies: {copies}");
        service.shutdown(Shutdown::Write).unwrap();
        assert_eq!(whole(&client), b"");
        assert_eq!(end.join().unwrap(), PumpEnd::Finished);
    }
}
