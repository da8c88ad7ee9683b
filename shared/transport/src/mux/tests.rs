//! Two states joined by nothing but bytes: whatever is done, in whatever order the bytes are cut, each stream arrives
//! whole or ends with its code, nothing exceeds its window, and nothing waits for ever.

use std::task::{Context, Poll, Waker};

use super::frame::{self, BODY, Broken, Hello, Kind};
use super::state::{State, Windows};
use crate::end::{ConnEnd, HalfEnd};
use crate::limits::Limits;

const WINDOWS: Windows = Windows { stream: 1_000, connection: 2_500, streams: 4 };

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }
}

/// Two sides and the bytes between them.
struct Line {
    sides: [State; 2],
    wire: [Vec<u8>; 2],
}

impl Line {
    fn new() -> Line {
        let sides = [State::new(true, WINDOWS), State::new(false, WINDOWS)];
        Line { sides, wire: [Vec::new(), Vec::new()] }
    }

    /// Moves up to `most` bytes of what one side has to say.
    fn carry(&mut self, from: usize, most: usize) -> bool {
        let output = self.sides[from].take_output();
        self.wire[from].extend(output);
        let len = most.min(self.wire[from].len());
        let bytes: Vec<u8> = self.wire[from].drain(..len).collect();
        self.sides[1 - from].receive(&bytes).unwrap();
        len > 0
    }

    fn settle(&mut self) {
        while self.carry(0, usize::MAX) | self.carry(1, usize::MAX) {}
    }

    fn open(&mut self, by: usize) -> (u32, u32) {
        let Poll::Ready(Ok(id)) = self.sides[by].poll_open(&cx()) else { panic!("cannot open") };
        (id, id)
    }
}

fn read(state: &mut State, id: u32) -> Poll<Result<Option<Vec<u8>>, HalfEnd>> {
    state.poll_read(id, &cx(), usize::MAX).map_ok(|bytes| bytes.map(|b| b.to_vec()))
}

