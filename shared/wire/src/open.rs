//! OPEN: who, which versions, how long to hold, under which agreement.

use catalyst_names::{Limits as NameLimits, check};

use crate::cursor::{Reader, Writer};
use crate::error::{FrameError, Full};
use crate::frame::{FrameType, HEADER, Header};
use crate::limits::Limits;

/// Optional abilities of a node: bits of [`Open::capabilities`].
pub struct Capabilities;

impl Capabilities {
    /// It sends its table again on REFRESH, and takes one.
    pub const REFRESH: u32 = 1;
    /// It sends only what INTEREST names.
    pub const INTEREST: u32 = 1 << 1;
    /// It sends INTEREST before anything else: no route may go to it before that has come.
    pub const INTERESTED: u32 = 1 << 2;
}

/// The first frame of each side. All fields in this order, then a tail that later versions may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open<'a> {
    /// Lowest version the sender speaks: u8.
    pub version_min: u8,
    /// Highest version the sender speaks: u8.
    pub version_max: u8,
    /// The sender's name, such as `edge-1.acme.example`.
    pub node: &'a str,
    /// Which run of the sender this is; a later run has a higher number where its disk survived.
    pub incarnation: u64,
    /// The hold time the sender offers, in milliseconds; the smaller of both counts, 0 leaves it to the other side.
    pub hold_ms: u32,
    /// The restart time the sender asks for, in milliseconds.
    pub restart_ms: u32,
    /// Bits of optional abilities; unknown bits are ignored.
    pub capabilities: u32,
    /// Digest of the agreement, between organisations: nothing or 32 bytes.
    pub agreement: Option<[u8; 32]>,
    /// The sender's mesh address for next hops: host and port in printable ASCII without spaces; may be empty.
    pub mesh_address: &'a str,
}

impl<'a> Open<'a> {
    /// Reads the body.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn read(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut r = Reader::new(body);
        let version_min = r.u8()?;
        let version_max = r.u8()?;
        let node = r.text(NameLimits::SERVICE)?;
        check::service(node, "node name").map_err(|_| FrameError::Text)?;
        let incarnation = r.u64()?;
        let hold_ms = r.u32()?;
        let restart_ms = r.u32()?;
        let capabilities = r.u32()?;
        let agreement = match r.bytes(32)? {
            [] => None,
            bytes => Some(<[u8; 32]>::try_from(bytes).map_err(|_| FrameError::Value)?),
        };
        let mesh_address = r.text(Limits::MESH_ADDRESS)?;
        if !mesh_address.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(FrameError::Text);
        }
        if version_min > version_max {
            return Err(FrameError::Value);
        }
        Ok(Open {
            version_min,
            version_max,
            node,
            incarnation,
            hold_ms,
            restart_ms,
            capabilities,
            agreement,
            mesh_address,
        })
    }

    /// Writes the whole frame into `buf`.
    ///
    /// # Errors
    /// [`Full`] when the buffer ends, or the mesh address is beyond [`Limits::MESH_ADDRESS`].
    pub fn write<'b>(&self, buf: &'b mut [u8]) -> Result<&'b [u8], Full> {
        if self.mesh_address.len() > Limits::MESH_ADDRESS {
            return Err(Full);
        }
        write_frame(buf, FrameType::Open, |out| {
            out.u8(self.version_min)?;
            out.u8(self.version_max)?;
            out.text(self.node)?;
            out.u64(self.incarnation)?;
            out.u64(u64::from(self.hold_ms))?;
            out.u64(u64::from(self.restart_ms))?;
            out.u64(u64::from(self.capabilities))?;
            out.bytes(self.agreement.as_ref().map_or(&[][..], |d| d.as_slice()))?;
            out.text(self.mesh_address)
        })
    }
}

/// Writes a header and a body into `buf`; returns the frame.
///
/// # Errors
/// [`Full`].
pub fn write_frame(
    buf: &mut [u8],
    kind: FrameType,
    fill: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<&[u8], Full> {
    let mut out = Writer::new(buf.get_mut(HEADER..).ok_or(Full)?);
    fill(&mut out)?;
    let len = out.len();
    let header = Header::write(kind, len).map_err(|_| Full)?;
    buf.get_mut(..HEADER).ok_or(Full)?.copy_from_slice(&header);
    buf.get(..HEADER + len).ok_or(Full)
}
