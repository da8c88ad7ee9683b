//! Files of a node: private ones that only their owner may read, and public ones, written whole or not at all. And any file
//! that a person names, read without waiting and within a bound.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a file is not as it must be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Others may read or change it.
    #[error("{}: others can use this private file (mode {mode:04o}); run: chmod 600 {}", .path.display(), quoted(.path))]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It belongs to another user.
    #[error(
        "{}: this private file belongs to user {owner} and the node runs as user {user}; run: chown {user} {}",
        .path.display(), quoted(.path)
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        user: u32,
    },
    /// It is a folder, a socket or a device.
    #[error("{}: not a file", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{}: {doing}: {source}", .path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

fn io_error<'a>(path: &'a Path, doing: &'static str) -> impl Fn(io::Error) -> FileError + 'a {
    move |source| FileError::Io { path: path.to_path_buf(), doing, source }
}

/// The text of a file that a person named, of at most `max` bytes. A pipe could keep the reader for ever, a device could
/// give bytes without end, so only regular files are read; links are followed.
///
/// # Errors
/// In words that go after the path and a colon: what the system said, what it is instead of a file
/// ([`io::ErrorKind::IsADirectory`], [`io::ErrorKind::InvalidInput`]), how large it may be
/// ([`io::ErrorKind::FileTooLarge`]), or where it is not UTF-8 ([`io::ErrorKind::InvalidData`]).
pub fn read_text(path: impl AsRef<Path>, max: usize) -> io::Result<String> {
    let bytes = read(path.as_ref(), max)?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("a byte at offset {at} that is not UTF-8"))
    })
}

/// Opens a file that a person named, as [`read_text`] does, for who reads it piece by piece.
///
/// # Errors
/// As those of [`read_text`].
pub fn open(path: &Path) -> io::Result<File> {
    // Opening alone can have an effect on a device, so it is looked at before; and again, for it may have been changed.
    regular(&fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {max} bytes, the most for such a file"),
        ));
    }
    Ok(bytes)
}

fn regular(meta: &Metadata) -> io::Result<()> {
    let kind = meta.file_type();
    let (error, what) = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => (io::ErrorKind::IsADirectory, "a folder"),
        () if kind.is_fifo() => (io::ErrorKind::InvalidInput, "a pipe"),
        () if kind.is_socket() => (io::ErrorKind::InvalidInput, "a socket"),
        () => (io::ErrorKind::InvalidInput, "a device"),
    };
    Err(io::Error::new(error, format!("{what}, where a regular file must be")))
}

/// Checks that a file is this user's and nobody else may use it: mode 0600 or stricter.
///
/// # Errors
/// What is wrong, with the command that mends it.
pub fn check_private_file(path: impl AsRef<Path>) -> Result<(), FileError> {
    let path = path.as_ref();
    let meta = fs::metadata(path).map_err(io_error(path, "looking at the private file"))?;
    if !meta.is_file() {
        return Err(FileError::NotAFile { path: path.to_path_buf() });
    }
    let user = nix::unistd::geteuid().as_raw();
    if meta.uid() != user {
        return Err(FileError::Owner { path: path.to_path_buf(), owner: meta.uid(), user });
    }
    let mode = meta.permissions().mode() & 0o7777;
    if mode & 0o7177 != 0 {
        return Err(FileError::Mode { path: path.to_path_buf(), mode });
    }
    Ok(())
}

/// Writes a file that only its owner may read (0600), whole or not at all, and waits for the disk.
///
/// # Errors
/// What the system refused. The file is as it was then.
pub fn write_private_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    write(path.as_ref(), bytes, 0o600)
}

/// Writes a file that everyone may read (0644), whole or not at all, and waits for the disk.
///
/// # Errors
/// As [`write_private_file`].
pub fn write_public_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    write(path.as_ref(), bytes, 0o644)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let Some(name) = path.file_name() else {
        return Err(FileError::NotAFile { path: path.to_path_buf() });
    };
    let mut fresh = name.to_os_string();
    // Two processes that write one file do not write into one another.
    fresh.push(format!(".{}.new", std::process::id()));
    let fresh = path.with_file_name(fresh);
    // What an earlier process of this number left.
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(io_error(&fresh, "removing a leftover")(e));
        }
        _ => {}
    }
    let written = write_new(&fresh, bytes, mode)
        .map_err(io_error(path, "writing"))
        .and_then(|()| fs::rename(&fresh, path).map_err(io_error(path, "writing")));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
        return written;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io_error(folder, "writing the folder"))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    // The mask of the process may have taken bits away.
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(bytes)?;
    file.sync_all()
}