#[test]
fn streams_arrive_whole_whatever_the_order() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut line = Line::new();
        line.settle();
        // For each stream: who opened it, what it shall carry, sent so far, received so far, end seen.
        let mut streams = Vec::new();
        let (mut opened, mut ended) = (0, 0);
        for _ in 0..200_000 {
            if ended == 30 {
                break;
            }
            match random.next(6) {
                0 if opened < 30 => {
                    let by = random.next(2);
                    if let Poll::Ready(Ok(id)) = line.sides[by].poll_open(&cx()) {
                        opened += 1;
                        let data: Vec<u8> = (0..random.next(5_000)).map(|i| (i * 7 + opened) as u8).collect();
                        streams.push((by, id, data, 0, Vec::<u8>::new(), false));
                    }
                }
                1 | 2 => {
                    let (from, most) = (random.next(2), 1 + random.next(700));
                    line.carry(from, most);
                }
                3 | 4 if !streams.is_empty() => {
                    let at = random.next(streams.len());
                    let (by, id, data, sent, ..) = &mut streams[at];
                    let left = &data[*sent..];
                    if left.is_empty() {
                        line.sides[*by].finish(*id);
                    } else {
                        let most = 1 + random.next(left.len());
                        match line.sides[*by].poll_write(*id, &cx(), &left[..most]) {
                            Poll::Ready(Ok(taken)) => *sent += taken,
                            Poll::Ready(Err(e)) => panic!("seed {seed}: {e}"),
                            Poll::Pending => {}
                        }
                    }
                }
                _ if !streams.is_empty() => {
                    let at = random.next(streams.len());
                    let (by, id, data, _, got, _) = &mut streams[at];
                    match read(&mut line.sides[1 - *by], *id) {
                        Poll::Ready(Ok(Some(bytes))) => {
                            assert!(bytes.len() <= WINDOWS.stream as usize, "seed {seed}: beyond the window");
                            got.extend(bytes);
                        }
                        Poll::Ready(Ok(None)) => {
                            assert!(got == data, "seed {seed}: {} of {} bytes", got.len(), data.len());
                            let (by, id) = (*by, *id);
                            for side in &mut line.sides {
                                side.reset(id, 0);
                                side.drop_half(id);
                                side.drop_half(id);
                            }
                            let _ = line.sides[1 - by].poll_accept(&cx());
                            streams.swap_remove(at);
                            ended += 1;
                        }
                        // The peer may not have heard of it yet.
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        assert_eq!(ended, 30, "seed {seed}: it stands still with {opened} opened");
    }
}

#[test]
fn codes_arrive_and_a_reset_after_the_other_half_ended_is_one() {
    let mut line = Line::new();
    line.settle();
    let (id, _) = line.open(0);
    assert_eq!(line.sides[0].poll_write(id, &cx(), b"ask"), Poll::Ready(Ok(3)));
    line.sides[0].finish(id);
    line.settle();
    assert_eq!(line.sides[1].poll_accept(&cx()), Poll::Ready(Ok(id)));
    assert_eq!(read(&mut line.sides[1], id), Poll::Ready(Ok(Some(b"ask".to_vec()))));
    assert_eq!(read(&mut line.sides[1], id), Poll::Ready(Ok(None)));
    assert_eq!(line.sides[1].poll_write(id, &cx(), b"half"), Poll::Ready(Ok(4)));
    line.settle();
    line.sides[1].reset(id, 9);
    line.settle();
    assert_eq!(read(&mut line.sides[0], id), Poll::Ready(Err(HalfEnd::Peer(9))));

    let (id, _) = line.open(1);
    assert_eq!(line.sides[1].poll_write(id, &cx(), b"x"), Poll::Ready(Ok(1)));
    line.settle();
    line.sides[0].stop(id, 7);
    line.settle();
    assert_eq!(line.sides[1].poll_write(id, &cx(), b"y"), Poll::Ready(Err(HalfEnd::Peer(7))));
    assert_eq!(line.sides[1].poll_stopped(id, &cx()), Poll::Ready(Ok(7)));
}

#[test]
fn a_full_window_stops_its_sender_alone_until_it_is_read() {
    let mut line = Line::new();
    line.settle();
    let (stalled, _) = line.open(0);
    let (other, _) = line.open(0);
    let much = vec![1; 5_000];
    assert_eq!(line.sides[0].poll_write(stalled, &cx(), &much), Poll::Ready(Ok(1_000)));
    assert!(line.sides[0].poll_write(stalled, &cx(), &much).is_pending());
    line.settle();
    assert_eq!(line.sides[0].poll_write(other, &cx(), b"on"), Poll::Ready(Ok(2)));
    line.settle();
    assert_eq!(read(&mut line.sides[1], other), Poll::Ready(Ok(Some(b"on".to_vec()))));
    assert!(line.sides[0].poll_write(stalled, &cx(), &much).is_pending());
    assert!(
        matches!(read(&mut line.sides[1], stalled), Poll::Ready(Ok(Some(bytes))) if bytes.len() == 1_000)
    );
    line.settle();
    assert_eq!(line.sides[0].poll_write(stalled, &cx(), &much), Poll::Ready(Ok(1_000)));
}

#[test]
fn streams_are_granted_as_others_end() {
    let mut line = Line::new();
    line.settle();
    let ids: Vec<_> = (0..4).map(|_| line.open(0).0).collect();
    assert_eq!(ids, [1, 3, 5, 7]);
    assert!(line.sides[0].poll_open(&cx()).is_pending());
    for side in 0..2 {
        if side == 0 {
            line.sides[0].reset(1, 5);
            line.sides[0].stop(1, 5);
        } else {
            assert_eq!(line.sides[1].poll_accept(&cx()), Poll::Ready(Ok(1)));
            line.sides[1].reset(1, 5);
        }
        line.sides[side].drop_half(1);
        line.sides[side].drop_half(1);
        line.settle();
    }
    assert_eq!(line.sides[0].poll_open(&cx()), Poll::Ready(Ok(9)));
    assert!(line.sides[0].poll_open(&cx()).is_pending());
}

#[test]
fn what_has_come_is_read_before_the_end_of_the_connection() {
    let mut line = Line::new();
    line.settle();
    let (id, _) = line.open(0);
    assert_eq!(line.sides[0].poll_write(id, &cx(), b"last words"), Poll::Ready(Ok(10)));
    line.settle();
    line.sides[0].close_with(ConnEnd::Local, 2, b"a newer one");
    line.settle();
    assert_eq!(read(&mut line.sides[1], id), Poll::Ready(Ok(Some(b"last words".to_vec()))));
    let end = ConnEnd::Peer { code: 2, reason: "a newer one".to_owned() };
    assert_eq!(read(&mut line.sides[1], id), Poll::Ready(Err(HalfEnd::Lost(end))));
}

/// A side that was greeted.
fn greeted() -> State {
    let mut state = State::new(false, WINDOWS);
    let mut bytes = Vec::new();
    frame::put_hello(&mut bytes, Hello { stream_window: 1_000, window: 1_000, streams: 1 });
    state.receive(&bytes).unwrap();
    state
}

#[test]
fn a_peer_cannot_make_it_keep_more_than_it_gave() {
    let mut out = Vec::new();
    frame::put_data(&mut out, 1, &[0; 1_001]);
    assert_eq!(greeted().receive(&out), Err(Broken::Credit(1)));
    out.clear();
    for stream in [1, 3, 5] {
        frame::put_data(&mut out, stream, &[0; 1_000]);
    }
    assert_eq!(greeted().receive(&out), Err(Broken::Credit(0)));
    out.clear();
    frame::put_data(&mut out, 9, b"x");
    assert_eq!(greeted().receive(&out), Err(Broken::BadStream(9)));
    out.clear();
    frame::put_empty(&mut out, Kind::FIN, 1);
    frame::put_data(&mut out, 1, b"x");
    assert_eq!(greeted().receive(&out), Err(Broken::AfterEnd(1)));
}

#[test]
fn a_peer_that_reads_nothing_cannot_fill_the_queue() {
    let mut state = greeted();
    // It opens and resets streams without end; each costs an answer, and none is taken.
    let mut next = 1;
    while state.end().is_none() {
        let mut bytes = Vec::new();
        frame::put_number(&mut bytes, Kind::RESET, next, 0);
        frame::put_empty(&mut bytes, Kind::PING, 0);
        state.receive(&bytes).unwrap();
        assert_eq!(state.poll_accept(&cx()), Poll::Ready(Ok(next)));
        state.reset(next, 0);
        state.drop_half(next);
        state.drop_half(next);
        next += 2;
        assert!((next as usize) < Limits::TCP_CONTROL, "the queue has no end");
    }
    assert_eq!(state.end(), Some(&ConnEnd::Failed("the peer takes nothing".to_owned())));
    assert!(state.take_output().len() <= Limits::TCP_CONTROL + BODY);
}

#[test]
fn noise_breaks_nothing_but_the_connection() {
    for seed in 0..500 {
        let mut random = Random(seed);
        let mut state = greeted();
        for _ in 0..50 {
            let mut bytes: Vec<u8> = (0..1 + random.next(40)).map(|_| random.next(256) as u8).collect();
            if random.next(2) == 0 {
                bytes[0] = 1 + random.next(10) as u8;
                bytes.resize(bytes.len().max(8), 0);
                bytes[1..7].fill(0);
                bytes[3] = random.next(13) as u8;
            }
            if state.receive(&bytes).is_err() {
                break;
            }
        }
    }
}
