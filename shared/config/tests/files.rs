//! Files of a node, and loading from a real one.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use catalyst_config::files::{
    FileError, check_private_file, read_text, write_private_file, write_public_file,
};
use catalyst_config::{Build, Compiled, LoadRequest, load};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn private_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("edge 1.key");
    write_private_file(&key, b"secret").unwrap();
    assert_eq!((fs::read(&key).unwrap(), mode(&key)), (b"secret".to_vec(), 0o600));
    check_private_file(&key).unwrap();
    for (bad, shown) in [(0o640, "0640"), (0o604, "0604"), (0o700, "0700"), (0o4600, "4600")] {
        fs::set_permissions(&key, fs::Permissions::from_mode(bad)).unwrap();
        let path = key.display();
        assert_eq!(
            check_private_file(&key).unwrap_err().to_string(),
            format!("{path}: others can use this private file (mode {shown}); run: chmod 600 '{path}'")
        );
    }
    for good in [0o600, 0o400] {
        fs::set_permissions(&key, fs::Permissions::from_mode(good)).unwrap();
        check_private_file(&key).unwrap();
    }
}

#[test]
fn what_is_not_a_private_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(check_private_file(folder.path()), Err(FileError::NotAFile { .. })));
    let gone = folder.path().join("gone.key");
    let error = check_private_file(&gone).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: looking at the private file: No such file", gone.display())),
        "{error}"
    );
    // A link is judged by what it leads to.
    let open = folder.path().join("open");
    write_public_file(&open, b"x").unwrap();
    symlink(&open, &gone).unwrap();
    assert!(matches!(check_private_file(&gone), Err(FileError::Mode { mode: 0o644, .. })));
    let other = std::path::Path::new("/etc/passwd");
    if fs::metadata(other).is_ok_and(|m| m.permissions().mode() & 0o077 != 0) {
        assert!(check_private_file(other).is_err());
    }
}

#[test]
fn a_text_is_read_from_a_regular_file_within_its_bound() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("text"), "four").unwrap();
    symlink(at("text"), at("link")).unwrap();
    assert_eq!(read_text(at("text"), 4).unwrap(), "four");
    assert_eq!(read_text(at("link"), 4).unwrap(), "four", "links are normal");
    fs::write(at("bytes"), b"ab\xff").unwrap();
    assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    symlink("/dev/zero", at("zero")).unwrap();
    for (name, max, kind, words) in [
        ("text", 3, ErrorKind::FileTooLarge, "more than 3 bytes, the most for such a file"),
        ("bytes", 9, ErrorKind::InvalidData, "a byte at offset 2 that is not UTF-8"),
        ("pipe", 9, ErrorKind::InvalidInput, "a pipe, where a regular file must be"),
        ("socket", 9, ErrorKind::InvalidInput, "a socket, where a regular file must be"),
        ("zero", 9, ErrorKind::InvalidInput, "a device, where a regular file must be"),
        (".", 9, ErrorKind::IsADirectory, "a folder, where a regular file must be"),
        ("gone", 9, ErrorKind::NotFound, "No such file or directory (os error 2)"),
    ] {
        let error = read_text(at(name), max).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, words), "{name}");
    }
}

#[test]
fn files_are_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.pem");
    write_public_file(&file, b"one").unwrap();
    assert_eq!(mode(&file), 0o644);
    write_public_file(&file, b"two").unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"two");
    // A folder of that name cannot be replaced: it stays, and nothing is left beside it.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("inside"), b"x").unwrap();
    let error = write_private_file(&taken, b"x").unwrap_err();
    assert!(matches!(error, FileError::Io { doing: "writing", .. }), "{error}");
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bundle.pem", "taken"]);
    // A key never had another mode, even where one was there before.
    write_private_file(&file, b"three").unwrap();
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn a_configuration_is_loaded_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalyst.json");
    let request = |file: &std::path::Path| LoadRequest {
        file: Some(file.to_path_buf()),
        env: vec![("CATALYST_LOG".to_owned(), "debug".to_owned())],
        sets: vec!["profile=lan".to_owned()],
        build: Build::Edge,
        compiled: Compiled::EDGE,
    };
    let starts = |error: String, text: &str| {
        assert!(error.starts_with(&format!("error: {}{text}", file.display())), "{error}")
    };
    starts(
        load(request(&file)).unwrap_err().to_string(),
        ": expected a configuration file, found none\n  help: check the path",
    );
    fs::write(&file, b"{ \"version\": 1, \"org\": \"\xff\" }").unwrap();
    starts(
        load(request(&file)).unwrap_err().to_string(),
        ": expected a configuration file, found a byte at offset 24 that is not UTF-8\n",
    );
    fs::write(&file, vec![b' '; 600 * 1024]).unwrap();
    starts(
        load(request(&file)).unwrap_err().to_string(),
        ": expected a configuration file, found more than 524288 bytes\n",
    );
    fs::write(&file, b"{ \"version\": 1, \"org\": \"a.b\" }").unwrap();
    starts(load(request(&file)).unwrap_err().to_string(), ":1:1 at /node: expected the key");
    let error = load(request(folder.path())).unwrap_err().to_string();
    assert!(error.contains("found a folder"), "{error}");
    fs::write(&file, b"{ \"version\": 1, \"org\": \"a.b\", \"node\": \"n\" }").unwrap();
    let config = load(request(&file)).unwrap();
    assert_eq!((config.log.as_str(), config.profile.as_str()), ("debug", "lan"));
    assert_eq!(config.identity.key, folder.path().join("n.key"));
    assert_eq!(config.file.as_deref(), Some(file.as_path()));
}
