//! Real sockets: what waits is woken, once it is true, and by nothing else for long.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use catalyst_reactor::{OneThread, Side, Source, Stream};
use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, future};
use quinn::Runtime;
use quinn::udp::{EcnCodepoint, RecvMeta, Transmit};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};

const SOON: Duration = Duration::from_secs(20);

/// Runs a test's future; a wake-up that never comes ends it.
fn run<T>(runtime: &OneThread, work: impl Future<Output = T>) -> T {
    let mut late = runtime.new_timer(Instant::now() + SOON);
    runtime.block_on(future::or(work, async {
        poll_fn(|cx| late.as_mut().poll(cx)).await;
        panic!("nobody was woken in {SOON:?}")
    }))
}

fn pair(runtime: &OneThread) -> (Stream<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Stream(Source::new(runtime.reactor(), ours).unwrap()), theirs)
}

#[test]
fn a_reader_is_woken_by_bytes_and_by_their_end() {
    let runtime = OneThread::new().unwrap();
    let (mut stream, mut theirs) = pair(&runtime);
    let writer = std::thread::spawn(move || {
        for word in ["one", "two", "three"] {
            std::thread::sleep(Duration::from_millis(20));
            theirs.write_all(word.as_bytes()).unwrap();
        }
    });
    let mut text = String::new();
    run(&runtime, stream.read_to_string(&mut text)).unwrap();
    assert_eq!(text, "onetwothree");
    writer.join().unwrap();
}

#[test]
fn an_end_that_came_together_with_the_last_bytes_is_seen() {
    // One change tells of both. The read of the bytes is shorter than its buffer, which must not mean to wait.
    let runtime = OneThread::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..50 {
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        client.write_all(b"last words").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut stream = Stream(Source::new(runtime.reactor(), server).unwrap());
        let mut text = String::new();
        run(&runtime, stream.read_to_string(&mut text)).unwrap();
        assert_eq!(text, "last words");
    }
}

#[test]
fn a_writer_waits_for_room_and_gets_it() {
    let runtime = OneThread::new().unwrap();
    let (mut stream, mut theirs) = pair(&runtime);
    let all: Vec<u8> = (0..4 << 20).map(|n: u32| ((n * 31) >> 8) as u8).collect();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).unwrap();
        got
    });
    run(&runtime, stream.write_all(&all)).unwrap();
    drop(stream);
    assert!(reader.join().unwrap() == all);
}

#[test]
fn both_directions_wait_at_the_same_time() {
    let runtime = OneThread::new().unwrap();
    let (stream, theirs) = pair(&runtime);
    let (mut from, mut to) = (theirs.try_clone().unwrap(), theirs);
    let echo = std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(|_| ()));
    let all = vec![7; 2 << 20];
    let (mut read, mut write) = futures_lite::io::split(stream);
    let got = run(&runtime, async {
        let sends = runtime.executor().spawn({
            let all = all.clone();
            async move { write.write_all(&all).await.map(|()| write) }
        });
        let mut got = vec![0; all.len()];
        read.read_exact(&mut got).await.unwrap();
        sends.await.unwrap();
        got
    });
    assert!(got == all);
    drop(read);
    let _ = echo.join().unwrap();
}

#[test]
fn a_task_that_never_rests_does_not_keep_sockets_and_timers_from_others() {
    let runtime = OneThread::new().unwrap();
    let (mut stream, mut theirs) = pair(&runtime);
    let busy = runtime.executor().spawn(async {
        loop {
            future::yield_now().await;
        }
    });
    theirs.write_all(b"x").unwrap();
    let mut timer = runtime.new_timer(Instant::now() + Duration::from_millis(30));
    run(&runtime, async {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        poll_fn(|cx| timer.as_mut().poll(cx)).await;
        busy.cancel().await
    });
}

#[test]
fn another_thread_ends_a_wait_of_the_thread() {
    let runtime = OneThread::new().unwrap();
    for round in 0..2_000 {
        let (say, hear) = std::sync::mpsc::channel::<std::task::Waker>();
        let waking = std::thread::spawn(move || hear.recv().unwrap().wake());
        let mut polls = 0;
        run(
            &runtime,
            poll_fn(|cx| {
                polls += 1;
                if polls == 1 {
                    say.send(cx.waker().clone()).unwrap();
                    return Poll::Pending;
                }
                Poll::Ready(())
            }),
        );
        waking.join().unwrap();
        assert!(polls >= 2, "round {round}");
    }
}

