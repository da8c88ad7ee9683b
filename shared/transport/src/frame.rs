//! Cuts the byte stream of a control connection into whole frames.

use bytes::{Bytes, BytesMut};
use catalyst_wire::FrameError;
use catalyst_wire::frame::{FrameType, HEADER, Header};

/// "Please dial the data connection": the one frame that the driver itself sends and takes.
pub(crate) const DIAL_DATA: [u8; HEADER] = [FrameType::DialData as u8, 0, 0, 0];

/// Keeps what is left of the last chunk. A frame that lies whole in a chunk is not copied; one that spans chunks
/// is copied once, into a buffer of exactly its size, which is at most [`catalyst_wire::Limits::FRAME_BODY`] and a header.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    chunk: Bytes,
    part: BytesMut,
}

impl FrameReader {
    /// Adds bytes; call [`FrameReader::next`] until it is empty before the next call.
    pub fn push(&mut self, chunk: Bytes) {
        debug_assert!(self.chunk.is_empty(), "the last chunk has not been drained");
        self.chunk = chunk;
    }

    /// Whether the stream may end here: not inside a frame.
    pub fn at_boundary(&self) -> bool {
        self.chunk.is_empty() && self.part.is_empty()
    }

    /// The next whole frame with its header.
    pub fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.part.is_empty() {
            let Some(total) = total(&self.chunk)? else { return Ok(self.keep(HEADER)) };
            if self.chunk.len() < total {
                return Ok(self.keep(total));
            }
            return Ok(Some(self.chunk.split_to(total)));
        }
        self.fill(HEADER);
        let Some(total) = total(&self.part)? else { return Ok(None) };
        self.fill(total);
        Ok((self.part.len() == total).then(|| std::mem::take(&mut self.part).freeze()))
    }

    /// Moves the rest of the chunk to the part, with room for a frame of `total` bytes.
    fn keep(&mut self, total: usize) -> Option<Bytes> {
        if !self.chunk.is_empty() {
            self.part.reserve(total);
            self.part.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
        }
        None
    }

    /// Moves bytes from the chunk until the part has `total`.
    fn fill(&mut self, total: usize) {
        let wanted = total.saturating_sub(self.part.len()).min(self.chunk.len());
        if wanted > 0 {
            self.part.reserve(total - self.part.len());
            self.part.extend_from_slice(&self.chunk.split_to(wanted));
        }
        if self.chunk.is_empty() {
            // Do not hold a datagram's buffer for an empty rest of it.
            self.chunk = Bytes::new();
        }
    }
}

/// Bytes of the frame that starts here, once its header is there.
fn total(bytes: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(head) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    Ok(Some(HEADER + Header::read(*head)?.len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalyst_wire::Frame;

    fn frame(kind: u8, len: u16) -> Vec<u8> {
        let mut out = vec![kind, 0];
        out.extend(len.to_be_bytes());
        out.extend((0..len).map(|i| i as u8));
        out
    }

    #[test]
    fn frames_survive_any_cut() {
        let sent = [frame(1, 0), frame(2, 5), frame(3, 16_384), frame(4, 1), frame(5, 300)];
        let stream: Vec<u8> = sent.concat();
        for size in [1, 2, 3, 4, 5, 7, 100, 1200, 16_388, stream.len()] {
            let mut reader = FrameReader::default();
            let mut got = Vec::new();
            for chunk in stream.chunks(size) {
                reader.push(Bytes::copy_from_slice(chunk));
                while let Some(frame) = reader.next().unwrap() {
                    got.push(frame);
                }
            }
            assert!(reader.at_boundary());
            assert_eq!(got, sent, "chunks of {size}");
        }
    }

    #[test]
    fn too_long_is_refused_at_its_header() {
        for cut in 1..=4 {
            let mut reader = FrameReader::default();
            let head = [2, 0, 0x40, 0x01];
            let mut seen = Ok(None);
            for part in [&head[..cut], &head[cut..]] {
                reader.push(Bytes::copy_from_slice(part));
                seen = reader.next();
                if seen.is_err() {
                    break;
                }
            }
            assert_eq!(seen, Err(FrameError::TooLong(16_385)));
        }
    }

    #[test]
    fn an_end_inside_a_frame_is_seen() {
        let mut reader = FrameReader::default();
        reader.push(Bytes::from_static(&[2, 0, 0, 2, 1]));
        assert_eq!(reader.next(), Ok(None));
        assert!(!reader.at_boundary());
    }

    /// Noise, and good frames with noise in them, in pieces of any size: the frames are those that the codec cuts out of the
    /// whole, and the reader stops where it does.
    #[test]
    fn any_bytes_in_any_pieces_are_cut_as_the_codec_cuts_them() {
        let mut seed = 0x5eed_u64;
        let mut below = |n: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % n
        };
        let (mut refused, mut whole) = (0, 0);
        for _ in 0..2_000 {
            let mut stream: Vec<u8> = Vec::new();
            for _ in 0..below(6) {
                stream.extend(frame(below(12) as u8, below(300) as u16));
            }
            for _ in 0..below(4) {
                let at = below(stream.len() + 1);
                stream.splice(at..at, (0..below(9)).map(|n| (n * 89) as u8));
            }
            let mut expected = Vec::new();
            let mut rest = &stream[..];
            let mut end = Ok(());
            loop {
                match Frame::split(rest) {
                    Ok(Some((_, behind))) => {
                        expected.push(rest[..rest.len() - behind.len()].to_vec());
                        rest = behind;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        end = Err(error);
                        break;
                    }
                }
            }
            let mut reader = FrameReader::default();
            let (mut got, mut seen) = (Vec::new(), Ok(()));
            let mut left = &stream[..];
            'stream: while !left.is_empty() {
                let (now, later) = left.split_at(1 + below(left.len()));
                left = later;
                reader.push(Bytes::copy_from_slice(now));
                loop {
                    match reader.next() {
                        Ok(Some(frame)) => got.push(frame.to_vec()),
                        Ok(None) => break,
                        Err(error) => {
                            seen = Err(error);
                            break 'stream;
                        }
                    }
                }
            }
            assert_eq!((&got, &seen), (&expected, &end), "{stream:?}");
            assert!(seen.is_err() || reader.at_boundary() == rest.is_empty());
            refused += usize::from(seen.is_err());
            whole += got.len();
        }
        assert!(refused > 100 && whole > 1_000, "{refused} {whole}");
    }
}
