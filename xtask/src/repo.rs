//! The checkout: where it is and which files it holds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A checkout of this workspace.
pub struct Repo {
    root: PathBuf,
}

/// A file of the checkout: its path from the root with `/` between the parts, and its text.
pub struct SourceFile {
    /// `shared/names/src/lib.rs`
    pub path: String,
    /// Bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl Repo {
    /// The checkout that cargo runs us from, or else the one around the current directory.
    pub fn find() -> Result<Self> {
        let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => std::env::current_dir().context("the current directory cannot be read")?,
        };
        for dir in start.ancestors() {
            if dir.join("Cargo.lock").is_file() && dir.join("xtask/src/main.rs").is_file() {
                return Ok(Self { root: dir.to_path_buf() });
            }
        }
        bail!("{} is not inside a checkout of this workspace; run `cargo xtask` there", start.display())
    }

    /// The folder that holds the workspace's Cargo.toml.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file named by its path from the root.
    pub fn read(&self, path: &str) -> Result<String> {
        let bytes = std::fs::read(self.root.join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The files git tracks, and new ones it does not ignore: a law must see a file before it is committed.
    pub fn files(&self) -> Result<Vec<String>> {
        let output = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(&self.root)
            .output()
            .context("cannot run git; install it with `apt-get install git`")?;
        if !output.status.success() {
            bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Those of [`Repo::files`] whose path `wanted` accepts, with their text. One that vanishes meanwhile is left out.
    pub fn sources(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<SourceFile>> {
        let mut sources = Vec::new();
        for path in self.files()?.into_iter().filter(|path| wanted(path)) {
            match self.read(&path) {
                Ok(text) => sources.push(SourceFile { path, text }),
                Err(_) if !self.root.join(&path).exists() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sources)
    }

    /// A path below the root, written as the laws write it; other paths stay as they are.
    pub fn relative(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}