#[test]
fn a_timer_fires_at_the_last_moment_it_was_given() {
    let runtime = OneThread::new().unwrap();
    let begin = Instant::now();
    let at = |ms| begin + Duration::from_millis(ms);
    let mut timer = runtime.new_timer(at(20));
    let fires = |timer: &mut Pin<Box<dyn quinn::AsyncTimer>>| {
        run(&runtime, poll_fn(|cx| timer.as_mut().poll(cx)));
        Instant::now()
    };
    // Waits, is moved away while it waits, and again.
    let moved = run(&runtime, async {
        assert!(poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx))).await.is_pending());
        timer.as_mut().reset(at(60));
        assert!(poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx))).await.is_pending());
        poll_fn(|cx| timer.as_mut().poll(cx)).await;
        Instant::now()
    });
    assert!(moved >= at(60), "{:?}", moved - begin);
    // Moved nearer while it waits.
    let moved = run(&runtime, async {
        timer.as_mut().reset(at(60_000));
        assert!(poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx))).await.is_pending());
        timer.as_mut().reset(at(90));
        poll_fn(|cx| timer.as_mut().poll(cx)).await;
        Instant::now()
    });
    assert!(moved >= at(90) && moved < at(10_000));
    // After it fired, to a moment that has passed.
    timer.as_mut().reset(at(1));
    assert!(fires(&mut timer) < at(10_000));
    // A dropped one takes its place along.
    let mut other = runtime.new_timer(at(120_000));
    run(&runtime, poll_fn(|cx| Poll::Ready(other.as_mut().poll(cx)))).is_pending();
    drop(other);
}

#[test]
fn sources_that_come_and_go_do_not_take_each_others_changes() {
    let runtime = OneThread::new().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    run(&runtime, async {
        for round in 0..200_u32 {
            let tasks: Vec<_> = (0..10_u32)
                .map(|n| {
                    let (mut stream, mut theirs) = pair(&runtime);
                    let seen = seen.clone();
                    let word = (round * 10 + n).to_be_bytes();
                    // Some are dropped while they wait.
                    let task = runtime.executor().spawn(async move {
                        let mut got = [0; 4];
                        stream.read_exact(&mut got).await.unwrap();
                        assert_eq!(got, word);
                        seen.fetch_add(1, Ordering::Relaxed);
                    });
                    (n, task, move || theirs.write_all(&word).map(|()| theirs))
                })
                .collect();
            future::yield_now().await;
            for (n, task, write) in tasks {
                if n % 3 == 0 {
                    drop(task);
                } else {
                    let _open = write().unwrap();
                    task.await;
                }
            }
        }
    });
    assert_eq!(seen.load(Ordering::Relaxed), 200 * 6);
}

#[test]
fn packets_go_from_one_socket_of_quic_to_another() {
    let runtime = OneThread::new().unwrap();
    let udp = || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    };
    let (ours, theirs) = (udp(), udp());
    let to = theirs.local_addr().unwrap();
    let (ours, theirs) = (runtime.wrap_udp_socket(ours).unwrap(), runtime.wrap_udp_socket(theirs).unwrap());
    let transmit = |contents| Transmit {
        destination: to,
        ecn: Some(EcnCodepoint::Ect0),
        contents,
        segment_size: None,
        src_ip: None,
    };
    let mut pollers: Vec<_> = (0..3).map(|_| ours.clone().create_io_poller()).collect();
    run(&runtime, async {
        for poller in &mut pollers {
            poll_fn(|cx| poller.as_mut().poll_writable(cx)).await.unwrap();
        }
        ours.try_send(&transmit(b"packet")).unwrap();
        let mut buffer = [0; 2_048];
        let mut meta = [RecvMeta::default()];
        let count = poll_fn(|cx| {
            let mut bufs = [std::io::IoSliceMut::new(&mut buffer)];
            theirs.poll_recv(cx, &mut bufs, &mut meta)
        })
        .await
        .unwrap();
        assert_eq!((count, meta[0].len, meta[0].addr), (1, 6, ours.local_addr().unwrap()));
        assert_eq!(&buffer[..6], b"packet");
    });
}

