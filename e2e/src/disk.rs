//! A small disk that a test fills and empties: a file system in memory, in a mount namespace that outlives the nodes in it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The disk. It is gone when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    folder: PathBuf,
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl SmallDisk {
    /// An empty one of `size` (as `mount` takes it) over `folder`, which is made. Only who enters sees it.
    ///
    /// # Panics
    /// Where the kernel does not let users make namespaces.
    #[must_use]
    pub fn over(folder: &Path, size: &str) -> SmallDisk {
        fs::create_dir_all(folder).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={size},mode=0700 none '{}' && echo held && exec sleep 3600",
            folder.display()
        );
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "-Urm", "sh", "-c", &mount]);
        let mut holder = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(holder.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(
            line.trim(),
            "held",
            "no disk: {command:?} failed; does this kernel let users make namespaces?"
        );
        SmallDisk { holder, folder: folder.to_owned() }
    }

    /// The command before one that is to see the disk: for [`crate::Node::start_under`].
    #[must_use]
    pub fn enter(&self) -> Vec<String> {
        let pid = self.holder.id().to_string();
        ["nsenter", "-t", &pid, "-U", "-m", "--preserve-credentials"].map(str::to_owned).to_vec()
    }

    /// A file of the disk, as it is reached from outside.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        let folder = self.folder.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(folder).join(name)
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut file = File::create(self.file("filler")).unwrap();
        let zeros = vec![0; 64 * 1024];
        while file.write_all(&zeros).is_ok() {}
    }

    /// Takes back what [`SmallDisk::fill`] has done.
    pub fn free(&self) {
        fs::remove_file(self.file("filler")).unwrap();
    }
}
