//! Debian's Rust compiler with the standard library of 64-bit ARM, unpacked into a folder: no root, nothing
//! installed, no foreign architecture added to the system.
//!
//! apt gets a configuration of its own, with its own lists and an empty record of what is installed, and only
//! downloads. The standard library must come from the very same build as the compiler, so both are Debian's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The compiler, and the standard library for this machine (build scripts) and for the board.
const PACKAGES: &[&str] = &["rustc-web", "libstd-rust-web-dev:amd64", "libstd-rust-web-dev:arm64"];

/// What the compiler links with that a small system may not have; the C library is there already.
const LIBRARIES: &[&str] = &[
    "libstd-rust-web-",
    "libllvm",
    "libffi",
    "libedit",
    "libz3",
    "libxml2",
    "libtinfo",
    "libbsd",
    "libicu",
    "liblzma",
    "libmd",
    "libzstd",
    "zlib1g",
];

/// The compiler's path, after it was got if it is not there yet.
pub fn compiler(folder: &Path) -> Result<PathBuf> {
    let wrapper = folder.join("rustc");
    if runs(&wrapper) {
        return Ok(wrapper);
    }
    if cfg!(not(target_arch = "x86_64")) {
        bail!("Debian's way is known for x86_64 alone");
    }
    eprintln!("getting Debian's Rust for 64-bit ARM: about 130 MB into {}", folder.display());
    let root = folder.join("root");
    let packages = folder.join("packages");
    for gone in [&root, &packages] {
        if gone.exists() {
            fs::remove_dir_all(gone).with_context(|| gone.display().to_string())?;
        }
    }
    for made in
        [&root, &packages, &folder.join("state/lists/partial"), &folder.join("cache/archives/partial")]
    {
        fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    fs::write(folder.join("state/status"), "")?;
    let config = folder.join("apt.conf");
    fs::write(&config, apt_config(folder))?;

    let apt = |program: &str| {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", &config).current_dir(&packages);
        command
    };
    output(apt("apt-get").args(["-q", "update"]))?;
    let depends = output(apt("apt-cache").args(["depends", "--recurse", "--important", "rustc-web"]))?;
    let mut download = apt("apt-get");
    download.args(["-q", "download"]).args(PACKAGES).args(libraries(&depends));
    output(&mut download)?;
    for package in fs::read_dir(&packages)? {
        output(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&root))?;
    }
    fs::write(
        &wrapper,
        format!(
            "#!/bin/sh\nLD_LIBRARY_PATH='{root}/usr/lib/x86_64-linux-gnu:{root}/lib/x86_64-linux-gnu' \
             exec '{root}/usr/bin/rustc' \"$@\"\n",
            root = root.display()
        ),
    )?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    if !runs(&wrapper) {
        bail!("{} was unpacked but does not run", wrapper.display());
    }
    // Only the unpacked files are needed from here on.
    fs::remove_dir_all(&packages)?;
    Ok(wrapper)
}

fn runs(wrapper: &Path) -> bool {
    Command::new(wrapper).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn apt_config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Dir::State \"{folder}/state\";\nDir::State::status \"{folder}/state/status\";\n\
         Dir::Cache \"{folder}/cache\";\nAPT::Architecture \"amd64\";\n\
         APT::Architectures {{ \"amd64\"; \"arm64\"; }};\nAPT::Sandbox::User \"\";\n"
    )
}

/// The libraries among the lines of `apt-cache depends --recurse`: a package's line is not indented.
fn libraries(depends: &str) -> Vec<&str> {
    let package =
        |line: &&str| !line.starts_with([' ', '<']) && !line.contains(':') && !line.contains("-dev");
    depends
        .lines()
        .filter(package)
        .filter(|name| LIBRARIES.iter().any(|library| name.starts_with(library)))
        .collect()
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_taken() {
        let depends = "rustc-web\n  Depends: libc6\nlibc6\nlibstd-rust-web-1.96\nlibstd-rust-web-dev\nlibllvm22\n\
                       libicu72\nlibc6:arm64\n<libc-dev>\nzlib1g\n  Depends: libllvm22\n";
        assert_eq!(libraries(depends), ["libstd-rust-web-1.96", "libllvm22", "libicu72", "zlib1g"]);
    }

    #[test]
    fn apt_is_kept_from_the_system() {
        let config = apt_config(Path::new("/t/d"));
        assert!(config.contains("Dir::State::status \"/t/d/state/status\"") && config.contains("\"arm64\""));
    }
}