#[test]
fn a_refused_connection_is_told_and_an_accepted_one_waits_for_bytes() {
    let runtime = OneThread::new().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let source = Source::new(runtime.reactor(), listener).unwrap();
    let to = source.io().local_addr().unwrap();
    let client = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        std::net::TcpStream::connect(to).unwrap()
    });
    let (accepted, _) =
        run(&runtime, poll_fn(|cx| source.poll_call(Side::Read, cx, TcpListener::accept))).unwrap();
    accepted.set_nonblocking(true).unwrap();
    let accepted = Source::new(runtime.reactor(), accepted).unwrap();
    let mut byte = [0];
    let read = accepted.try_call(Side::Read, |mut io| io.read(&mut byte));
    assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(client.join().unwrap());
    let end = run(&runtime, poll_fn(|cx| accepted.poll_call(Side::Read, cx, |mut io| io.read(&mut byte))));
    assert_eq!(end.unwrap(), 0);
}

/// Lets the reactor turn: what is registered tells of itself once, which would hide a change that is lost later.
async fn settle(runtime: &OneThread) {
    let mut timer = runtime.new_timer(Instant::now() + Duration::from_millis(30));
    poll_fn(|cx| timer.as_mut().poll(cx)).await;
}

/// Six bytes, by reads that could take more than what is there.
async fn six(runtime: &OneThread, stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    settle(runtime).await;
    let mut got = Vec::new();
    while got.len() < 6 {
        let mut part = [0; 64];
        let len = stream.read(&mut part).await.unwrap();
        assert!(len > 0, "the end after {got:?}");
        got.extend_from_slice(&part[..len]);
    }
    got
}

fn tcp(runtime: &OneThread) -> (Stream<std::net::TcpStream>, std::net::TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Stream(Source::new(runtime.reactor(), ours).unwrap()), theirs)
}

#[test]
fn bytes_behind_urgent_data_are_read() {
    let runtime = OneThread::new().unwrap();
    let (mut ours, mut theirs) = tcp(&runtime);
    theirs.write_all(b"abc").unwrap();
    send(&theirs, b"X", SendFlags::OOB).unwrap();
    theirs.write_all(b"def").unwrap();
    assert_eq!(run(&runtime, six(&runtime, &mut ours)), b"abcdef");
}

#[test]
fn bytes_behind_a_message_with_descriptors_are_read() {
    let runtime = OneThread::new().unwrap();
    let (mut ours, mut theirs) = pair(&runtime);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let passed = [theirs.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&passed)));
    sendmsg(&theirs, &[IoSlice::new(b"abc")], &mut control, SendFlags::empty()).unwrap();
    theirs.write_all(b"def").unwrap();
    assert_eq!(run(&runtime, six(&runtime, &mut ours)), b"abcdef");
}

#[test]
fn more_slices_than_the_system_takes_are_written_in_several_calls() {
    let runtime = OneThread::new().unwrap();
    let (mut ours, mut theirs) = tcp(&runtime);
    let data: Vec<u8> = (0..2_500_u32).map(|n| n as u8).collect();
    run(&runtime, async {
        settle(&runtime).await;
        let mut sent = 0;
        while sent < data.len() {
            let slices: Vec<IoSlice<'_>> = data[sent..].chunks(1).map(IoSlice::new).collect();
            sent += poll_fn(|cx| Pin::new(&mut ours).poll_write_vectored(cx, &slices)).await.unwrap();
        }
    });
    drop(ours);
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).unwrap();
    assert_eq!(got, data);
}

#[test]
fn a_wait_within_a_wait_does_not_take_its_wish_to_go_on() {
    let runtime = OneThread::new().unwrap();
    let mut first = true;
    run(
        &runtime,
        poll_fn(|cx| {
            if std::mem::take(&mut first) {
                cx.waker().wake_by_ref();
                runtime.reactor().block_on(async {});
                return Poll::Pending;
            }
            Poll::Ready(())
        }),
    );
}
